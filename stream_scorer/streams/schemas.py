"""Schemas of a descriptor: a name, Avro JSON, a reference. Section [f]."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from stream_scorer.codec.schema import PRIMITIVES, Schema
from stream_scorer.codec.schema_rules import BadSchema, checked_schema
from stream_scorer.errors import DescriptorError, SchemaError, StreamScorerError

FindSchema = Callable[[str], Any]


def verified(definition: Any, *, name: str = "schema") -> Schema:
    """A schema that a client gave. Raises DescriptorError, its text as the original's: Type "foobar" is undefined."""
    try:
        return checked_schema(name, definition)
    except BadSchema as error:
        raise DescriptorError(str(error)) from error


def data_problem(schema: Schema, value: Any) -> str | None:
    """What is wrong with a value, as the original tells it: Int expected, not "fastscore". None if nothing is."""
    try:
        schema.check(value)
    except SchemaError as error:
        text = re.sub(r"expected (.*?), not (.*) \(\w+\)$", r"\1 expected, not \2", str(error), flags=re.DOTALL)
        return text[:1].upper() + text[1:]
    return None


def resolve(given: Any, find_schema: FindSchema) -> tuple[str, Any]:
    """Name and definition of what stands in a descriptor's Schema, references followed. Raises DescriptorError."""
    if isinstance(given, str):
        return given, given if given in PRIMITIVES else _find(given, find_schema)
    if isinstance(given, dict) and set(given) == {"$ref"}:
        return str(given["$ref"]), _followed(given, find_schema, ())
    return "stream", _followed(given, find_schema, ())


def _followed(given: Any, find_schema: FindSchema, seen: tuple[str, ...]) -> Any:
    if isinstance(given, list):
        return [_followed(one, find_schema, seen) for one in given]
    if not isinstance(given, dict):
        return given
    if "$ref" in given:
        name = given["$ref"]
        if not isinstance(name, str):
            raise DescriptorError(f'Schema: "$ref" wants the name of a schema, found {name!r}.')
        if name in seen:
            raise DescriptorError(f"Schema: {name!r} refers to itself.")
        return _followed(_find(name, find_schema), find_schema, (*seen, name))
    return {key: _followed(one, find_schema, seen) for key, one in given.items()}


def _find(name: str, find_schema: FindSchema) -> Any:
    try:
        return find_schema(name)
    except (StreamScorerError, LookupError) as error:
        if name in PRIMITIVES:
            return name
        detail = str(error) if isinstance(error, StreamScorerError) else "no schema of that name"
        raise DescriptorError(f"Schema: {name!r} cannot be had: {detail}") from error
