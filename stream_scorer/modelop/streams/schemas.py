"""Schemas of descriptors, given as a name, as Avro JSON or as a reference (rule `f.schema`)."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from stream_scorer.codec.schema import PRIMITIVES, Schema
from stream_scorer.codec.schema_rules import BadSchema, checked_schema
from stream_scorer.errors import DescriptorError, SchemaError, StreamScorerError
from stream_scorer.modelop.streams.transport_kinds import shown

FindSchema = Callable[[str], Any]
"""Returns the parsed JSON of the schema of a name. May raise LookupError or an error of ours."""
_MAX_PARTS = 100_000
_MAX_NAME = 200  # characters of a schema's name in an error text


def verified(definition: Any, *, name: str = "schema") -> Schema:
    """Return a client's schema, checked.

    Raises DescriptorError with the text of the vendor's engine: Type "foobar" is undefined.
    """
    try:
        return checked_schema(name, definition)
    except BadSchema as error:
        raise DescriptorError(str(error)) from error


def data_problem(schema: Schema, value: Any) -> str | None:
    """Return what is wrong with a value, in the words of the vendor's engine: Int expected, not "fastscore".

    None if the value fits.
    """
    try:
        schema.check(value)
    except SchemaError as error:
        text = re.sub(r"expected (.*?), not (.*) \(\w+\)$", r"\1 expected, not \2", str(error), flags=re.DOTALL)
        return text[:1].upper() + text[1:]
    return None


def resolve(given: Any, find_schema: FindSchema) -> tuple[str, Any]:
    """Return name and definition of a descriptor's Schema, references followed. Raises DescriptorError."""
    if isinstance(given, str):
        return given, given if given in PRIMITIVES else _find(given, find_schema)
    name = given["$ref"] if isinstance(given, dict) and set(given) == {"$ref"} else "stream"
    return str(name)[:_MAX_NAME], _Resolver(find_schema).resolved(given, ())


class _Resolver:
    """Replaces references by what they refer to.

    The number of parts is limited: two references in each schema, thirty deep, would be a thousand million parts.
    """

    def __init__(self, find_schema: FindSchema) -> None:
        self._find_schema = find_schema
        self._parts = 0

    def resolved(self, given: Any, seen: tuple[str, ...]) -> Any:
        self._parts += 1
        if self._parts > _MAX_PARTS:
            raise DescriptorError(f"Schema: with all that it refers to it has more than {_MAX_PARTS:,} parts.")
        if isinstance(given, list):
            return [self.resolved(part, seen) for part in given]
        if not isinstance(given, dict):
            return given
        if "$ref" in given:
            name = given["$ref"]
            if not isinstance(name, str):
                raise DescriptorError(f'Schema: "$ref" needs the name of a schema, found {shown(name)}.')
            if name in seen:
                raise DescriptorError(f"Schema: {shown(name)} refers to itself.")
            return self.resolved(_find(name, self._find_schema), (*seen, name))
        return {key: self.resolved(part, seen) for key, part in given.items()}


def _find(name: str, find_schema: FindSchema) -> Any:
    try:
        return find_schema(name)
    except (StreamScorerError, LookupError) as error:
        if name in PRIMITIVES:
            return name
        detail = str(error) if isinstance(error, StreamScorerError) else "no schema of that name"
        raise DescriptorError(f"Schema: {shown(name)} cannot be had: {detail}") from error
