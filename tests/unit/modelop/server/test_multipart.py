"""multipart/mixed: what clients write, and any bytes in the parts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_scorer.modelop.server import multipart
from stream_scorer.modelop.server.answers import HttpError
from stream_scorer.modelop.server.snapshot_parts import as_multipart, contents_of, date_range

TYPE = "multipart/mixed; boundary=abc"


def _written(parts, *, lead=b"\r\n", line=b"\r\n"):
    """As the vendor's SDK writes it: a line break leads."""
    body = b""
    for headers, content in parts:
        head = line.join(f"{name}: {value}".encode() for name, value in headers.items())
        body += line + b"--abc" + line + head + line + line + content
    body += line + b"--abc--" + line
    return lead + body.removeprefix(line)


@given(
    st.lists(st.tuples(st.dictionaries(st.sampled_from(["A", "B-C"]), st.just("x; y=1"), min_size=1), st.binary())),
    st.sampled_from([b"", b"\r\n", b"\n", b"preamble\r\n"]),
    st.sampled_from([b"\r\n", b"\n"]),
)
def test_parts_come_back_byte_for_byte(parts, lead, line):
    if line == b"\n":  # then a last \r of a body cannot be told from one of the line break
        parts = [(headers, content.rstrip(b"\r")) for headers, content in parts]
    found = multipart.parse(_written(parts, lead=lead, line=line), TYPE)
    assert [part.body for part in found] == [content for _, content in parts]
    assert [part.headers for part in found] == [{name.lower(): "x; y=1" for name in headers} for headers, _ in parts]


def test_a_boundary_inside_a_line_is_data():
    assert multipart.parse(_written([({"A": "1"}, b"x--abc\r\n--abcd\r\n")]), TYPE)[0].body == b"x--abc\r\n--abcd\r\n"


def test_a_part_without_headers():
    assert multipart.parse(b"--abc\r\n\r\nhello\r\n--abc--", TYPE) == [multipart.Part({}, b"hello")]


@pytest.mark.parametrize(
    ("body", "content_type", "reason"),
    [
        (b"--abc\r\n\r\nhello", TYPE, "cut off"),
        (b"hello", TYPE, "no boundary 'abc'"),
        (b"--abc--", "multipart/mixed", "without a boundary"),
        (b"--abc\n\nx\n" * 1002 + b"--abc--", TYPE, "more than 1,000 parts"),
        (b"--abc\n" + b"a: b\n" * 10_000 + b"\n\nx\n--abc--", TYPE, "headers of a part are longer"),
        (b"--abc\n" + b"a" * 40_000 + b"\n--abc--", TYPE, "headers of a part are longer"),
    ],
)
def test_what_is_no_multipart_is_refused(body, content_type, reason):
    with pytest.raises(HttpError, match=reason):
        multipart.parse(body, content_type)


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ('x-model; name="a b"', "a b"),
        ("x-model; name=ab", "ab"),
        ('x-model; x=1; NAME="a;b"', "a;b"),
        ('x-model;name="a\\"b"', 'a"b'),
    ],
)
def test_parameters(header, name):
    assert multipart.parameters(header)["name"] == name


@given(st.binary())
def test_a_snapshot_goes_and_comes(blob):
    body, content_type = as_multipart({"id": "x"}, blob)
    assert contents_of(body, content_type) == blob
    assert contents_of(blob, "application/octet-stream") == blob


@pytest.mark.parametrize("text", ["2020-01-01", "x--", "--2020-13-01"])
def test_a_date_range_that_is_none(text):
    with pytest.raises(HttpError, match="date-range"):
        date_range(text)


def test_a_date_range_ends_with_the_day():
    since, until = date_range("2017-04-11--2017-04-13")
    assert since.isoformat() == "2017-04-11T00:00:00+00:00"
    assert until.isoformat() == "2017-04-13T23:59:59.999999+00:00"
    # a plus sign that was not escaped comes as a blank
    assert date_range("2017-04-11T02:00:00 02:00--")[0] == since
    assert date_range("") == (None, None)
