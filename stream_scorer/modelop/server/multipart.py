"""Reads multipart/mixed as the vendor's clients write it: bodies are any bytes, and a line break may come first."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from stream_scorer.modelop.server.answers import HttpError

_PARAMETER = re.compile(r';\s*([\w*-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;"]*))')
MAX_PARTS = 1000
MAX_HEAD = 32 << 10
"""Most bytes of the headers of a part."""
_DELIMITER_END = re.compile(rb"(--)?[ \t]*(?=\r?\n|\Z)")
_BLANK_LINE = re.compile(rb"\r?\n\r?\n")
_LINE_BREAK = re.compile(rb"\r?\n")


class Part(NamedTuple):
    """A part. Names of `headers` are in lower case."""

    headers: Mapping[str, str]
    body: bytes


def value_of(header: str) -> str:
    """Return a header's value without its parameters, in lower case: `multipart/mixed`."""
    return header.partition(";")[0].strip().lower()


def parameters(header: str) -> dict[str, str]:
    """Return the parameters behind a header's value; their names are in lower case."""
    values: dict[str, str] = {}
    for name, quoted, bare in _PARAMETER.findall(header):
        values.setdefault(name.lower(), re.sub(r"\\(.)", r"\1", quoted) if quoted else bare)
    return values


def parse(body: bytes, content_type: str) -> list[Part]:
    """Return the parts, in order. Raises HttpError 400."""
    boundary = parameters(content_type).get("boundary", "")
    if not boundary:
        raise HttpError(400, "multipart without a boundary: give it in the Content-Type")
    parts: list[Part] = []
    start: int | None = None
    for before, after, last in _delimiters(body, b"--" + boundary.encode()):
        if start is not None:
            if len(parts) == MAX_PARTS:
                raise HttpError(400, f"multipart: more than {MAX_PARTS:,} parts")
            parts.append(_part(body, start, before))
        start = after
        if last:
            return parts
    problem = "no last boundary: the body was cut off" if start is not None else f"no boundary {boundary!r} in the body"
    raise HttpError(400, f"multipart: {problem}")


def _delimiters(body: bytes, mark: bytes) -> Iterator[tuple[int, int, bool]]:
    """Yield where each delimiter begins and ends, and whether it is the last one.

    A delimiter is a line of its own. The line break before it belongs to the delimiter, not to the part. `find` and not
    a regular expression, which stops at every line break of an attachment: a second for each 10 MB.
    """
    at = 0 if body.startswith(mark) else body.find(b"\n" + mark)
    while at >= 0:
        end = _DELIMITER_END.match(body, body.index(mark, at) + len(mark))
        if end:
            yield at - (at > 0 and body[at - 1 : at] == b"\r"), end.end(), bool(end[1])
        at = body.find(b"\n" + mark, at + 1)


def _part(body: bytes, start: int, end: int) -> Part:
    """Read what is between two delimiters. It begins with the line break of the first. Raises HttpError 400."""
    start = _after_line_break(body, start, end)
    first = _after_line_break(body, start, end)
    if first > start:  # no headers at all
        return Part({}, body[first:end])
    blank = _BLANK_LINE.search(body, start, min(end, start + MAX_HEAD))
    if blank is None and end - start > MAX_HEAD:
        raise HttpError(400, f"multipart: the headers of a part are longer than {MAX_HEAD:,} bytes")
    head_end, body_start = blank.span() if blank else (end, end)
    return Part(header_lines(body[start:head_end]), body[body_start:end])


def _after_line_break(body: bytes, start: int, end: int) -> int:
    """Return where the text goes on behind a line break at `start`; `start` if there is none."""
    found = _LINE_BREAK.match(body, start, end)
    return found.end() if found else start


def header_text(raw: bytes) -> str:
    """Return a header as text: UTF-8 if it is valid, Latin-1 otherwise."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def header_lines(raw: bytes) -> dict[str, str]:
    """Return headers by their name in lower case. Folded headers are joined."""
    headers = {}
    for line in re.sub(r"\r?\n[ \t]+", " ", header_text(raw)).splitlines():
        name, colon, value = line.partition(":")
        if colon:
            headers[name.strip().lower()] = value.strip()
    return headers
