"""Values on their way out, made what their encoding writes: unions, bytes and logical types by the schema.

A model may give a union's value bare (3) or tagged as Avro's JSON has it ({"int": 3}); JSON is written
tagged, Avro binary needs the branch. Section [l-4].
"""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any

from stream_scorer.codec.schema import PRIMITIVES, Schema, Types, branch_name, fits

Tag = Callable[[str, Any], Any]
PARTS = (*PRIMITIVES, "array", "map", "record", "error", "enum", "fixed")


class Shaper:
    """`shape(value)` of a value that fits the schema. A new value; the model's own stays as it was.

    Args:
        tag: makes a union's value of the branch's name and the value.
        leaf: makes what is written of a value that is bytes, fixed or of a logical type.
    """

    def __init__(self, schema: Schema, tag: Tag, leaf: Callable[[Any, str], Any]) -> None:
        self._schema = schema
        self._tag, self._leaf = tag, leaf
        self._busy = _has_any(schema.parsed, schema.named, set())

    def shape(self, value: Any) -> Any:
        return self._shape(value, self._schema.parsed, Types(self._schema.named)) if self._busy else value

    def _shape(self, value: Any, schema: Any, types: Types) -> Any:
        if isinstance(schema, list):
            return self._union(value, schema, types)
        kind = schema["type"] if isinstance(schema, dict) else schema
        if isinstance(kind, dict | list):
            return self._shape(value, kind, types)
        if kind not in PARTS and kind in self._schema.named:
            return self._shape(value, self._schema.named[kind], types)
        if kind == "array":
            return [self._shape(item, schema["items"], types) for item in value]
        if kind == "map":
            return {key: self._shape(item, schema["values"], types) for key, item in value.items()}
        if kind in ("record", "error"):
            kinds = {field["name"]: field["type"] for field in schema["fields"]}
            return {key: self._shape(item, kinds[key], types) if key in kinds else item for key, item in value.items()}
        if kind in ("bytes", "fixed") or not isinstance(value, str | int | float | None):
            return self._leaf(value, kind)
        return value

    def _union(self, value: Any, branches: list[Any], types: Types) -> Any:
        if isinstance(value, dict) and len(value) == 1:
            ((name, inner),) = value.items()
            for branch in branches:
                if branch_name(branch) == name and fits(inner, branch, types):
                    return self._tag(name, self._shape(inner, branch, types))
        for branch in branches:
            if fits(value, branch, types):
                return None if value is None else self._tag(branch_name(branch), self._shape(value, branch, types))
        return value


def for_json(schema: Schema, *, tagged: bool) -> Shaper:
    """Tagged or bare unions, bytes as a string of their code points, times as numbers."""
    return Shaper(schema, (lambda name, value: {name: value}) if tagged else (lambda _, value: value), _json_leaf)


def for_avro(schema: Schema) -> Shaper:
    """Unions as fastavro takes them: (branch, value)."""
    return Shaper(schema, lambda name, value: (name, value), _avro_leaf)


def _json_leaf(value: Any, _: str) -> Any:
    if isinstance(value, bytes | bytearray):
        return value.decode("latin-1")
    if isinstance(value, datetime.datetime):
        aware = value if value.tzinfo else value.replace(tzinfo=datetime.UTC)
        return round(aware.timestamp() * 1000)
    return value


def _avro_leaf(value: Any, kind: str) -> Any:
    return value.encode("latin-1") if isinstance(value, str) and kind in ("bytes", "fixed") else value


def _has_any(schema: Any, named: Any, seen: set[str]) -> bool:
    """Whether anything in the schema needs shaping: a union, bytes, fixed, a logical type. Names once seen are left."""
    if isinstance(schema, list):
        return True
    if not isinstance(schema, dict):
        if schema in named and schema not in seen:
            seen.add(schema)
            return _has_any(named[schema], named, seen)
        return bool(schema == "bytes")
    if "logicalType" in schema or schema["type"] in ("bytes", "fixed"):
        return True
    if "fields" in schema:
        seen.add(schema.get("name", ""))
        return any(_has_any(field["type"], named, seen) for field in schema["fields"])
    inner = schema.get("items", schema.get("values", schema["type"]))
    return inner != schema["type"] and _has_any(inner, named, seen)
