"""Whether a value fits a schema, and what is written of it: one walk through the value, for every encoding.

A schema is compiled once, for one `Form`: Avro's bytes, or values as JSON, msgpack and CSV write them. What the walk
takes for each type, with unions, logical types and defaults, is the table of docs/values.md.
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
    """What becomes of the parts of a value."""

    def leaf(self, kind: str, schema: Any) -> Callable[[Any], Any] | None:
        """Of null, a boolean, number, text, bytes, fixed or symbol that fits. None: as it is."""

    def array(self, items: list[Any]) -> Any: ...

    def map(self, keys: Sequence[str], items: list[Any]) -> Any: ...

    def record(self, names: Sequence[str], values: list[Any], given: Mapping[str, Any]) -> Any:
        """In the schema's order. `given`: as it came, with what the schema does not name."""

    def union(self, index: int, name: str, value: Any) -> Any: ...

    def default(self, fit: Fit, default: Any) -> Callable[[], Any]:
        """Gives what stands for a field that is left out, of its default in the schema. The call may raise Misfit."""


class Compiler:
    """Of one schema. Records are known by name, so that one may contain itself."""

    def __init__(self, named: Mapping[str, Any], form: Form) -> None:
        self._named, self._form = named, form
        self._done: dict[str, Fit] = {}

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
        found: list[Any] = []
        try:
            for item in value:
                found.append(inner(item, walk))  # noqa: PERF401 - how many are done is the place of the misfit
        except Misfit as error:
            error.path.append(f"[{len(found)}]")
            raise
        return done(found)

    return fit


def _map(inner: Fit, done: Callable[[Sequence[str], list[Any]], Any]) -> Fit:
    def fit(value: Any, walk: Walk) -> Any:
        if not isinstance(value, dict):
            raise Misfit("map", value)
        keys = [plain_scalar(key) if isinstance(key, np.generic) else key for key in value]
        found: list[Any] = []
        for key, item in zip(keys, value.values(), strict=True):
            if not isinstance(key, str):
                raise Misfit("string key", key)
            try:
                found.append(inner(item, walk))
            except Misfit as error:
                error.path.append(f".{key}")
                raise
        return done(keys, found)

    return fit


def _record(fields: list[Field], done: Callable[[Sequence[str], list[Any], Mapping[str, Any]], Any]) -> Fit:
    """`fields` is filled later: a record may contain itself."""
    names: list[str] = []

    def fit(value: Any, walk: Walk) -> Any:
        if not isinstance(value, dict):
            raise Misfit("record", value)
        if len(names) < len(fields):
            names[:] = [name for name, _, _ in fields]
        if walk.level < LOOSE and not value.keys() <= set(names):
            raise Misfit("record without more fields", value)
        found: list[Any] = []
        name = ""
        try:
            for name, inner, default in fields:
                if name in value:
                    found.append(inner(value[name], walk))
                elif default is None or walk.level == WHOLE:
                    break
                else:
                    found.append(default())
        except Misfit as error:
            error.path.append(f".{name}")
            raise
        if len(found) < len(fields):
            raise Misfit(f"field {name!r} is missing")
        return done(names, found, value)

    return fit
