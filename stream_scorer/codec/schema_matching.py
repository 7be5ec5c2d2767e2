"""Whether data of one schema may go where another is asked for: ModelOp's compatibility of schemas."""

from __future__ import annotations

from typing import Any

from stream_scorer.codec.logical import logical_mismatch
from stream_scorer.codec.schema import Schema
from stream_scorer.codec.schema_parts import NAMED, NUMBERS, branch_name, matched_fields, type_of, widens


def mismatch(reader: Schema, writer: Schema) -> str | None:
    """The reason, in one line, why data of `writer` may not go where `reader` is asked for; None if they may."""
    try:
        return _Match(reader, writer).compare(reader.parsed, writer.parsed, "")
    except RecursionError:
        return "types are nested too deeply to be compared"


class _Match:
    def __init__(self, reader: Schema, writer: Schema) -> None:
        self._reader, self._writer = reader.named, writer.named
        # Pairs of records that match, or are being compared and assumed to match, in order; and pairs that do not match.
        self._good: dict[tuple[str, str], None] = {}
        self._bad: dict[tuple[str, str], str] = {}

    def compare(self, reader: Any, writer: Any, at: str) -> str | None:
        reader, writer = type_of(reader, self._reader), type_of(writer, self._writer)
        if isinstance(writer, list):
            return next(filter(None, (self.compare(reader, branch, at) for branch in writer)), None)
        if isinstance(reader, list):
            if any(self.compare(branch, writer, at) is None for branch in reader):
                return None
            return _mismatch(" or ".join(map(branch_name, reader)), branch_name(writer), at)
        asked, given = reader["type"], writer["type"]
        if (problem := logical_mismatch(reader, writer)) is not None:
            return f"{f'at {at}: ' if at else ''}{problem}"
        if asked in NUMBERS and given in NUMBERS:
            return None if widens(given, asked) else _mismatch(asked, given, at)
        if asked != given:
            return _mismatch(_text(reader), _text(writer), at)
        if asked == "array":
            return self.compare(reader["items"], writer["items"], f"{at}[]")
        if asked == "map":
            return self.compare(reader["values"], writer["values"], f"{at}{{}}")
        if asked == "enum":
            extra = [symbol for symbol in writer["symbols"] if symbol not in reader["symbols"]]
            return _mismatch(_text(reader), f"one that has {', '.join(extra)} too", at) if extra else None
        if asked == "fixed" and reader["size"] != writer["size"]:
            return _mismatch(f"fixed of {reader['size']} bytes", f"fixed of {writer['size']}", at)
        return self._fields(reader, writer, at) if asked in ("record", "error") else None

    def _fields(self, reader: Any, writer: Any, at: str) -> str | None:
        pair = (reader["name"], writer["name"])
        if pair in self._good or pair in self._bad:
            return self._bad.get(pair)
        size = len(self._good)
        self._good[pair] = None
        types = {field["name"]: field["type"] for field in writer["fields"]}
        given = {field["name"]: types[name] for name, field in matched_fields(writer, reader).items()}
        problem = None
        for field in reader["fields"]:
            name = field["name"]
            if name in given:
                problem = self.compare(field["type"], given[name], f"{at}.{name}" if at else name)
            elif "default" not in field:
                problem = f"{f'at {at}: ' if at else ''}field {name!r} is asked for and not there"
            if problem:
                break
        if problem:
            # Pairs that matched meanwhile may have relied on this one.
            while len(self._good) > size:
                self._good.popitem()
            self._bad[pair] = problem
        return problem


def _text(schema: Any) -> str:
    return f"{schema['type']} {schema['name']}" if schema["type"] in NAMED else str(schema["type"])


def _mismatch(asked: str, given: str, at: str) -> str:
    return f"{f'at {at}: ' if at else ''}{asked} is asked for, {given} is given"
