"""Reads Avro bytes that one schema wrote as another schema asks, by Avro's rules of schema resolution.

Two things differ from those rules. The norm says that names of records need not match. And a time is converted to the
reader's unit. A default value has the type that the reader's schema says.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from stream_scorer.codec.avro_reader import (
    SIMPLE,
    Read,
    Readers,
    Unresolved,
    read_array,
    read_enum,
    read_fixed,
    read_map,
    read_record,
    read_union,
)
from stream_scorer.codec.fitting import Compiler
from stream_scorer.codec.forms import PlainForm, fit_default
from stream_scorer.codec.logical import logical_mismatch, logical_of
from stream_scorer.codec.schema import Schema
from stream_scorer.codec.schema_parts import NAMED, branch_name, matched_fields, named_in, type_of, widens
from stream_scorer.codec.walk import Misfit

_TEXTS = ("string", "bytes")


def resolved(writer: Any, reader: Schema) -> Read:
    """How to read, as `reader` asks, what `writer` wrote. `writer` is a schema that fastavro parsed.

    Raises nothing: if no value of the writer can be read so, the `Read` raises Unresolved for each value.
    """
    try:
        return Resolution(named_in(writer), reader.named).resolved(writer, reader.parsed)
    except Unresolved as error:
        return _raising(error)
    except RecursionError:
        return _raising(Unresolved("types are nested too deeply to be compared"))


class Resolution(Readers):
    """Compiles pairs of types: one that was written, one that is asked for.

    Args:
        written: named types of the writer's schema.
        asked: named types of the reader's schema.
    """

    def __init__(self, written: Mapping[str, Any], asked: Mapping[str, Any]) -> None:
        super().__init__(written)
        self._asked = asked
        self._done: dict[tuple[str, str], Read] = {}
        self._wrong: dict[tuple[str, str], str] = {}

    def resolved(self, writer: Any, reader: Any) -> Read:
        """Reads values of one type of the writer as one type of the reader. Raises Unresolved: no value can be read so."""
        writer, reader = type_of(writer, self._written), type_of(reader, self._asked)
        if isinstance(writer, list):
            return read_union([self._branch(branch, reader) for branch in writer])
        if isinstance(reader, list):
            return self._into_union(writer, reader)
        wrote, asked = writer["type"], reader["type"]
        if wrote in SIMPLE and asked in SIMPLE:
            return _simple(writer, reader)
        if wrote != asked and not {wrote, asked} <= {"record", "error"}:
            raise _unlike(writer, reader)
        if wrote == "array":
            return read_array(self.resolved(writer["items"], reader["items"]))
        if wrote == "map":
            return read_map(self.resolved(writer["values"], reader["values"]))
        if wrote == "enum":
            return read_enum(_symbols(writer, reader))
        if wrote == "fixed":
            if writer["size"] != reader["size"]:
                raise Unresolved(f"fixed of {writer['size']} bytes cannot be read as fixed of {reader['size']}")
            return _changed(read_fixed(writer["size"]), writer, reader)
        return self._as_record(writer, reader)

    def _branch(self, writer: Any, reader: Any) -> Read:
        """If the reader cannot take one branch of the writer, only records with that branch are rejected."""
        try:
            return self.resolved(writer, reader)
        except Unresolved as error:
            return _raising(error)

    def _into_union(self, writer: Any, reader: list[Any]) -> Read:
        """Tries the branch of the same type and name, then those of the same type, then all in order."""
        branches = [type_of(branch, self._asked) for branch in reader]
        alike = [one for one in branches if one["type"] == writer["type"]]
        for branch in (*(one for one in alike if _last(one) == _last(writer)), *alike, *branches):
            try:
                return self.resolved(writer, branch)
            except Unresolved:
                continue
        raise Unresolved(f"{branch_name(writer)} cannot be read as {' or '.join(map(branch_name, branches))}")

    def _as_record(self, writer: Any, reader: Any) -> Read:
        """Records match by their fields, whatever their names."""
        key = writer["name"], reader["name"]
        if key in self._wrong:
            raise Unresolved(self._wrong[key])
        if key not in self._done:
            fields: list[tuple[str | None, Read]] = []
            supplied: list[tuple[str, Callable[[], Any]]] = []
            before = len(self._done)
            self._done[key] = read_record(fields, supplied)
            try:
                self._fill(writer, reader, fields, supplied)
            except Unresolved as error:
                # Pairs compiled since then may refer to this one.
                while len(self._done) > before:
                    self._done.popitem()
                self._wrong[key] = str(error)
                raise
        return self._done[key]

    def _fill(self, writer: Any, reader: Any, fields: list[Any], supplied: list[Any]) -> None:
        asked = matched_fields(writer, reader)
        for field in writer["fields"]:
            wanted = asked.get(field["name"])
            if wanted is None:
                fields.append((None, self.own(field["type"])))
                continue
            try:
                fields.append((wanted["name"], self.resolved(field["type"], wanted["type"])))
            except Unresolved as error:
                raise Unresolved(f"field {wanted['name']!r}: {error}") from None
        there = {field["name"] for field in asked.values()}
        supplied += [
            (field["name"], self._supply(reader, field)) for field in reader["fields"] if field["name"] not in there
        ]

    def _supply(self, reader: Any, field: Any) -> Callable[[], Any]:
        if "default" not in field:
            raise Unresolved(f"field {field['name']!r} of {reader['name']} was not written, and has no default")
        fit = Compiler(self._asked, PlainForm(filled=True)).fit(field["type"])

        def supply() -> Any:
            try:
                return fit_default(fit, field["default"])
            except Misfit as error:
                raise Unresolved(f"the default of field {field['name']!r} does not fit: {error.message()}") from None

        return supply


def _last(schema: Any) -> str:
    """The name of a type without its namespace; "" if the type has no name."""
    return str(schema.get("name", "")).rpartition(".")[2] if schema["type"] in NAMED else ""


def _simple(writer: Any, reader: Any) -> Read:
    wrote, asked = writer["type"], reader["type"]
    read = SIMPLE[wrote]
    if widens(wrote, asked):
        if asked in ("float", "double") and wrote in ("int", "long"):
            return _then(read, float)
    elif wrote in _TEXTS and asked in _TEXTS and wrote != asked:
        return _then(read, str.encode if asked == "bytes" else bytes.decode)
    elif wrote != asked:
        raise _unlike(writer, reader)
    return _changed(read, writer, reader)


def _changed(read: Read, writer: Any, reader: Any) -> Read:
    """Converts times to the reader's unit, if both schemas have a unit. Raises Unresolved: logical types do not match."""
    problem = logical_mismatch(reader, writer, units=False)
    if problem is not None:
        raise Unresolved(problem)
    one, other = logical_of(writer), logical_of(reader)
    if one is None or other is None or one.us == other.us:
        return read
    us, per = one.us, other.us
    return _then(read, lambda number: number * us // per)


def _symbols(writer: Any, reader: Any) -> list[Any]:
    """For each symbol of the writer, in its order, the symbol to give; an Unresolved if there is none."""
    known, default = reader["symbols"], reader.get("default")
    wrong = [f"enum {reader['name']} has no symbol {symbol!r}, and no default" for symbol in writer["symbols"]]
    return [
        symbol if symbol in known else default or Unresolved(text)
        for symbol, text in zip(writer["symbols"], wrong, strict=True)
    ]


def _raising(error: Unresolved) -> Read:
    text = str(error)

    def read(_: bytes, __: int) -> tuple[Any, int]:
        raise Unresolved(text)

    return read


def _unlike(writer: Any, reader: Any) -> Unresolved:
    return Unresolved(f"{branch_name(writer)} cannot be read as {branch_name(reader)}")


def _then(read: Read, change: Callable[[Any], Any]) -> Read:
    def changed(data: bytes, at: int) -> tuple[Any, int]:
        value, at = read(data, at)
        return change(value), at

    return changed
