"""Checks a value against a schema and makes what is written for it, in one walk through the value.

All encodings use it. A schema is compiled once for each `Form`: Avro's bytes, or the values that JSON, msgpack and CSV
write. docs/values.md lists what each type accepts, with unions, logical types and defaults.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from stream_scorer.codec.checks import CHECKS, leaf
from stream_scorer.codec.plain import plain, plain_scalar
from stream_scorer.codec.unions import Union
from stream_scorer.codec.walk import LOOSE, WHOLE, Fit, Misfit, Walk

Field = tuple[str, Fit, Callable[[], Any] | None]


class Form(Protocol):
    """Makes what is written for each part of a value that fits."""

    def leaf(self, kind: str, schema: Any) -> Callable[[Any], Any] | None:
        """For types without parts: null, booleans, numbers, text, bytes, fixed, enums. None: the value is written as it is."""

    def array(self, items: list[Any]) -> Any: ...

    def map(self, keys: Sequence[str], items: list[Any]) -> Any: ...

    def record(self, names: Sequence[str], values: list[Any], given: Mapping[str, Any]) -> Any:
        """names, values: of the fields in the schema's order. given: the model's record, which may have more fields."""

    def union(self, index: int, name: str, value: Any) -> Any: ...

    def default(self, fit: Fit, default: Any) -> Callable[[], Any]:
        """Returns a function that returns what is written for a field that is left out. It may raise Misfit.

        Args:
            fit: of the field's type.
            default: the field's default in the schema, as parsed JSON.
        """


class Compiler:
    """Compiles the types of one schema.

    Args:
        named: its named types, by full name.
    """

    def __init__(self, named: Mapping[str, Any], form: Form) -> None:
        self._named, self._form = named, form
        self._done: dict[str, Fit] = {}  # records by name, because a record may contain itself

    def fit(self, schema: Any) -> Fit:
        if isinstance(schema, list):
            return Union(schema, [self.fit(branch) for branch in schema], self._form.union).fit
        kind = schema["type"] if isinstance(schema, dict) else schema
        if isinstance(kind, dict | list):
            return self.fit(kind)
        if kind == "array":
            return _array(self.fit(schema["items"]), self._form.array)
        if kind == "map":
            return _map(self.fit(schema["values"]), self._form.map)
        if kind in ("record", "error"):
            return self._record(schema)
        if kind in CHECKS:
            return leaf(kind, schema, self._form.leaf(kind, schema))
        return self._done[kind] if kind in self._done else self.fit(self._named[kind])

    def _record(self, schema: Any) -> Fit:
        if schema["name"] in self._done:
            return self._done[schema["name"]]
        fields: list[Field] = []
        fit = self._done[schema["name"]] = _record(fields, self._form.record)
        for field in schema["fields"]:
            inner = self.fit(field["type"])
            default = self._form.default(inner, field["default"]) if "default" in field else None
            fields.append((field["name"], inner, default))
        return fit


def _array(inner: Fit, done: Callable[[list[Any]], Any]) -> Fit:
    def fit(value: Any, walk: Walk) -> Any:
        if isinstance(value, np.ndarray):
            value = plain(value)
        if not isinstance(value, (list, tuple)):
            raise Misfit("array", value)
        items: list[Any] = []
        try:
            for item in value:
                items.append(inner(item, walk))  # noqa: PERF401 - an error names the index of the item
        except Misfit as error:
            error.path.append(f"[{len(items)}]")
            raise
        return done(items)

    return fit


def _map(inner: Fit, done: Callable[[Sequence[str], list[Any]], Any]) -> Fit:
    def fit(value: Any, walk: Walk) -> Any:
        if not isinstance(value, dict):
            raise Misfit("map", value)
        keys = [plain_scalar(key) if isinstance(key, np.generic) else key for key in value]
        items: list[Any] = []
        for key, item in zip(keys, value.values(), strict=True):
            if not isinstance(key, str):
                raise Misfit("string key", key)
            try:
                items.append(inner(item, walk))
            except Misfit as error:
                error.path.append(f".{key}")
                raise
        return done(keys, items)

    return fit


def _record(fields: list[Field], done: Callable[[Sequence[str], list[Any], Mapping[str, Any]], Any]) -> Fit:
    """`fields` is filled after this call, because a record may contain itself."""
    names: list[str] = []

    def fit(value: Any, walk: Walk) -> Any:
        if not isinstance(value, dict):
            raise Misfit("record", value)
        if len(names) < len(fields):
            names[:] = [name for name, _, _ in fields]
        if walk.level < LOOSE and not value.keys() <= set(names):
            raise Misfit("record without other fields", value)
        values: list[Any] = []
        name = ""
        try:
            for name, inner, default in fields:
                if name in value:
                    values.append(inner(value[name], walk))
                elif default is None or walk.level == WHOLE:
                    break
                else:
                    values.append(default())
        except Misfit as error:
            error.path.append(f".{name}")
            raise
        if len(values) < len(fields):
            raise Misfit(f"field {name!r} is missing")
        return done(names, values, value)

    return fit
