"""Bytes of Avro that one schema wrote, read as another one asks: by Avro's rules of evolution.

With what the norm says beyond them: names of records need not match. A default is of the type that the reader's schema
says, and a time is counted in the reader's unit.
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
from stream_scorer.codec.logical import logical_of, unlike
from stream_scorer.codec.parts import NAMED, branch_name, named_in, type_of
from stream_scorer.codec.schema import Schema
from stream_scorer.codec.walk import Misfit

_NUMBERS = ("int", "long", "float", "double")
_TEXTS = ("string", "bytes")


def resolved(writer: Any, reader: Schema) -> Read:
    """Of a writer's schema as fastavro parsed it. Where nothing that it may write can be read so, each value raises."""
    try:
        return Resolution(named_in(writer), reader.named).resolved(writer, reader.parsed)
    except Unresolved as error:
        return _raising(error)
    except RecursionError:
        return _raising(Unresolved("types are nested too deeply to be compared"))


class Resolution(Readers):
    """Compiles what one schema wrote and another one asks for.

    Args:
        written: the types that the writer's schema names. asked: those of the reader's.
    """

    def __init__(self, written: Mapping[str, Any], asked: Mapping[str, Any]) -> None:
        super().__init__(written)
        self._asked = asked
        self._done: dict[tuple[str, str], Read] = {}
        self._wrong: dict[tuple[str, str], str] = {}

    def resolved(self, writer: Any, reader: Any) -> Read:
        """Of the writer's schema, read as the reader's. Raises Unresolved: nothing it may write can be read so."""
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
        """One branch of the writer may be beyond the reader: that costs the records that have it."""
        try:
            return self.resolved(writer, reader)
        except Unresolved as error:
            return _raising(error)

    def _into_union(self, writer: Any, reader: list[Any]) -> Read:
        """The branch of the same type and name, else of the same type, else the first that can be read so."""
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
                # What was made since then may rely on this pair.
                while len(self._done) > before:
                    self._done.popitem()
                self._wrong[key] = str(error)
                raise
        return self._done[key]

    def _fill(self, writer: Any, reader: Any, fields: list[Any], supplied: list[Any]) -> None:
        asked = _matched(writer, reader)
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
                raise Unresolved(f"the default of field {field['name']!r} does not fit: {error.told()}") from None

        return supply


def _last(schema: Any) -> str:
    """The name of a type without its namespace; nothing of what has none."""
    return str(schema.get("name", "")).rpartition(".")[2] if schema["type"] in NAMED else ""


def _matched(writer: Any, reader: Any) -> dict[str, Any]:
    """The reader's fields by the name that the writer has for them: their own, else an alias."""
    wrote = {field["name"] for field in writer["fields"]}
    found = {field["name"]: field for field in reader["fields"] if field["name"] in wrote}
    for field in reader["fields"]:
        name = next((alias for alias in field.get("aliases", ()) if alias in wrote and alias not in found), None)
        if field["name"] not in found and name is not None:
            found[name] = field
    return found


def _simple(writer: Any, reader: Any) -> Read:
    wrote, asked = writer["type"], reader["type"]
    read = SIMPLE[wrote]
    if wrote in _NUMBERS and asked in _NUMBERS and _NUMBERS.index(wrote) <= _NUMBERS.index(asked):
        if asked in ("float", "double") and wrote in ("int", "long"):
            return _then(read, float)
    elif wrote in _TEXTS and asked in _TEXTS and wrote != asked:
        return _then(read, str.encode if asked == "bytes" else bytes.decode)
    elif wrote != asked:
        raise _unlike(writer, reader)
    return _changed(read, writer, reader)


def _changed(read: Read, writer: Any, reader: Any) -> Read:
    """Where both schemas say what the number counts: from the one unit to the other."""
    problem = unlike(reader, writer, units=False)
    if problem is not None:
        raise Unresolved(problem)
    one, other = logical_of(writer), logical_of(reader)
    if one is None or other is None or one.us == other.us:
        return read
    us, per = one.us, other.us
    return _then(read, lambda number: number * us // per)


def _symbols(writer: Any, reader: Any) -> list[Any]:
    """Of each symbol written what is read for it."""
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
