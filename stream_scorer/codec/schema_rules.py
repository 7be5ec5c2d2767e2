"""Checks that parsed JSON is an Avro 1.8 schema. Its errors are one line, as ModelOp's API returns them."""

from __future__ import annotations

import re
import reprlib
from collections.abc import Iterator
from typing import Any

from stream_scorer.codec.schema import NO_SCHEMA, PRIMITIVES, Schema, check_nested, make_schema
from stream_scorer.codec.schema_parts import NAMED

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_\-]*(\.[A-Za-z_][A-Za-z0-9_\-]*)*", re.ASCII)
_SYMBOL = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_MAX_TEXT = 400
"""Characters of an error text: a name in it may have any length."""
_INNER = {"array": "items", "map": "values"}


class BadSchema(ValueError):
    """What is wrong with a schema, in one line."""


def checked_schema(name: str, definition: Any) -> Schema:
    """The schema in parsed JSON. Raises BadSchema. Attributes that Avro does not know are accepted."""
    try:
        check_nested(definition)
        definition = _unwrapped(definition)
        _Rules().check(definition, "")
        return make_schema(name, definition)
    except BadSchema as error:
        raise BadSchema(str(error)[:_MAX_TEXT]) from None
    except NO_SCHEMA as error:
        raise BadSchema(
            f"not an Avro schema: {type(error).__name__}: {' '.join(str(error)[:_MAX_TEXT].split())}"
        ) from error


def _unwrapped(definition: Any) -> Any:
    """{"type": {"type": "array", ...}} means the same as {"type": "array", ...}: return the inner one, at any depth."""
    if isinstance(definition, list):
        return [_unwrapped(branch) for branch in definition]
    if not isinstance(definition, dict):
        return definition
    if isinstance(definition.get("type"), dict | list) and "fields" not in definition:
        return _unwrapped(definition["type"])
    changed = dict(definition)
    for key in ("items", "values"):
        if key in changed:
            changed[key] = _unwrapped(changed[key])
    if isinstance(changed.get("fields"), list):
        changed["fields"] = [
            {**field, "type": _unwrapped(field["type"])} if isinstance(field, dict) and "type" in field else field
            for field in changed["fields"]
        ]
    return changed


class _Rules:
    """One walk through a schema. It keeps the names that are defined so far."""

    def __init__(self) -> None:
        self._names: set[str] = set()

    def check(self, schema: Any, space: str) -> None:
        if isinstance(schema, str):
            if schema not in PRIMITIVES and not {schema, _full(schema, space)} & self._names:
                raise BadSchema(f'Type "{schema}" is undefined')
        elif isinstance(schema, list):
            self._union(schema, space)
        elif isinstance(schema, dict):
            self._object(schema, space)
        else:
            raise BadSchema(f"A schema is a string, an object or an array, not {reprlib.repr(schema)}")

    def _union(self, branches: list[Any], space: str) -> None:
        seen = set()
        for branch in branches:
            if isinstance(branch, list):
                raise BadSchema("A union may not contain a union")
            self.check(branch, space)
            name = _branch(branch, space)
            if name in seen:
                raise BadSchema(f'A union may contain "{name}" only once')
            seen.add(name)

    def _object(self, schema: dict[str, Any], space: str) -> None:
        kind = schema.get("type")
        if kind is None:
            raise BadSchema('A schema object has no "type"')
        if kind in NAMED:
            self._named(schema, kind, space)
        elif kind in _INNER:
            if _INNER[kind] not in schema:
                raise BadSchema(f'Type "{kind}" has no "{_INNER[kind]}"')
            self.check(schema[_INNER[kind]], space)
        else:
            self.check(kind, space)

    def _named(self, schema: dict[str, Any], kind: str, space: str) -> None:
        name = schema.get("name")
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise BadSchema(f'Type "{kind}" needs a "name" of letters, digits and _, found {name!r}')
        space = schema.get("namespace", space) if "." not in name else name.rpartition(".")[0]
        full = _full(name, space)
        if full in self._names or full in PRIMITIVES:
            raise BadSchema(f'Type "{full}" is defined twice')
        self._names.add(full)
        if kind == "enum":
            _check_symbols(full, schema.get("symbols"))
        elif kind == "fixed":
            size = schema.get("size")
            if not isinstance(size, int) or isinstance(size, bool) or size < 0:
                raise BadSchema(f'Fixed "{full}" needs a "size" in bytes, found {size!r}')
        else:
            for field_type in _field_types(full, schema.get("fields")):
                self.check(field_type, space)


def _field_types(record: str, fields: Any) -> Iterator[Any]:
    if not isinstance(fields, list):
        raise BadSchema(f'Record "{record}" needs an array of "fields"')
    seen = set()
    for field in fields:
        if not isinstance(field, dict) or not isinstance(field.get("name"), str):
            raise BadSchema(f'A field of record "{record}" has no "name"')
        if "type" not in field:
            raise BadSchema(f'Field "{field["name"]}" of record "{record}" has no "type"')
        if field["name"] in seen:
            raise BadSchema(f'Record "{record}" has two fields "{field["name"]}"')
        seen.add(field["name"])
        yield field["type"]


def _check_symbols(enum: str, symbols: Any) -> None:
    if not isinstance(symbols, list) or not symbols:
        raise BadSchema(f'Enum "{enum}" needs an array of "symbols"')
    for symbol in symbols:
        if not isinstance(symbol, str) or not _SYMBOL.fullmatch(symbol):
            raise BadSchema(f'Enum "{enum}": a symbol is of letters, digits and _, not {symbol!r}')
    if len(set(symbols)) < len(symbols):
        raise BadSchema(f'Enum "{enum}" has a symbol twice')


def _full(name: str, space: str) -> str:
    return f"{space}.{name}" if space and "." not in name else name


def _branch(branch: Any, space: str) -> str:
    if not isinstance(branch, dict):
        return str(branch)
    return _full(branch["name"], branch.get("namespace", space)) if branch["type"] in NAMED else str(branch["type"])
