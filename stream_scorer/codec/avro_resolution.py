"""Decodes Avro bytes of one schema, the writer's, as values of another, the reader's, by Avro's schema resolution.

Two rules differ from Avro's: names of records need not match, as ModelOp's compatibility rules say; and a time is converted
to the reader's unit.
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
    """Reads values of `writer`, a schema that fastavro parsed, as values of `reader`.

    Raises nothing: if no value of the writer can be read, the `Read` raises Unresolved at each value.
    """
    try:
        return Resolution(named_in(writer), reader.named).resolved(writer, reader.parsed)
    except Unresolved as error:
        return _refuse_all(error)
    except RecursionError:
        return _refuse_all(Unresolved("types are nested too deeply to be compared"))


class Resolution(Readers):
    """Compiles pairs of types: one of the writer, one of the reader.

    Args:
        written: named types of the writer's schema.
        asked: named types of the reader's schema.
    """

    def __init__(self, written: Mapping[str, Any], asked: Mapping[str, Any]) -> None:
        super().__init__(written)
        self._asked = asked
        # Pairs of records by their names, because a record may contain itself.
        self._done: dict[tuple[str, str], Read] = {}
        self._unresolved: dict[tuple[str, str], str] = {}

    def resolved(self, writer: Any, reader: Any) -> Read:
        """Reads values of a type of the writer as values of a type of the reader. Raises Unresolved: that is never possible."""
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
        """If the reader cannot read one branch of the writer, only values of that branch are refused."""
        try:
            return self.resolved(writer, reader)
        except Unresolved as error:
            return _refuse_all(error)

    def _into_union(self, writer: Any, reader: list[Any]) -> Read:
        """Tries the branch of the same type and name, then those of the same type, then all in order."""
        branches = [type_of(branch, self._asked) for branch in reader]
        same_type = [branch for branch in branches if branch["type"] == writer["type"]]
        same_name = [branch for branch in same_type if _short_name(branch) == _short_name(writer)]
        for branch in (*same_name, *same_type, *branches):
            try:
                return self.resolved(writer, branch)
            except Unresolved:
                continue
        raise Unresolved(f"{branch_name(writer)} cannot be read as {' or '.join(map(branch_name, branches))}")

    def _as_record(self, writer: Any, reader: Any) -> Read:
        """Records match by their fields, whatever the names of the records."""
        key = writer["name"], reader["name"]
        if key in self._unresolved:
            raise Unresolved(self._unresolved[key])
        if key not in self._done:
            fields: list[tuple[str | None, Read]] = []
            supplied: list[tuple[str, Callable[[], Any]]] = []
            size = len(self._done)
            self._done[key] = read_record(fields, supplied)
            try:
                self._fill(writer, reader, fields, supplied)
            except Unresolved as error:
                # Pairs that were compiled meanwhile may refer to this one.
                while len(self._done) > size:
                    self._done.popitem()
                self._unresolved[key] = str(error)
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
        written = {field["name"] for field in asked.values()}
        supplied += [
            (field["name"], self._supply(reader, field)) for field in reader["fields"] if field["name"] not in written
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


def _short_name(schema: Any) -> str:
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
    """Converts times to the reader's unit, if both types have one. Raises Unresolved: the logical types differ."""
    problem = logical_mismatch(reader, writer, units=False)
    if problem is not None:
        raise Unresolved(problem)
    written, asked = logical_of(writer), logical_of(reader)
    if written is None or asked is None or written.us == asked.us:
        return read
    written_us, asked_us = written.us, asked.us
    return _then(read, lambda number: number * written_us // asked_us)


def _symbols(writer: Any, reader: Any) -> list[Any]:
    """For each symbol of the writer, in its order, the symbol that the reader gets; an Unresolved if it gets none."""
    known, default = reader["symbols"], reader.get("default")
    problems = [f"enum {reader['name']} has no symbol {symbol!r}, and no default" for symbol in writer["symbols"]]
    return [
        symbol if symbol in known else default or Unresolved(text)
        for symbol, text in zip(writer["symbols"], problems, strict=True)
    ]


def _refuse_all(error: Unresolved) -> Read:
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
