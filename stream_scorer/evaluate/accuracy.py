"""How accurate forecasts are: their errors beside those of simple forecasts of the same days, and their intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from stream_scorer.prices.history import Floats, Prices

Ints = npt.NDArray[np.intp]
LAST_VALUE = "last value"
PLAIN_CHANGES = 250
"""Changes whose quantiles the plain interval takes: about a year of days."""
SIGNIFICANT_T = 2.0
"""A Diebold-Mariano t beyond this, up or down, is more than chance."""


@dataclass(frozen=True)
class Forecast:
    """A forecast of one day's price, by the rows of `Prices`.

    made: index of the row it was made after. target: index of the row it forecasts; None if the file has no such day.
    date: the day forecast, ISO 8601. value, low, high: in the unit of the prices; low and high if the output has an
    interval. level: the share of prices that the interval claims to hold, if the output states it.
    """

    made: int
    target: int | None
    date: str | None
    value: float
    low: float | None = None
    high: float | None = None
    level: float | None = None


def baselines(closes: Floats, made: Ints, target: Ints, rolling: int) -> dict[str, Floats]:
    """Simple forecasts [T] of the rows `target` from what was known at the rows `made`, both in index order.

    last value: no change. drift walk: the mean change of all days so far, in logarithms if all closes are above zero.
    rolling mean: the mean of the last `rolling` closes.
    """
    steps = (target - made).astype(np.float64)
    logs = bool((closes > 0).all())
    level = np.log(closes) if logs else closes
    # The mean of all changes up to a day is the change from the first day over their number.
    mean = np.where(made > 0, (level[made] - level[0]) / np.maximum(made, 1), 0.0)
    drifted = level[made] + mean * steps
    total = np.concatenate([[0.0], np.cumsum(closes)])
    count = np.minimum(made + 1, rolling)
    return {
        LAST_VALUE: closes[made],
        "drift walk": np.exp(drifted) if logs else drifted,
        f"mean of the last {rolling}": (total[made + 1] - total[made + 1 - count]) / count,
    }


def diebold_mariano(errors: Floats, benchmark: Floats) -> float | None:
    """t of the mean difference in squared errors, benchmark - model. Positive: the model is better.

    The errors [T] are one step ahead, so the variance is that of independent days (Diebold and Mariano 1995). None with
    fewer than two days, or if the difference is the same every day.
    """
    difference = benchmark**2 - errors**2
    if len(difference) < 2 or not np.any(difference != difference[0]):
        return None
    return float(difference.mean() / (difference.std(ddof=1) / math.sqrt(len(difference))))


def error_figures(forecast: Floats, actual: Floats, last_value: Floats) -> dict[str, Any]:
    """rmse, mae, bias in the unit of the prices; skill = 1 - mse / mse of the last value; Diebold-Mariano t against it."""
    error, benchmark = forecast - actual, last_value - actual
    mse, benchmark_mse = float(np.mean(error**2)), float(np.mean(benchmark**2))
    return {
        "rmse": math.sqrt(mse),
        "mae": float(np.mean(np.abs(error))),
        "bias": float(np.mean(error)),
        "skill": 1 - mse / benchmark_mse if benchmark_mse else None,
        "diebold_mariano_t": diebold_mariano(error, benchmark),
    }


def interval_figures(low: Floats, high: Floats, actual: Floats, level: float) -> dict[str, float]:
    """Figures of intervals [T] at a level (0 to 1).

    coverage: share of the prices inside. below, above: shares below and above the interval. width: mean width, as a
    share of the price. score: mean interval score, in the unit of the prices: the width plus 2 / (1 - level) times the
    distance of a miss (Gneiting and Raftery 2007). Less is better, and neither wide nor bold intervals win.
    """
    under, over = np.maximum(low - actual, 0), np.maximum(actual - high, 0)
    return {
        "level": level,
        "coverage": float(np.mean((under == 0) & (over == 0))),
        "below": float(np.mean(under > 0)),
        "above": float(np.mean(over > 0)),
        "width": float(np.mean((high - low) / np.abs(actual))) if np.all(actual != 0) else math.nan,
        "score": float(np.mean(high - low + 2 / (1 - level) * (under + over))),
    }


def plain_interval(closes: Floats, made: Ints, level: float) -> tuple[Floats, Floats]:
    """The last value, widened by quantiles of the last 250 relative changes; NaN while there are fewer changes."""
    changes = np.diff(closes) / closes[:-1]
    low, high = np.full(len(made), np.nan), np.full(len(made), np.nan)
    enough = made >= PLAIN_CHANGES
    if enough.any():
        windows = np.lib.stride_tricks.sliding_window_view(changes, PLAIN_CHANGES)[made[enough] - PLAIN_CHANGES]
        ends = np.quantile(windows, [(1 - level) / 2, (1 + level) / 2], axis=1)
        low[enough], high[enough] = closes[made[enough]] * (1 + ends)
    return low, high


def accuracy(prices: Prices, forecasts: Sequence[Forecast], *, rolling: int, level: float) -> dict[str, Any]:
    """All figures of the forecasts that have a target, of which there must be at least one, and the verdict on them.

    Args:
        rolling: closes of the rolling mean.
        level: of intervals that do not state their own.
    """
    judged = [forecast for forecast in forecasts if forecast.target is not None]
    made = np.array([forecast.made for forecast in judged], np.intp)
    target = np.array([forecast.target for forecast in judged], np.intp)
    value, actual = column(judged, "value"), prices.closes[target]
    simple = baselines(prices.closes, made, target, rolling)
    figures: dict[str, Any] = {
        "judged": len(judged),
        "first": prices.dates[target[0]].isoformat(),
        "last": prices.dates[target[-1]].isoformat(),
        "errors": {
            name: error_figures(values, actual, simple[LAST_VALUE])
            for name, values in {"model": value, **simple}.items()
        },
        "interval": _intervals(prices, judged, made, actual, level),
        "by_year": _by_year(judged, np.array([prices.dates[at].year for at in target]), actual, simple[LAST_VALUE]),
    }
    figures["verdict"] = verdict(figures)
    return figures


def _intervals(
    prices: Prices, judged: Sequence[Forecast], made: Ints, actual: Floats, level: float
) -> dict[str, dict[str, float]] | None:
    """Figures of the model's intervals and, if all prices are above zero, of plain ones; None without any interval."""
    bounded = np.array([forecast.low is not None for forecast in judged])
    if not bounded.any():
        return None
    stated = [forecast.level for forecast in judged if forecast.low is not None and forecast.level is not None]
    level = stated[-1] if stated else level
    low, high = column(judged, "low"), column(judged, "high")
    figures = {"model": interval_figures(low[bounded], high[bounded], actual[bounded], level)}
    if (prices.closes > 0).all():
        plain = plain_interval(prices.closes, made, level)
        both = bounded & ~np.isnan(plain[0])
        if both.any():
            figures["plain"] = interval_figures(plain[0][both], plain[1][both], actual[both], level)
    return figures


