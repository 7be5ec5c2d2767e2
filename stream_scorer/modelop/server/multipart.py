"""multipart/mixed, as the vendor's clients write it by hand: bodies are any bytes, a line break may lead."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from stream_scorer.modelop.server.answers import HttpError

_PARAMETER = re.compile(r';\s*([\w*-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;"]*))')


class Part(NamedTuple):
    """`headers` have names in lower case."""

    headers: Mapping[str, str]
    body: bytes


def value_of(header: str) -> str:
    """A header without its parameters, in lower case: `multipart/mixed`."""
    return header.partition(";")[0].strip().lower()


def parameters(header: str) -> dict[str, str]:
    """`name` and the like behind the value; names in lower case."""
    found: dict[str, str] = {}
    for name, quoted, bare in _PARAMETER.findall(header):
        found.setdefault(name.lower(), re.sub(r"\\(.)", r"\1", quoted) if quoted else bare)
    return found


def parse(body: bytes, content_type: str) -> list[Part]:
    """The parts, in order. Raises HttpError 400."""
    boundary = parameters(content_type).get("boundary", "")
    if not boundary:
        raise HttpError(400, "multipart without a boundary: give it in the Content-Type")
    # A delimiter is a line of its own; the line break before it belongs to it, not to the part.
    line = re.compile(rb"(?:^|\r?\n)--" + re.escape(boundary.encode()) + rb"(--)?[ \t]*(?=\r?\n|\Z)")
    parts: list[Part] = []
    start: int | None = None
    for delimiter in line.finditer(body):
        if start is not None:
            parts.append(_part(body[start : delimiter.start()]))
        start = delimiter.end()
        if delimiter[1]:
            return parts
    what = "no last boundary: the body was cut off" if start is not None else f"no boundary {boundary!r} in the body"
    raise HttpError(400, f"multipart: {what}")


def _part(raw: bytes) -> Part:
    """What is between two delimiters, the line break behind the first one included."""
    head, body = _split(raw.removeprefix(b"\r").removeprefix(b"\n"))
    return Part(header_lines(head), body)


def _split(raw: bytes) -> tuple[bytes, bytes]:
    if raw.startswith((b"\r\n", b"\n")):  # no headers at all
        return b"", raw.removeprefix(b"\r").removeprefix(b"\n")
    blank = re.search(rb"\r?\n\r?\n", raw)
    return (raw[: blank.start()], raw[blank.end() :]) if blank else (raw, b"")


def header_text(raw: bytes) -> str:
    """Of a header: UTF-8 if it is that, Latin-1 otherwise."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def header_lines(raw: bytes) -> dict[str, str]:
    """By name, in lower case; folded ones too."""
    found = {}
    for line in re.sub(r"\r?\n[ \t]+", " ", header_text(raw)).splitlines():
        name, colon, value = line.partition(":")
        if colon:
            found[name.strip().lower()] = value.strip()
    return found
