"""Schemas of a descriptor: a name, Avro JSON, a reference. Section [f]."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from stream_scorer.codec.schema import PRIMITIVES, Schema
from stream_scorer.codec.schema_rules import BadSchema, checked_schema
from stream_scorer.errors import DescriptorError, SchemaError, StreamScorerError
from stream_scorer.modelop.streams.kinds import shown

FindSchema = Callable[[str], Any]
_MOST_PARTS = 100_000
_MOST_NAME = 200  # characters of a schema's name, as errors tell it


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
    name = given["$ref"] if isinstance(given, dict) and set(given) == {"$ref"} else "stream"
    return str(name)[:_MOST_NAME], _Follower(find_schema).of(given, ())


class _Follower:
    """Schemas with what they refer to put in. Two references a schema, thirty deep, would be a thousand million of them."""

    def __init__(self, find_schema: FindSchema) -> None:
        self._find_schema = find_schema
        self._parts = 0

    def of(self, given: Any, seen: tuple[str, ...]) -> Any:
        self._parts += 1
        if self._parts > _MOST_PARTS:
            raise DescriptorError(f"Schema: with all that it refers to it has more than {_MOST_PARTS:,} parts.")
        if isinstance(given, list):
            return [self.of(one, seen) for one in given]
        if not isinstance(given, dict):
            return given
        if "$ref" in given:
            name = given["$ref"]
            if not isinstance(name, str):
                raise DescriptorError(f'Schema: "$ref" wants the name of a schema, found {shown(name)}.')
            if name in seen:
                raise DescriptorError(f"Schema: {shown(name)} refers to itself.")
            return self.of(_find(name, self._find_schema), (*seen, name))
        return {key: self.of(one, seen) for key, one in given.items()}


def _find(name: str, find_schema: FindSchema) -> Any:
    try:
        return find_schema(name)
    except (StreamScorerError, LookupError) as error:
        if name in PRIMITIVES:
            return name
        detail = str(error) if isinstance(error, StreamScorerError) else "no schema of that name"
        raise DescriptorError(f"Schema: {shown(name)} cannot be had: {detail}") from error
