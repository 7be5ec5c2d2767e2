"""Reads multipart/mixed as the vendor's clients write it: bodies are any bytes, and a line break may come first."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from stream_scorer.modelop.server.answers import HttpError

_PARAMETER = re.compile(r';\s*([\w*-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;"]*))')


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
    # A delimiter is a line of its own. The line break before it belongs to the delimiter, not to the part.
    line = re.compile(rb"(?:^|\r?\n)--" + re.escape(boundary.encode()) + rb"(--)?[ \t]*(?=\r?\n|\Z)")
    parts: list[Part] = []
    start: int | None = None
    for delimiter in line.finditer(body):
        if start is not None:
            parts.append(_part(body[start : delimiter.start()]))
        start = delimiter.end()
        if delimiter[1]:
            return parts
    problem = "no last boundary: the body was cut off" if start is not None else f"no boundary {boundary!r} in the body"
    raise HttpError(400, f"multipart: {problem}")


def _part(raw: bytes) -> Part:
    """Read the bytes between two delimiters, which begin with the line break of the first."""
    head, body = _split(raw.removeprefix(b"\r").removeprefix(b"\n"))
    return Part(header_lines(head), body)


def _split(raw: bytes) -> tuple[bytes, bytes]:
    if raw.startswith((b"\r\n", b"\n")):  # no headers at all
        return b"", raw.removeprefix(b"\r").removeprefix(b"\n")
    blank = re.search(rb"\r?\n\r?\n", raw)
    return (raw[: blank.start()], raw[blank.end() :]) if blank else (raw, b"")


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
