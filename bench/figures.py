"""Figures of a bench: which of them are ratios, and how they stand to their targets."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

HIGHER, LOWER = "higher", "lower"


def ratio(values: float | Sequence[float], better: str) -> dict[str, Any]:
    """An entry of a result's "ratios": the median of the values that single rounds gave, and which way is better.

    A ratio is of two figures taken in one run on one machine, so that it means something on another.
    """
    value = statistics.median(values) if isinstance(values, Sequence) else values
    return {"value": round(value, 4), "better": better}


def medians_of(rounds: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Of each figure of the first round, over all rounds."""
    return {name: statistics.median(one[name] for one in rounds) for name in rounds[0]}


def quantile(values: Sequence[float], part: float) -> float:
    """The smallest value that at least `part` of all do not exceed."""
    return sorted(values)[min(len(values) - 1, int(part * len(values)))]


def target(what: str, found: float, bound: float, better: str, unit: str = "") -> None:
    """Print a figure beside its target; a miss is told, never raised."""
    met = found <= bound if better == LOWER else found >= bound
    sign = "<=" if better == LOWER else ">="
    print(f"{what:58} {found:8.2f}{unit}  target {sign} {bound:g}{unit}  {'met' if met else 'MISSED'}")
