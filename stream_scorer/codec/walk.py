"""One walk through a value by a compiled schema: how well it has to fit, and what is said where it does not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from stream_scorer.codec.shown import fault, within

WHOLE, FILLED, LOOSE = range(3)
"""How well a value has to fit. WHOLE: nothing is converted, added or left out. FILLED: a default may stand for a field,
a `float` may be rounded, midnight may be a date. LOOSE: an integer may be a double, a text bytes, a field nobody asked
for may be left out. A union takes the first branch that fits WHOLE, else FILLED, else LOOSE; elsewhere LOOSE will do."""


class Misfit(Exception):
    """expected: in words, or a whole sentence where `value` is left out. path: from the inside out."""

    def __init__(self, expected: str, *value: Any) -> None:
        super().__init__(expected)
        self.expected, self.value, self.path = expected, value, list[str]()

    def told(self) -> str:
        at = within(reversed(self.path))
        return f"{at}{self.expected}" if not self.value else f"{at}{fault(self.expected, self.value[0])}"


class Walk:
    """One walk through one value.

    level: how well it has to fit, here. known: what was found of parts in unions, by value, union and level; a list of
    40 unions in each other would be walked 2^40 times without.
    """

    __slots__ = ("known", "level")

    def __init__(self) -> None:
        self.level = LOOSE
        self.known: dict[tuple[int, int, int], tuple[Any, Any]] = {}


Fit = Callable[[Any, Walk], Any]
"""What is written of a value. Raises Misfit, RecursionError, and whatever methods of the value raise."""
