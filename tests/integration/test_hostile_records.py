"""Records written to harm whoever reads about them: the log, the lists of dead letters and `tail` stay one line a record."""

from __future__ import annotations

import json
import re
import unicodedata

import pytest

from support.service import run, score_topic

pytestmark = pytest.mark.broker
FORGED = (
    "x\x1b[2J\x1b]0;title\x07\r\n2026-01-01T00:00:00.000Z INFO stream_scorer.service.loop: forged\u202e\u2028\x9b31m"
)
MODEL = """
# fastscore.schema.0: string
# fastscore.schema.1: double
def action(text):
    if text != "good":
        raise ValueError(text)
    yield 1.0
"""
LOG_LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z [A-Z]+ [\w.]+: ")


def _check(text):
    """No control or format character, and no line that begins as a line of the log or list does but is none."""
    assert {letter for letter in text if unicodedata.category(letter)[0] in "CZ"} <= {" ", "\n"}
    assert not any(re.match(r"(2026-01-01|forged)", line) for line in text.split("\n"))


def test_what_a_record_says_forges_no_line_of_anything(kafka, name, tmp_path):
    (tmp_path / "strict.py").write_text(MODEL)
    (tmp_path / "string.avsc").write_text('"string"')
    topics = {"input_topic": kafka.create(name("in")), "output_topic": name("out"), "group": name("group")}
    headers = [("a\x1b[2J\nforged", FORGED.encode()), ("__streams.errors.topic", FORGED.encode()), ("none", None)]
    value = json.dumps(FORGED).encode()
    kafka.send(
        topics["input_topic"],
        [
            {"key": FORGED.encode(), "value": value, "headers": headers},
            {"key": b"\xff\x00", "value": FORGED.encode(), "headers": headers},
            {"key": b"k", "value": b'"good"'},
        ],
    )
    options = {"input_encoding": "json", "create_topics": True, "log_level": "DEBUG", **topics}
    log = score_topic(str(tmp_path / "strict.py"), kafka.servers, **options).stderr
    _check(log)
    assert log.count("rejected: ") == 2
    assert all(LOG_LINE.match(line) for line in log.splitlines() if line and not line.startswith(" "))

    where = {"input_topic": topics["input_topic"], "bootstrap_servers": kafka.servers}
    listed = run("dead-letters", "list", **where)
    assert listed.returncode == 0, listed.stderr
    _check(listed.stdout)
    assert [line.split()[0] for line in listed.stdout.splitlines()] == ["0@0", "0@1", "2"]
    shown = run("dead-letters", "show", "0@0", "0@1", **where)
    assert shown.returncode == 0, shown.stderr
    _check(shown.stdout)
    assert [line.split()[0] for line in shown.stdout.split("\n") if line and line[0] != " "] == ["0@0", "0@1"]


def test_tail_shows_only_what_is_an_evaluation(kafka, name):
    topic = kafka.create(name("ev"))
    good = {"forecast": 1.5, "actual": 2, "naive": 3, "forecast_offset": 4, "key": "forged", "x": [FORGED]}
    huge = b'{"forecast":1%s,"actual":-1%s,"naive":0}' % (b"0" * 308, b"0" * 308)
    odd = [b"[]", b"null", b'{"forecast": [1]}', b"[" * 100_000, b"\xff" * 9, FORGED.encode(), b"9" * 5000]
    heads = [("scorer-source", None), ("h", FORGED.encode()), ("scorer-source", b"in/0/" + b"9" * 5000)]
    kafka.send(
        topic,
        [
            {"key": FORGED.encode(), "value": value, "headers": heads}
            for value in (json.dumps(good).encode(), huge, *odd)
        ],
    )
    where = {"evaluation_topic": topic, "bootstrap_servers": kafka.servers, "until_end": True, "from": "earliest"}
    told = run("tail", **where)
    assert told.returncode == 0, told.stderr
    _check(told.stdout + told.stderr)
    assert len(told.stdout.splitlines()) == 3
    assert f"{len(odd)} records skipped" in told.stderr
    first, second = (json.loads(line) for line in run("tail", json=True, **where).stdout.splitlines())
    assert (first["key"], first["forecast"], first["forecast_offset"]) == (FORGED, 1.5, 4)
    assert "x" not in first
    assert second["rmse"] is None
