"""Joins a schema and those that it refers to by name into one schema."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from stream_scorer.codec.schema import parse_schema


def joined_schema(definition: Any, referred: Iterable[Any]) -> Any:
    """The joined schema as fastavro parses it, from parsed JSON. Raises one of NO_SCHEMA.

    referred: the other schemas; each follows those that it refers to itself.
    """
    named: dict[str, Any] = {}
    others = [parse_schema(other, named) for other in referred]
    parsed = parse_schema(definition, named)
    return parse_schema(_inlined(parsed, named, set())) if others else parsed


def _inlined(schema: Any, named: Mapping[str, Any], done: set[str]) -> Any:
    """The definition of each type where it first occurs, its name from there on. Parsed schemas have full names."""
    if isinstance(schema, str):
        return schema if schema in done or schema not in named else _inlined(named[schema], named, done)
    if isinstance(schema, list):
        return [_inlined(branch, named, done) for branch in schema]
    own = {key: value for key, value in schema.items() if not key.startswith("__")}
    if "name" in own:
        if own["name"] in done:
            return own["name"]
        done.add(own["name"])
    for key in ("items", "values"):
        if key in own:
            own[key] = _inlined(own[key], named, done)
    if "fields" in own:
        own["fields"] = [{**field, "type": _inlined(field["type"], named, done)} for field in own["fields"]]
    elif isinstance(own["type"], dict | list):
        own["type"] = _inlined(own["type"], named, done)
    return own
