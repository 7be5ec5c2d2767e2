"""Converts fields of records to the Python time or decimal that their logical type means."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

from stream_scorer.codec.logical import logical_of
from stream_scorer.codec.schema import Schema
from stream_scorer.codec.schema_parts import branch_name, type_of
from stream_scorer.ports import Meaning


def meaning_of(schema: Schema | None) -> Meaning | None:
    """The conversion for one schema; None if it has no logical types."""
    if schema is None:
        return None
    definition = type_of(schema.parsed, schema.named)
    fields = {"": definition}
    if isinstance(definition, dict) and "fields" in definition:
        fields = {field["name"]: field["type"] for field in definition["fields"]}
    known = {name: lift for name, kind in fields.items() if (lift := _lift(kind, schema.named)) is not None}
    if not known:
        return None

    def meaning(name: str, value: Any) -> Any:
        return known[name](value) if name in known else value

    return meaning


def _lift(kind: Any, named: Mapping[str, Any]) -> Callable[[Any], Any] | None:
    kind = type_of(kind, named)
    if isinstance(kind, list):
        branches = [type_of(branch, named) for branch in kind]
        lifts = [_lift(branch, named) for branch in branches]
        return functools.partial(
            _of_union, {branch_name(branch) for branch in branches}, [lift for lift in lifts if lift]
        )
    logical = logical_of(kind)
    if logical is None:
        return None

    def lift(value: Any) -> Any:
        if value is None or isinstance(value, bool | float | logical.type):
            return value
        try:
            return logical.over(value, kind)
        except (ValueError, OverflowError, ArithmeticError):
            return None
        except (TypeError, AttributeError):
            return value

    return lift


def _of_union(tags: set[str], lifts: list[Callable[[Any], Any]], value: Any) -> Any:
    """Drops the tag. If several branches have a logical type, the value stays as it is: its branch is not known."""
    if isinstance(value, dict) and len(value) == 1 and next(iter(value)) in tags:
        (value,) = value.values()
    return lifts[0](value) if len(lifts) == 1 else value
