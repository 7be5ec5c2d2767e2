"""One walk through a value by a compiled schema: how well the value must fit, and the error if it does not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from stream_scorer.codec.error_text import at_path, not_expected

WHOLE, FILLED, LOOSE = range(3)
"""How well a value must fit; each level allows more than the one before.

WHOLE: nothing is converted, added or left out.
FILLED: a default may stand for a field that is left out, a `float` may round, a datetime at midnight may be a date.
LOOSE: an integer may be a double, a string may be bytes, a record may have fields that the schema lacks.

A union takes the first branch that fits WHOLE, else FILLED, else LOOSE. Outside unions LOOSE is enough."""


class Misfit(Exception):
    """A value does not fit.

    expected: in words; the whole message if no `value` is given.
    value: what was found instead.
    path: place in the value, the innermost part first.
    """

    def __init__(self, expected: str, *value: Any) -> None:
        super().__init__(expected)
        self.expected, self.value, self.path = expected, value, list[str]()

    def message(self) -> str:
        at = at_path(reversed(self.path))
        return f"{at}{self.expected}" if not self.value else f"{at}{not_expected(self.expected, self.value[0])}"


class Walk:
    """One walk through one value.

    level: how well the current part must fit.
    known: results for parts in unions, by value, union and level. Without it, 40 unions within each other would be walked
        2^40 times.
    """

    __slots__ = ("known", "level")

    def __init__(self) -> None:
        self.level = LOOSE
        self.known: dict[tuple[int, int, int], tuple[Any, Any]] = {}


Fit = Callable[[Any, Walk], Any]
"""Takes a value and the walk; returns what is written for the value. Raises Misfit, RecursionError, and any exception of
the value's own methods."""
