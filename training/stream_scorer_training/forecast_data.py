"""The forecaster's parameters besides its weights, and what its module computes from a series of closes."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.optimize import minimize

from stream_scorer.errors import SettingsError
from stream_scorer.models import tf_sp500_lstm
from stream_scorer.prices.adjust import LAG_DAYS

# The forecaster imports `tf_sp500_lstm` from its attachment; the file there is this one.
sys.modules.setdefault("tf_sp500_lstm", tf_sp500_lstm)

from stream_scorer.models import sp500_forecast as module  # noqa: E402

__all__ = ["module", "tf_sp500_lstm"]

Floats = npt.NDArray[np.float64]
Parameters = dict[str, Any]

CALENDAR, CALENDAR_UNTIL = "NYSE", "2027-12-31"
"""A fixed end, so that the same data give the same bytes in every year. After it the module applies rules of its own."""
LARGEST = 10.0
"""A larger change counts as this many spreads. The largest in the data is 11.9, on 1987-10-19."""
LEVEL = 0.9


@dataclass(frozen=True)
class Series:
    """What the module computes from closes, day by day. All arrays are [T]; the values of day t are known on day t.

    close: in index points. adjusted: ln of the close over the CPI, less the trend.
    change: of `adjusted` since the close before, per root of the sessions between; 0 on the first day.
    z: the change in units of the spread of the day before, as the network gets it.
    spread: standard deviation of the next change.
    """

    dates: pd.DatetimeIndex
    close: Floats
    adjusted: Floats
    change: Floats
    z: Floats
    spread: Floats


def known_cpi(cpi: pd.Series, lag_days: int = LAG_DAYS) -> dict[str, Any]:
    """Return the module's table of monthly CPI figures. A month without a figure has that of the month before.

    lag_days: days from the end of a month until its figure is known.
    Raises SettingsError: there are fewer than 13 months; the growth after the table's end is that of its last twelve.
    """
    months = pd.date_range(cpi.index[0].replace(day=1), cpi.index[-1].replace(day=1), freq="MS")
    if len(months) < 13:
        raise SettingsError(
            f"the CPI has {len(months)} months, and 13 are needed: after its end it grows as in its last twelve."
        )
    figures = cpi.reindex(months).ffill()
    return {
        "first": str(months[0].date()),
        "lag_days": lag_days,
        "figures": [round(float(figure), 6) for figure in figures],
    }


def with_cpi(closes: pd.Series, cpi: pd.Series, lag_days: int) -> pd.Series:
    """Return the closes of the days on which some CPI figure was known."""
    first = cpi.index[0].replace(day=1) + pd.DateOffset(months=1) + pd.Timedelta(days=lag_days)
    known: pd.Series = closes[closes.index >= first]
    return known


def closures(first: str, until: str = CALENDAR_UNTIL) -> dict[str, Any]:
    """Return the calendar for the parameters: the weekdays on which the exchange is closed.

    first, until: YYYY-MM-DD. Raises SettingsError: the calendar library is not installed.
    """
    try:
        import pandas_market_calendars as calendars
    except ModuleNotFoundError as error:
        raise SettingsError(
            "the calendar of the exchange needs pandas_market_calendars: pip install 'stream-scorer[train]'."
        ) from error
    open_days = calendars.get_calendar(CALENDAR).valid_days(first, until).tz_localize(None)
    closed = pd.bdate_range(first, until).difference(open_days)
    return {"name": CALENDAR, "first": first, "until": until, "closed": [str(day.date()) for day in closed]}


def fit(closes: pd.Series, cpi: pd.Series, calendar: dict[str, Any], lag_days: int = LAG_DAYS) -> Parameters:
    """Return parameters as the module's attachment has them, with trend and spread fitted on these closes only.

    The networks' shares are 0, and the ends of the interval are those of a normal distribution; both are fitted later.
    """
    dates = pd.DatetimeIndex(closes.index)
    parameters: Parameters = {
        "model": module.name,
        "trend": {"epoch": str(dates[0].date()), "slope": 0.0, "intercept": 0.0},
        "spread": {"variance": 1e-4, "alpha": 0.0, "beta": 0.0, "largest": LARGEST},
        "shares": {"change": 0.0, "spread": 0.0},
        "interval": {"level": LEVEL, "q_low": 1.645, "q_high": 1.645, "step": 0.0, "least": 0.1},
        "cpi": known_cpi(cpi, lag_days),
        "calendar": calendar,
    }
    flat = series(closes, parameters)
    days = ((dates - dates[0]) / pd.Timedelta(days=1)).to_numpy(np.float64)
    slope, intercept = np.polyfit(days, flat.adjusted, 1)
    parameters["trend"].update(slope=float(slope), intercept=float(intercept))
    parameters["spread"].update(fit_garch(series(closes, parameters).change[1:]))
    return parameters


def series(closes: pd.Series, parameters: Parameters) -> Series:
    """Compute the series day by day with the module's own code. Raises ValueError: the CPI table begins after a close."""
    prepared, known = module.prepared(parameters), None
    rows, before = [], 0.0
    for date, close in zip(pd.DatetimeIndex(closes.index).date, closes.to_numpy(np.float64).tolist(), strict=True):
        now = module.follow(known, date, close, prepared)
        change = 0.0
        if known is not None:
            elapsed = module.sessions(before, date, prepared)
            change = (now["adjusted"] - known["adjusted"]) / math.sqrt(elapsed)
        rows.append(
            (now["adjusted"], change, now["changes"][-1] if now["changes"] else 0.0, math.sqrt(now["variance"]))
        )
        known, before = now, date
    adjusted, changes, z, spread = np.array(rows, np.float64).T
    return Series(pd.DatetimeIndex(closes.index), closes.to_numpy(np.float64), adjusted, changes, z, spread)


def fit_garch(changes: Floats) -> dict[str, float]:
    """Fit GARCH(1,1) to changes [T]. Returns variance, alpha and beta.

    variance: the long-run one, which is that of the sample. alpha, beta: of the greatest likelihood for normal changes.
    """
    variance, squares = float(np.mean(changes**2)), (changes**2).tolist()

    def weights(free: Floats) -> tuple[float, float]:
        """Map any two numbers to alpha in (0, 1) and beta in (0, 1 - alpha)."""
        alpha, rest = (1 / (1 + math.exp(-value)) for value in free)
        return alpha, rest * (1 - alpha)

    def cost(free: Floats) -> float:
        alpha, beta = weights(free)
        constant, now, total = variance * (1 - alpha - beta), variance, 0.0
        for square in squares:
            total += math.log(now) + square / now
            now = constant + alpha * square + beta * now
        return total

    minimum = minimize(cost, [-2.5, 2.5], method="Nelder-Mead", options={"xatol": 1e-3, "fatol": 1e-2, "maxiter": 200})
    alpha, beta = weights(minimum.x)
    return {"variance": variance, "alpha": alpha, "beta": beta}
