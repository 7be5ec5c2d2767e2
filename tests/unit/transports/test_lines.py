"""Lines in, lines out."""

from __future__ import annotations

import contextlib
import io
import os

import pytest

from stream_scorer.errors import EndOfInput
from stream_scorer.records import Outgoing, Partition, Record, Reject
from stream_scorer.transports.lines import LinesSink, LinesSource


@pytest.fixture
def pipe():
    """(source, what writes to it); closing the writer ends the input."""
    read, write = os.pipe()
    with os.fdopen(read, "rb"), os.fdopen(write, "wb", buffering=0) as writer:
        yield LinesSource(read), writer


def _poll(source, limit=100, timeout_s=0.0):
    return [(record.offset, record.value) for record in source.poll(limit, timeout_s)]


def _poll_all(source):
    found = []
    with contextlib.suppress(EndOfInput):
        while True:
            found += _poll(source)
    return found


def test_lines_are_records_in_order(pipe):
    source, writer = pipe
    writer.write(b"1\n2\n3\n")
    assert _poll(source, limit=2) == [(0, b"1"), (1, b"2")]
    assert _poll(source, limit=2) == [(2, b"3")]
    assert source.positions() == {Partition("stdin", 0): 3}


def test_a_line_without_its_end_waits_for_the_rest(pipe):
    source, writer = pipe
    writer.write(b"1\n2")
    assert _poll(source) == [(0, b"1")]
    assert _poll(source) == []
    writer.write(b"2")
    assert _poll(source) == []
    writer.write(b"2\n")
    assert _poll(source) == [(1, b"222")]


def test_the_last_line_needs_no_newline(pipe):
    source, writer = pipe
    writer.write(b"1\n2")
    writer.close()
    assert _poll(source) == [(0, b"1")]
    assert _poll(source) == [(1, b"2")]
    for _ in range(2):
        with pytest.raises(EndOfInput):
            source.poll(10, 0)


def test_blank_lines_count_but_are_no_records(pipe):
    source, writer = pipe
    writer.write(b"\n1\n  \r\n2\r\n")
    assert _poll(source) == [(1, b"1"), (3, b"2\r")]
    assert source.positions() == {Partition("stdin", 0): 4}


def test_nothing_there_is_nothing_polled(pipe):
    source, _ = pipe
    assert source.poll(10, 0.01) == []


def test_an_empty_input_ends_at_once(pipe):
    source, writer = pipe
    writer.close()
    assert _poll_all(source) == []


def test_a_line_longer_than_a_pipe_comes_whole(tmp_path):
    path = tmp_path / "long"
    path.write_bytes(b"1" * 200_000 + b"\n2")
    with path.open("rb") as file:
        assert [len(value) for _, value in _poll_all(LinesSource(file.fileno()))] == [200_000, 1]


def _record(offset, value):
    return Record(Partition("stdin", 0), offset, None, value, None, None)


def test_scores_are_written_at_the_commit():
    out, rejects = io.BytesIO(), io.StringIO()
    sink = LinesSink(out, rejects)
    sink.begin()
    for value in (b"1", b"2", None):
        sink.send([Outgoing(1, _record(0, b""), value)])
    assert out.getvalue() == b""
    sink.commit({})
    assert out.getvalue() == b"1\n2\nnull\n"


def test_what_is_aborted_is_never_written():
    out = io.BytesIO()
    sink = LinesSink(out, io.StringIO())
    for _ in range(2):
        sink.begin()
        sink.send([Outgoing(1, _record(0, b""), b"1")])
        sink.abort()
    sink.commit({})
    sink.close()
    assert out.getvalue() == b""


@pytest.mark.parametrize(
    ("value", "shown"), [(b" {x\r", "{x"), (b"\xff", "\ufffd"), (b"y" * 300, "y" * 200), (None, "")]
)
def test_a_reject_is_one_line_with_its_number(value, shown):
    rejects = io.StringIO()
    LinesSink(io.BytesIO(), rejects).reject(Reject(_record(41, value), "decode", "E", "no JSON.", "trace"))
    assert rejects.getvalue() == f"stdin:42: decode: no JSON. The line: {shown}\n"


def test_a_message_that_is_no_utf8_is_told_all_the_same(tmp_path):
    r"""JSON may carry "\ud800", and a model may raise with it in the text."""
    with (tmp_path / "rejects").open("w", encoding="utf-8") as rejects:
        LinesSink(io.BytesIO(), rejects).reject(Reject(_record(0, b"1"), "action", "E", "bad \ud800", ""))