def _by_year(judged: Sequence[Forecast], years: Ints, actual: Floats, last_value: Floats) -> list[dict[str, Any]]:
    value, low, high = (column(judged, name) for name in ("value", "low", "high"))
    bounded = ~np.isnan(low)
    rows = []
    for year in np.unique(years):
        days = years == year
        rows.append(
            {
                "year": int(year),
                "judged": int(np.sum(days)),
                "persistence_rmse": math.sqrt(float(np.mean((last_value - actual)[days] ** 2))),
                **error_figures(value[days], actual[days], last_value[days]),
                "coverage": _coverage(low, high, actual, bounded & days),
            }
        )
    return rows


def column(forecasts: Sequence[Forecast], name: str) -> Floats:
    """One field of each forecast [T]; NaN where it is None."""
    return np.array(
        [np.nan if (value := getattr(forecast, name)) is None else value for forecast in forecasts], np.float64
    )


def _coverage(low: Floats, high: Floats, actual: Floats, days: npt.NDArray[np.bool_]) -> float | None:
    return float(np.mean((low[days] <= actual[days]) & (actual[days] <= high[days]))) if days.any() else None


def verdict(figures: dict[str, Any]) -> str:
    """One sentence: better than the last value, worse, or neither beyond chance; and what the interval holds."""
    errors = figures["errors"]["model"]
    skill, t = errors["skill"], errors["diebold_mariano_t"]
    if skill is None:
        text = "The prices never change, so there is nothing to be better at."
    else:
        evidence = f"skill {skill:+.2%}" + ("" if t is None else f", Diebold-Mariano t {t:+.1f}")
        if t is not None and t > SIGNIFICANT_T:
            text = f"Better than the last value as a forecast ({evidence})."
        elif t is not None and t < -SIGNIFICANT_T:
            text = f"Worse than the last value as a forecast ({evidence})."
        else:
            text = f"Not distinguishable from the last value as a forecast ({evidence}): nothing here beats yesterday's price."
    if figures["interval"]:
        interval = figures["interval"]["model"]
        text += f" Its {interval['level']:.0%} interval holds {interval['coverage']:.1%} of the closes."
    return text
