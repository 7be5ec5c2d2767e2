"""Text from outside stays in its line, and gives a terminal no command: everywhere, as all printing is done in one file."""

from __future__ import annotations

import ast
import io
import json
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_scorer.__main__ import _print_traceback
from stream_scorer.commands import dead_letters, pneumo
from stream_scorer.kafka.dead_letters import DeadLetter
from stream_scorer.modelop.client import show
from stream_scorer.records import Partition, Record
from stream_scorer.report import chart, page
from stream_scorer.safe_text import json_lines, lines, one_line, say

ROOT = Path(__file__).parents[2]
HOSTILE = "a\x1b[2J\r\n2026-01-01T00:00:00.000Z INFO forged\x9b\u202e\u2028\ud800\x00\x85\t\u200b\ue000"


def _harmless(text: str) -> bool:
    return all(unicodedata.category(letter)[0] not in "CZ" or letter == " " for letter in text)


@given(st.text(st.characters(exclude_categories=[])))
def test_nothing_but_printable_characters_and_the_own_line_feeds_comes_out(text):
    assert _harmless(one_line(text))
    assert _harmless(lines(text).replace("\n", "").replace("\t", ""))
    assert lines(text).count("\n") == text.count("\n")
    assert json.loads(json_lines(json.dumps([text], ensure_ascii=False, indent=1))) == [text]
    assert _harmless(json_lines(json.dumps([text], ensure_ascii=False, indent=1)).replace("\n", ""))


def test_what_is_harmless_stays_as_it_is():
    text = "Zürich 東京 C:\\new 🙂 100 % 'x' \"y\""
    assert one_line(text) == lines(text) == json_lines(text) == text
    assert one_line("ab\ncd", 3) == "ab\\n..."
    assert lines("a\tb\r\nc", "  ") == "a\tb\n  c"


def test_hostile_text_of_each_kind():
    assert one_line(HOSTILE) == (
        r"a\x1b[2J\r\n2026-01-01T00:00:00.000Z INFO forged\x9b\u202e\u2028\ud800\x00\x85\t\u200b\ue000"
    )
    assert lines(HOSTILE, "  ").split("\n")[1].startswith("  2026")


def test_a_terminal_of_another_encoding_gets_escapes():
    out = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    say("Zürich \x1b", file=out, flush=True)
    assert out.buffer.getvalue() == b"Z\\xfcrich \\x1b\n"


def test_a_traceback_of_a_bug_is_safe_too(capsys):
    _print_traceback(ValueError, ValueError(HOSTILE), None)
    err = capsys.readouterr().err
    assert "\x1b" not in err
    assert not any(line.startswith("2026") for line in err.splitlines())


def _letter(**facts: str) -> DeadLetter:
    headers = [
        ("a\x1b[2J\nforged: 1", HOSTILE.encode(errors="replace")),
        ("nothing", None),
        ("raw", b"\xff\x1b]0;x\x07"),
    ]
    record = Record(Partition("dead", 0), 7, b"k\x1b[2J", b"v", 5, headers)
    return DeadLetter(record, dict.fromkeys(("topic", "stage", "exception", "message", "stacktrace"), HOSTILE) | facts)


@pytest.mark.parametrize("verb", ["list", "show"])
def test_a_dead_letter_cannot_forge_a_line_of_the_list_or_of_another(verb, capsys):
    if verb == "list":
        dead_letters._list([_letter(), _letter(message="x" * 500)], lambda _: False)
    else:
        dead_letters._show(_letter())
    out = capsys.readouterr().out
    assert _harmless(out.replace("\n", "").replace("\t", ""))
    begins = [line for line in out.split("\n") if line and not line.startswith("  ")]
    assert len(begins) == 1, "the count of letters, or the place of the one shown"
    assert "forged" not in begins[0].partition("from")[0]


def test_a_server_cannot_write_to_the_terminal_of_its_client(capsys):
    show.print_table(["Name"], [[HOSTILE], [None]])
    show.print_names([HOSTILE], as_json=False)
    say(pneumo._line({"src": HOSTILE, "type": "model-console", "console": HOSTILE, HOSTILE: HOSTILE}))
    show.print_json({HOSTILE: [HOSTILE]})
    out = capsys.readouterr().out
    assert _harmless(out.replace("\n", "").replace("\t", ""))
    assert not any(line.startswith("2026") for line in out.splitlines())
    assert json.loads(out[out.index("{\n") :]) == {HOSTILE: [HOSTILE]}


def test_stored_bytes_reach_a_file_as_they_are_and_a_terminal_as_safe_text(monkeypatch, capsysbinary):
    show.write_bytes(b"\x1b[2J\xff")
    assert capsysbinary.readouterr().out == b"\x1b[2J\xff"
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    show.write_bytes(b"\x1b[2J\xff")
    assert capsysbinary.readouterr().out == b"\\x1b[2J\\xff"


def test_names_in_reports_are_text():
    hostile = HOSTILE + "<script>alert(1)</script>"
    html = page.page(
        hostile,
        [
            page.heading(hostile),
            page.paragraph(hostile, "note"),
            page.table([hostile], [[hostile]]),
            page.figure(chart.lines([hostile], [chart.Line(hostile, np.ones(1))], hostile)),
            page.figure(chart.bars([hostile], [1.0], hostile)),
        ],
    )
    assert "<script" not in html
    assert _harmless(html.replace("\n", ""))
    html.encode()


def test_nothing_is_printed_but_by_say():
    """A shipped model prints what it likes: models are code."""
    for file in (path for folder in ("stream_scorer", "training") for path in (ROOT / folder).rglob("*.py")):
        if file.name == "safe_text.py" or file.parent.name == "models":
            continue
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call):
                name = ast.unparse(node.func)
                assert name not in ("print", "sys.stdout.write", "sys.stderr.write"), f"{file}:{node.lineno}: use say"
