"""Turns closes and CPI into the network's inputs by the tutorial's steps, each a pure function."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.linear_model import LinearRegression

SPLIT = "2007-06-01"
"""Last day of the training part and first of the test part: the tutorial's slices both include it."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Trend:
    """A line through the normalised closes: intercept + slope * days since epoch."""

    epoch: pd.Timestamp
    slope: float
    intercept: float

    def at(self, dates: pd.DatetimeIndex) -> Floats:
        """Return the line's values on these dates, [T]."""
        days = ((dates - self.epoch) / pd.Timedelta(days=1)).to_numpy(np.float64)
        return days * self.slope + self.intercept


@dataclass(frozen=True)
class Prepared:
    """The steps' results for the days that have a close and a CPI, [T] each.

    close: in index points. cpi: of each close's day. normalized: close / CPI. adjusted: `normalized` less the trend.
    """

    close: pd.Series
    cpi: pd.Series
    normalized: pd.Series
    adjusted: pd.Series
    trend: Trend

    @property
    def training(self) -> pd.Series:
        """Adjusted closes up to the split."""
        return self.adjusted[:SPLIT]

    @property
    def test(self) -> pd.Series:
        """Adjusted closes from the split."""
        return self.adjusted[SPLIT:]


def business_day_cpi(cpi: pd.Series) -> pd.Series:
    """Return the CPI of every business day, linear between the figures of the months.

    As in the tutorial, `asfreq` on business days drops the months whose first day is on a weekend (244 of 851). The result
    is at most 0.8 % off, and is kept so that it equals the tutorial's.
    """
    return cpi.resample("B").asfreq().interpolate()


def normalize(prices: pd.Series, cpi: pd.Series) -> tuple[pd.Series, pd.Series]:
    """Return (close / CPI, CPI) of the days that have both."""
    daily = business_day_cpi(cpi).reindex(prices.index)
    normalized = (prices / daily).dropna()
    return normalized, daily[normalized.index]


def fit_trend(normalized: pd.Series) -> Trend:
    """Fit a line by least squares to the days since the series' first date, with scikit-learn as in the tutorial."""
    dates = pd.DatetimeIndex(normalized.index)
    epoch = dates.min()
    days = ((dates - epoch) / pd.Timedelta(days=1)).to_numpy(np.float64).reshape(-1, 1)
    line = LinearRegression().fit(days, normalized.to_numpy().reshape(-1, 1))
    return Trend(epoch, float(line.coef_[0, 0]), float(line.intercept_[0]))


def prepare(prices: pd.Series, cpi: pd.Series) -> Prepared:
    """Do all steps, with the trend fitted on the training part."""
    normalized, daily = normalize(prices, cpi)
    trend = fit_trend(normalized[:SPLIT])
    adjusted = normalized - trend.at(pd.DatetimeIndex(normalized.index))
    return Prepared(prices[normalized.index], daily, normalized, adjusted, trend)


def adjust(prices: pd.Series, cpi: pd.Series, trend: Trend) -> pd.Series:
    """Return adjusted closes with a given trend, without the days after the last CPI figure."""
    normalized, _ = normalize(prices, cpi)
    return normalized - trend.at(pd.DatetimeIndex(normalized.index))


def unadjust(values: npt.ArrayLike, dates: pd.Index, cpi: pd.Series, trend: Trend) -> Floats:
    """Return adjusted values of `dates` in index points, [T]: the inverse of `adjust`."""
    daily = business_day_cpi(cpi).reindex(dates).to_numpy(np.float64)
    result: Floats = (np.asarray(values, np.float64) + trend.at(pd.DatetimeIndex(dates))) * daily
    return result
