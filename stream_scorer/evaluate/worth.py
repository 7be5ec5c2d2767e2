"""What forecasts are worth: errors beside those of simple forecasts of the same days, and coverage of intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from stream_scorer.prices.history import Floats, Prices

Ints = npt.NDArray[np.intp]
LAST = "last value"
PAST = 250
"""Changes that the plain interval takes its quantiles of: about a year of days."""
SIGNIFICANT = 2.0


@dataclass(frozen=True)
class Forecast:
    """made: index of the row it was made after. target: of the row it is for; None: the file has no such day.

    value, low, high: in points; the latter two where the output has an interval.
    """

    made: int
    target: int | None
    date: str | None
    value: float
    low: float | None = None
    high: float | None = None
    level: float | None = None


def baselines(closes: Floats, made: Ints, target: Ints, rolling: int) -> dict[str, Floats]:
    """Forecasts of the rows `target` from what was known at the rows `made`, all in index order.

    last value: no change. drift walk: the mean change of all days so far, of logarithms where all closes are above
    zero. rolling mean: of the last `rolling` closes.
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
        LAST: closes[made],
        "drift walk": np.exp(drifted) if logs else drifted,
        f"mean of the last {rolling}": (total[made + 1] - total[made + 1 - count]) / count,
    }


def diebold_mariano(errors: Floats, benchmark: Floats) -> float | None:
    """t of the mean difference in squared errors, benchmark - model; positive: the model is better.

    One-step errors, so with the variance of independent days (Diebold and Mariano 1995). None of less than two
    days, or if the two never differ.
    """
    difference = benchmark**2 - errors**2
    if len(difference) < 2 or not np.any(difference != difference[0]):
        return None
    return float(difference.mean() / (difference.std(ddof=1) / math.sqrt(len(difference))))


def errors_of(forecast: Floats, happened: Floats, naive: Floats) -> dict[str, Any]:
    """rmse, mae, bias in points; skill = 1 - mse / mse of the last value; t of Diebold and Mariano against it."""
    error, benchmark = forecast - happened, naive - happened
    mse, naive_mse = float(np.mean(error**2)), float(np.mean(benchmark**2))
    return {
        "rmse": math.sqrt(mse),
        "mae": float(np.mean(np.abs(error))),
        "bias": float(np.mean(error)),
        "skill": 1 - mse / naive_mse if naive_mse else None,
        "diebold_mariano_t": diebold_mariano(error, benchmark),
    }


def interval_of(low: Floats, high: Floats, happened: Floats, level: float) -> dict[str, float]:
    """coverage; below, above: shares of misses; width: mean, as a share of what happened; score: mean interval score in points.

    The score is width plus 2 / (1 - level) times the distance of a miss (Gneiting and Raftery 2007): less is better,
    and neither wide nor bold intervals win.
    """
    under, over = np.maximum(low - happened, 0), np.maximum(happened - high, 0)
    return {
        "level": level,
        "coverage": float(np.mean((under == 0) & (over == 0))),
        "below": float(np.mean(under > 0)),
        "above": float(np.mean(over > 0)),
        "width": float(np.mean((high - low) / np.abs(happened))) if np.all(happened != 0) else math.nan,
        "score": float(np.mean(high - low + 2 / (1 - level) * (under + over))),
    }


def plain_interval(closes: Floats, made: Ints, level: float) -> tuple[Floats, Floats]:
    """The last value with the quantiles of the last 250 relative changes around it; NaN while there are less."""
    changes = np.diff(closes) / closes[:-1]
    low, high = np.full(len(made), np.nan), np.full(len(made), np.nan)
    able = made >= PAST
    if able.any():
        windows = np.lib.stride_tricks.sliding_window_view(changes, PAST)[made[able] - PAST]
        ends = np.quantile(windows, [(1 - level) / 2, (1 + level) / 2], axis=1)
        low[able], high[able] = closes[made[able]] * (1 + ends)
    return low, high


def judge(prices: Prices, forecasts: Sequence[Forecast], *, rolling: int, level: float) -> dict[str, Any]:
    """All figures of the forecasts that have a day to be judged by. `level`: of intervals that do not say theirs.

    There must be one at least.
    """
    judged = [one for one in forecasts if one.target is not None]
    made = np.array([one.made for one in judged], np.intp)
    target = np.array([one.target for one in judged], np.intp)
    value, happened = column(judged, "value"), prices.closes[target]
    others = baselines(prices.closes, made, target, rolling)
    naive = others[LAST]
    table = {"model": value, **others}
    found: dict[str, Any] = {
        "judged": len(judged),
        "first": prices.dates[target[0]].isoformat(),
        "last": prices.dates[target[-1]].isoformat(),
        "errors": {name: errors_of(values, happened, naive) for name, values in table.items()},
        "interval": None,
    }
    bounded = np.array([one.low is not None for one in judged])
    low, high = column(judged, "low"), column(judged, "high")
    if bounded.any():
        told = [one.level for one in judged if one.low is not None and one.level is not None]
        level = told[-1] if told else level
        found["interval"] = {"model": interval_of(low[bounded], high[bounded], happened[bounded], level)}
        if (prices.closes > 0).all():
            plain = plain_interval(prices.closes, made, level)
            both = bounded & ~np.isnan(plain[0])
            if both.any():
                found["interval"]["plain"] = interval_of(plain[0][both], plain[1][both], happened[both], level)
    years = np.array([prices.dates[at].year for at in target])
    found["by_year"] = [
        {
            "year": int(year),
            "judged": int(np.sum(years == year)),
            "persistence_rmse": math.sqrt(float(np.mean((naive - happened)[years == year] ** 2))),
            **errors_of(value[years == year], happened[years == year], naive[years == year]),
            "coverage": _coverage(low, high, happened, bounded & (years == year)),
        }
        for year in np.unique(years)
    ]
    found["verdict"] = verdict(found)
    return found


def column(judged: Sequence[Forecast], name: str) -> Floats:
    """One field of each; NaN where it is None."""
    return np.array([np.nan if getattr(one, name) is None else getattr(one, name) for one in judged], np.float64)


def _coverage(low: Floats, high: Floats, happened: Floats, of: npt.NDArray[np.bool_]) -> float | None:
    return float(np.mean((low[of] <= happened[of]) & (happened[of] <= high[of]))) if of.any() else None


def verdict(found: dict[str, Any]) -> str:
    """One sentence: better than the last value, worse, or neither beyond chance; and what the interval holds."""
    errors = found["errors"]["model"]
    skill, t = errors["skill"], errors["diebold_mariano_t"]
    if skill is None:
        text = "The prices never change, so there is nothing to be better at."
    else:
        told = f"skill {skill:+.2%}" + ("" if t is None else f", Diebold-Mariano t {t:+.1f}")
        if t is not None and t > SIGNIFICANT:
            text = f"Better than the last value as a forecast ({told})."
        elif t is not None and t < -SIGNIFICANT:
            text = f"Worse than the last value as a forecast ({told})."
        else:
            text = (
                f"Not distinguishable from the last value as a forecast ({told}): nothing here beats yesterday's price."
            )
    if found["interval"]:
        one = found["interval"]["model"]
        text += f" Its {one['level']:.0%} interval holds {one['coverage']:.1%} of the closes."
    return text
