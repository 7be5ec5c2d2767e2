"""A schema and those that it refers to by name, as one schema that needs no other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from stream_scorer.codec.schema import parse_schema


def joined_schema(definition: Any, referred: Iterable[Any]) -> Any:
    """As fastavro takes it, of parsed JSON. `referred`: each after what it refers to itself. Raises one of NO_SCHEMA."""
    named: dict[str, Any] = {}
    others = [parse_schema(other, named) for other in referred]
    parsed = parse_schema(definition, named)
    return parse_schema(_spelt_out(parsed, named, set())) if others else parsed


def _spelt_out(schema: Any, named: Mapping[str, Any], done: set[str]) -> Any:
    """Each type by its definition where it first occurs, by its name from there on. Names are full in what is parsed."""
    if isinstance(schema, str):
        return schema if schema in done or schema not in named else _spelt_out(named[schema], named, done)
    if isinstance(schema, list):
        return [_spelt_out(branch, named, done) for branch in schema]
    own = {key: value for key, value in schema.items() if not key.startswith("__")}
    if "name" in own:
        if own["name"] in done:
            return own["name"]
        done.add(own["name"])
    for key in ("items", "values"):
        if key in own:
            own[key] = _spelt_out(own[key], named, done)
    if "fields" in own:
        own["fields"] = [{**field, "type": _spelt_out(field["type"], named, done)} for field in own["fields"]]
    elif isinstance(own["type"], dict | list):
        own["type"] = _spelt_out(own["type"], named, done)
    return own
