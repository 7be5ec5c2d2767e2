"""Prices and CPI: read from CSV, or made up."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from stream_scorer.errors import SettingsError

CPI_1950, CPI_2007 = ("1950-01-01", 23.51), ("2007-06-01", 207.234)
"""Two published figures of CPIAUCSL, for a stand-in of steady inflation."""


def read_prices(path: Path, column: str = "Close", date_column: str = "Date") -> pd.Series:
    """Closes by date, ascending, float64; missing closes dropped. Other columns are allowed.

    Raises SettingsError: no such file or column, a date or number that is none, a date twice.
    """
    return _read(path, date_column, column)


def read_cpi(path: Path) -> pd.Series:
    """CPIAUCSL by first day of the month, float64. Raises as `read_prices`."""
    return _read(path, "DATE", "CPIAUCSL")


def _read(path: Path, dates: str, values: str) -> pd.Series:
    try:
        frame = pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise SettingsError(f"{path}: cannot be read as CSV: {error}.") from error
    for column in (dates, values):
        if column not in frame.columns:
            raise SettingsError(f"{path}: no column {column!r}. It has {', '.join(map(repr, frame.columns))}.")
    try:
        index = pd.DatetimeIndex(pd.to_datetime(frame[dates]), name=dates)
        series = pd.Series(pd.to_numeric(frame[values]).to_numpy(np.float64), index, name=values)
    except ValueError as error:
        raise SettingsError(f"{path}: {error}. Dates as 2007-06-01, numbers with a decimal point.") from error
    if index.hasnans:
        raise SettingsError(f"{path}: row {index.isna().argmax() + 1} of the data has no date in {dates!r}.")
    twice = index[index.duplicated()]
    if len(twice):
        raise SettingsError(f"{path}: {twice[0].date()} is there twice ({len(twice)} such dates). Keep one row a date.")
    return series.dropna().sort_index()


def synthetic_prices(days: int = 1000, seed: int = 2017, start: str = "2003-01-02") -> tuple[pd.Series, pd.Series]:
    """(prices, CPI): a made-up index like the S&P 500 on business days, and a monthly CPI to go with it.

    A geometric random walk from 909.03 with a drift of 7 % and a volatility of 16 % a year, in cents;
    CPI from 182 with 2.5 % a year: levels of 2003, where the shipped weights have learned. The same seed
    gives the same series. A long one starts earlier, so as not to end after 2024: brokers refuse the future.
    """
    rng = np.random.default_rng(seed)
    first = min(pd.Timestamp(start), pd.bdate_range(end="2024-12-31", periods=days)[0])
    dates = pd.bdate_range(first, periods=days, name="Date")
    steps = rng.normal(0.07 / 252, 0.16 / np.sqrt(252), days)
    prices = pd.Series(np.round(909.03 * np.exp(np.cumsum(steps)), 2), dates, name="Close")
    months = pd.date_range(dates[0] - pd.offsets.MonthBegin(2), dates[-1] + pd.offsets.MonthBegin(3), freq="MS")
    cpi = pd.Series(np.round(182 * 1.025 ** (np.arange(len(months)) / 12), 3), months, name="CPIAUCSL")
    return prices, cpi


def steady_cpi(dates: pd.Index) -> pd.Series:
    """Monthly CPI around `dates` at the steady rate between two published figures: for who has no CPI at hand."""
    (from_date, low), (to_date, high) = CPI_1950, CPI_2007
    index = pd.DatetimeIndex(dates)
    months = pd.date_range(index[0] - pd.offsets.MonthBegin(2), index[-1] + pd.offsets.MonthBegin(3), freq="MS")
    share = (months - pd.Timestamp(from_date)) / (pd.Timestamp(to_date) - pd.Timestamp(from_date))
    return pd.Series(low * (high / low) ** share.to_numpy(np.float64), months, name="CPIAUCSL")
