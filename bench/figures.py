"""Figures of a bench: medians, quantiles, ratios and targets."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

HIGHER, LOWER = "higher", "lower"


def ratio(values: float | Sequence[float], better: str) -> dict[str, Any]:
    """An entry of a result's "ratios": the median of the rounds' values, and whether HIGHER or LOWER is better.

    Both figures of a ratio are taken in one run on one machine, so ratios of two machines can be compared.
    """
    value = statistics.median(values) if isinstance(values, Sequence) else values
    return {"value": round(value, 4), "better": better}


def medians_of(rounds: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The median over all rounds of each figure that the first round has."""
    return {name: statistics.median(figures[name] for figures in rounds) for name in rounds[0]}


def quantile(values: Sequence[float], part: float) -> float:
    """The smallest value that at least the share `part` (0 to 1) of all values do not exceed."""
    return sorted(values)[min(len(values) - 1, int(part * len(values)))]


def target(name: str, value: float, bound: float, better: str, unit: str = "") -> None:
    """Print a figure beside its target. A miss is printed, never raised."""
    met = value <= bound if better == LOWER else value >= bound
    sign = "<=" if better == LOWER else ">="
    print(f"{name:58} {value:8.2f}{unit}  target {sign} {bound:g}{unit}  {'met' if met else 'MISSED'}")
