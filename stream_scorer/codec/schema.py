"""Avro schemas: found by the name a model uses, and checked against values."""

from __future__ import annotations

import datetime
import decimal
import itertools
import json
import reprlib
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fastavro
from fastavro.schema import SchemaParseException, UnknownType

from stream_scorer.errors import ModelError, SchemaError

PRIMITIVES = ("null", "boolean", "int", "long", "float", "double", "bytes", "string")
_LOGICAL = {
    "int-date": datetime.date,
    "int-time-millis": datetime.time,
    "long-time-micros": datetime.time,
    "long-timestamp-millis": datetime.datetime,
    "long-timestamp-micros": datetime.datetime,
    "long-local-timestamp-millis": datetime.datetime,
    "long-local-timestamp-micros": datetime.datetime,
    "bytes-decimal": decimal.Decimal,
    "fixed-decimal": decimal.Decimal,
    "string-uuid": uuid.UUID,
}
"""What fastavro reads logical types as, and takes for them; the type underneath will do too."""
NO_SCHEMA = (
    SchemaParseException, UnknownType, ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError
)  # fmt: skip
"""What `make_schema` raises on JSON that is no schema."""
MOST_NESTED = 256
"""Objects and arrays within each other in the JSON of a schema: what walks through schemas calls itself for each."""
_OF_FASTAVRO = frozenset(("__fastavro_parsed", "__named_schemas"))
_MOST_AT, _MOST_SHOWN = 200, 80  # characters of places and values in error texts
_RANGES = {"int": (-(2**31), 2**31 - 1), "long": (-(2**63), 2**63 - 1)}


@dataclass(frozen=True)
class Schema:
    """name: as the model says it. parsed: for fastavro. canonical: as JSON text, with everything said.

    named: the named types in it, by full name.
    """

    name: str
    parsed: Any
    canonical: str
    named: Mapping[str, Any]

    @property
    def primitive(self) -> str | None:
        """The primitive type this schema is, if it is one."""
        kind = self.parsed["type"] if isinstance(self.parsed, dict) else self.parsed
        return kind if kind in PRIMITIVES and not _logical(self.parsed) else None

    def as_file(self) -> str:
        """The text of an .avsc file; a primitive is written as an object, which all readers take."""
        definition = json.loads(self.canonical)
        return json.dumps({"type": definition} if isinstance(definition, str) else definition) + "\n"

    def check(self, value: Any) -> None:
        """Raises SchemaError that says where in the value, what was expected and what was found."""
        try:
            _check(value, self.parsed, Types(self.named), "")
        except RecursionError:
            raise SchemaError(f"nested too deeply for schema {self.name!r} to be checked") from None


def make_schema(name: str, definition: Any) -> Schema:
    """Of parsed JSON. Raises one of NO_SCHEMA."""
    named: dict[str, Any] = {}
    return Schema(name, parse_schema(definition, named), json.dumps(definition), named)


def parse_schema(definition: Any, named: dict[str, Any] | None = None) -> Any:
    """As fastavro takes it, of parsed JSON from anywhere; fills `named`. Raises one of NO_SCHEMA."""
    check_nested(definition)
    return fastavro.parse_schema(definition, named)


def check_nested(definition: Any) -> None:
    """Raises ValueError on JSON that no walk through it should meet."""
    level, depth = [definition], 0
    while level := [one for part in level for one in _parts(part)]:
        depth += 1
        if depth > MOST_NESTED:
            raise ValueError(f"nested more than {MOST_NESTED} deep")


def _parts(part: Any) -> Iterator[Any]:
    if isinstance(part, dict):
        if not _OF_FASTAVRO.isdisjoint(part):
            raise ValueError(f"{' and '.join(sorted(_OF_FASTAVRO))} are fastavro's own")
        yield from part.values()
    elif isinstance(part, list):
        yield from part


def load_schema(name: str, files: Mapping[str, Path], folder: Path) -> Schema:
    """The schema of a name: of `files`, else NAME.avsc (or NAME) in `folder`, else a primitive. Raises ModelError."""
    from stream_scorer.codec.schema_rules import checked_schema  # which knows schemas itself

    places = [files[name]] if name in files else [folder / f"{name}.avsc", folder / name]
    path = next((place for place in places if place.is_file()), None)
    if path is None:
        if name in PRIMITIVES and name not in files:
            return make_schema(name, name)
        raise ModelError(
            f"schema {name!r}: no file {' or '.join(map(str, places))}, and no Avro primitive has that name. "
            f"Give it by --schema {name}=FILE.avsc."
        )
    try:
        return checked_schema(name, json.loads(path.read_text()))
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"schema {name!r}: {path} is not an Avro schema: {type(error).__name__}: {error}.") from error


class Types:
    """The types that a schema names, for one check. known: whether a part of the value fits a type, by the ids of both.

    Without `known` each branch of a union would try all branches of the unions within it: 40 levels take for ever.
    """

    __slots__ = ("known", "named")

    def __init__(self, named: Mapping[str, Any]) -> None:
        self.named = named
        self.known: dict[tuple[int, int], bool] = {}


def fits(value: Any, schema: Any, types: Types) -> bool:
    """Whether a value fits a part of a schema; `types` are of the whole, and of one walk through one value."""
    part = id(value), id(types.named.get(schema, schema) if isinstance(schema, str) else schema)
    known = types.known.get(part)
    if known is None:
        try:
            _check(value, schema, types, None)
            known = True
        except SchemaError:
            known = False
        if isinstance(value, dict | list):
            types.known[part] = known
    return known


def _logical(schema: Any) -> bool:
    return isinstance(schema, dict) and "logicalType" in schema


