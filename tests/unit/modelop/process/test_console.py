"""What a model prints becomes lines, however it prints."""

from __future__ import annotations

import pytest

from stream_scorer.modelop.process.console import MAX_LINE, ConsoleLines


def _text(*chunks):
    """The text of chunks; what has no end of line comes when all is there."""
    lines = ConsoleLines()
    return "".join([*map(lines.feed, chunks), lines.take(final=True)])


@pytest.mark.parametrize(
    ("chunks", "text"),
    [
        ((), ""),
        ((b"one\ntwo\nthree",), "one\ntwo\nthree"),
        ((b"o", b"ne", b"\n", b"two\n"), "one\ntwo\n"),
        (("é€𝄞\n".encode()[:2], "é€𝄞\n".encode()[2:6], "é€𝄞\n".encode()[6:]), "é€𝄞\n"),
        ((b"\xff\xfe ok\n\xc3", b"\n"), "\ufffd\ufffd ok\n\ufffd\n"),
        ((b"10%\r20%\r", b"30%\r\n"), "10%\r20%\r30%\r\n"),
        ((b"\x1b[31mred\x00\n",), "\x1b[31mred\x00\n"),
    ],
)
def test_text_comes_as_it_is(chunks, text):
    assert _text(*chunks) == text


@pytest.mark.parametrize("end", [b"\n", b"\r", b""])
def test_a_long_line_is_cut_and_the_next_is_not(end):
    chunks = [b"x" * MAX_LINE] * 3 + [b"y" * 7 + end + b"next"]
    kept, note, rest = _text(*chunks).partition(
        f" ... [{2 * MAX_LINE + 7 + (0 if end else 4):,} bytes of this line were cut]"
    )
    assert (kept, bool(note), rest) == ("x" * MAX_LINE, True, end.decode() + "next" if end else "")


def test_parts_that_were_given_out_count_for_the_length():
    lines, text = ConsoleLines(), ""
    for _ in range(20):
        assert lines.feed(b"x" * (MAX_LINE // 4)) == ""
        assert lines.holds or len(text) == MAX_LINE
        text += lines.take()
    assert text == "x" * MAX_LINE
    assert lines.feed(b"\nshort\n") == f" ... [{4 * MAX_LINE:,} bytes of this line were cut]\nshort\n"


def test_a_line_cut_within_a_character_does_not_spoil_the_next():
    text = _text(b"x" * (MAX_LINE - 1) + "é".encode()[:1], "é".encode()[1:], b"y\nnext\n")
    assert text.endswith("\nnext\n")
    assert "\ufffd" not in text.split("\n")[1]


def test_200_mb_without_an_end_of_line_keep_one_line():
    lines, chunk = ConsoleLines(), b"x" * MAX_LINE
    for _ in range(3200):
        assert lines.feed(chunk) == ""
    assert len(lines.take(final=True)) < MAX_LINE + 100
