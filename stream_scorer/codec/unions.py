"""Chooses the branch of a union for a value, bare or tagged."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from stream_scorer.codec.plain import NUMPY, plain
from stream_scorer.codec.schema_parts import branch_name, kind_of
from stream_scorer.codec.walk import Fit, Misfit, Walk

_PLAIN: dict[str, tuple[type, ...]] = {
    "null": (type(None),),
    "boolean": (bool,),
    "int": (int,),
    "long": (int,),
    "float": (float, int),
    "double": (float, int),
    "string": (str,),
    "enum": (str,),
    "bytes": (bytes, str),
    "fixed": (bytes, str),
    "array": (list, tuple),
    "map": (dict,),
}
"""Which of Python's common types may fit each type of Avro."""
_BY_NAME = (dict, str, bytes)
"""The same for a branch that is a name: a record, an enum or a fixed."""
_WITH_PARTS = (dict, list, tuple)


class Union:
    """A union. Its values may be bare, or tagged as in Avro's JSON: {"int": 3}. A tag whose value fits decides the branch."""

    def __init__(self, branches: list[Any], fits: list[Fit], done: Callable[[int, str, Any], Any]) -> None:
        self._fits, self._done = fits, done
        self._names = [branch_name(branch) for branch in branches]
        self._tags = {name: at for at, name in enumerate(self._names)}
        self._expected = f"one of {', '.join(self._names)}"
        kinds = [kind_of(branch) for branch in branches]
        # An integer fits float and double alike, and a double rounds less: floats come last.
        self._all = sorted(range(len(branches)), key=lambda at: kinds[at] == "float")
        self._by_type = {
            kind: [at for at in self._all if kind in _PLAIN.get(kinds[at], _BY_NAME)]
            for kind in {kind for kinds in _PLAIN.values() for kind in kinds}
        }

    def fit(self, value: Any, walk: Walk) -> Any:
        if isinstance(value, NUMPY):
            value = plain(value)
        among = self._by_type.get(type(value), self._all)
        tag = self._tag(value) if isinstance(value, dict) and len(value) == 1 else None
        if tag is None and len(among) == 1:
            return self._only(among[0], value, walk)
        if not isinstance(value, _WITH_PARTS):
            return self._first(among, tag, value, walk)
        # The value is kept with the result: while it lives, no other value has its id.
        part = id(value), id(self), walk.level
        if part not in walk.known:
            try:
                walk.known[part] = value, (self._first(among, tag, value, walk),)
            except Misfit as error:
                walk.known[part] = value, error
                raise
        result = walk.known[part][1]
        if isinstance(result, Misfit):
            raise Misfit(result.expected, *result.value)
        return result[0]

    def _tag(self, value: dict[Any, Any]) -> int | None:
        (name,) = value
        return self._tags.get(name) if isinstance(name, str) else None

    def _only(self, at: int, value: Any, walk: Walk) -> Any:
        try:
            return self._done(at, self._names[at], self._fits[at](value, walk))
        except Misfit:
            raise Misfit(self._expected, value) from None

    def _first(self, among: list[int], tag: int | None, value: Any, walk: Walk) -> Any:
        tag_misfit = None
        if tag is not None:
            try:
                (inner,) = value.values()
                return self._done(tag, self._names[tag], self._fits[tag](inner, walk))
            except Misfit as error:
                tag_misfit = error
        outer_level = walk.level
        try:
            for level in range(outer_level + 1):
                walk.level = level
                for at in among:
                    try:
                        return self._done(at, self._names[at], self._fits[at](value, walk))
                    except Misfit:
                        continue
        finally:
            walk.level = outer_level
        raise tag_misfit or Misfit(self._expected, value)