def _check(value: Any, schema: Any, types: Types, at: str | None) -> None:
    if isinstance(schema, list):
        _check_union(value, schema, types, at)
        return
    kind = schema["type"] if isinstance(schema, dict) else schema
    if isinstance(kind, list | dict):
        _check(value, kind, types, at)
    elif _logical(schema) and isinstance(value, _LOGICAL.get(f"{kind}-{schema['logicalType']}", ())):
        return
    elif kind in _CHECKS:
        _CHECKS[kind](value, schema, types, at)
    elif kind in types.named:
        _check(value, types.named[kind], types, at)
    else:
        raise SchemaError(f"{_at(at)}no type {kind!r} in the schema")


def _fail(expected: str, value: Any, at: str | None) -> SchemaError:
    if at is None:
        return SchemaError("one branch of a union does not fit")  # nobody reads it: another branch may fit
    return SchemaError(f"{_at(at)}expected {expected}, not {_shown(value)} ({type(value).__name__})")


_SHOWN = json.JSONEncoder(default=reprlib.repr)


def _shown(value: Any) -> str:
    """Raises nothing: what a model gives may be a list in itself, or an integer too long for text."""
    try:
        if isinstance(value, dict | list | tuple):
            # No more of it than is shown, and an object's own text is as long as it likes.
            pieces = itertools.islice(_SHOWN.iterencode(value), _MOST_SHOWN)
            return "".join(piece[:_MOST_SHOWN] for piece in pieces)[:_MOST_SHOWN]
        return json.dumps(value, default=reprlib.repr)[:_MOST_SHOWN]
    except (TypeError, ValueError, RecursionError):
        return "what JSON cannot write"


def _within(at: str | None, part: str) -> str | None:
    return None if at is None else f"{at}{part}" if at or part[0] == "[" else part.removeprefix(".")


def _at(at: str | None) -> str:
    return f"at {at if len(at) <= _MOST_AT else f'{at[:_MOST_AT]}...'}: " if at else ""


def _check_integer(value: Any, schema: Any, _: Any, at: str | None) -> None:
    kind = schema["type"] if isinstance(schema, dict) else schema
    low, high = _RANGES[kind]
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise _fail(kind, value, at)


def _check_number(value: Any, schema: Any, _: Any, at: str | None) -> None:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise _fail(schema["type"] if isinstance(schema, dict) else schema, value, at)


def _simple(expected: str, fits: Callable[[Any], bool]) -> Callable[[Any, Any, Any, str | None], None]:
    def check(value: Any, _: Any, __: Any, at: str | None) -> None:
        if not fits(value):
            raise _fail(expected, value, at)

    return check


def _is_bytes(value: Any) -> bool:
    """JSON carries bytes as a string of code points up to 255."""
    return isinstance(value, bytes) or (isinstance(value, str) and all(ord(letter) < 256 for letter in value))


def _check_fixed(value: Any, schema: Any, _: Any, at: str | None) -> None:
    if not _is_bytes(value) or len(value) != schema["size"]:
        raise _fail(f"fixed of {schema['size']} bytes", value, at)


def _check_enum(value: Any, schema: Any, _: Any, at: str | None) -> None:
    if value not in schema["symbols"]:
        raise _fail(f"one of {', '.join(schema['symbols'])}", value, at)


def _check_array(value: Any, schema: Any, types: Types, at: str | None) -> None:
    if not isinstance(value, list | tuple):
        raise _fail("array", value, at)
    for number, item in enumerate(value):
        _check(item, schema["items"], types, _within(at, f"[{number}]"))


def _check_map(value: Any, schema: Any, types: Types, at: str | None) -> None:
    if not isinstance(value, dict):
        raise _fail("map", value, at)
    for key, item in value.items():
        if not isinstance(key, str):
            raise _fail("string key", key, at)
        _check(item, schema["values"], types, _within(at, f".{key}"))


def _check_record(value: Any, schema: Any, types: Types, at: str | None) -> None:
    if not isinstance(value, dict):
        raise _fail("record", value, at)
    for field in schema["fields"]:
        where = _within(at, f".{field['name']}")
        if field["name"] in value:
            _check(value[field["name"]], field["type"], types, where)
        elif "default" not in field:
            raise SchemaError(f"{_at(at)}field {field['name']!r} is missing")


def _check_union(value: Any, branches: Any, types: Types, at: str | None) -> None:
    """Untagged, or tagged as Avro's JSON has it: {"int": 3}."""
    if isinstance(value, dict) and len(value) == 1:
        ((tag, inner),) = value.items()
        branch = next((branch for branch in branches if branch_name(branch) == tag), None)
        if branch is not None:
            _check(inner, branch, types, at)
            return
    if not any(fits(value, branch, types) for branch in branches):
        raise _fail(f"one of {', '.join(map(branch_name, branches))}", value, at)


def branch_name(branch: Any) -> str:
    """A union's branch as a tag has it."""
    if isinstance(branch, dict):
        return str(branch.get("name", branch["type"]))
    return str(branch)


_CHECKS: dict[str, Callable[[Any, Any, Any, str | None], None]] = {
    "null": _simple("null", lambda value: value is None),
    "boolean": _simple("boolean", lambda value: isinstance(value, bool)),
    "int": _check_integer,
    "long": _check_integer,
    "float": _check_number,
    "double": _check_number,
    "string": _simple("string", lambda value: isinstance(value, str)),
    "bytes": _simple("bytes", _is_bytes),
    "fixed": _check_fixed,
    "enum": _check_enum,
    "array": _check_array,
    "map": _check_map,
    "record": _check_record,
    "error": _check_record,
}
