"""Reads closes and the consumer price index (CPI) from files or from FRED, or makes them up."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from stream_scorer.errors import SettingsError
from stream_scorer_training import fred
from stream_scorer_training.parse import parse_dates, parse_numbers
from stream_scorer_training.tables import Table, find_column, read_table

_FRED_DATES = ("observation_date", "DATE")
_DATES = ("Date", *_FRED_DATES, "<DATE>", "Datum", "Data", "Time", "timestamp")
_CLOSES = ("Close", "<CLOSE>", "Close/Last", "Price", "Last", "Zuletzt", "Schlusskurs", "Zamkniecie", "value")
"""Names that vendors give, the usual one first: Yahoo and Stooq, Stooq's archives, Nasdaq, Investing.com, ..."""
CPI_1950, CPI_2007 = ("1950-01-01", 23.51), ("2007-06-01", 207.234)
"""Two published figures of CPIAUCSL, for a stand-in of steady inflation."""


@dataclass(frozen=True)
class Loaded:
    """A series and where it came from.

    series: float64 [T], ascending by date, without NaN.
    source: path of the file, or "fred:ID".
    rows: number of rows of the source. missing: number of rows without a value; they are not in `series`.
    newest_first: the rows of the source descend by date.
    """

    series: pd.Series
    source: str
    sha256: str
    rows: int
    missing: int
    newest_first: bool

    def facts(self, max_gap_days: int) -> dict[str, Any]:
        """Return what a report says of the source. `gaps` lists the gaps of more than `max_gap_days` days."""
        return {
            "source": self.source.rpartition("/")[2],
            "sha256": self.sha256,
            "rows": self.rows,
            "without_a_value": self.missing,
            "first": str(self.series.index[0].date()),
            "last": str(self.series.index[-1].date()),
            "gaps_longer_than_days": max_gap_days,
            "gaps": [gap._asdict() for gap in gaps(self.series, max_gap_days)],
        }


class Gap(NamedTuple):
    """Two consecutive dates of a series, as YYYY-MM-DD, and the number of days from the first to the second."""

    after: str
    before: str
    days: int


def usual_step(series: pd.Series) -> float:
    """Return the median number of days between consecutive dates; NaN if there are fewer than two dates."""
    days = _steps(series)
    return float(np.median(days)) if len(days) else math.nan


def gaps(series: pd.Series, longer_than_days: int) -> list[Gap]:
    """Return the gaps of more than `longer_than_days` days between consecutive dates, the oldest first."""
    dates = pd.DatetimeIndex(series.index)
    days = _steps(series)
    return [
        Gap(str(dates[at].date()), str(dates[at + 1].date()), int(days[at]))
        for at in np.flatnonzero(days > longer_than_days).tolist()
    ]


def _steps(series: pd.Series) -> npt.NDArray[np.int64]:
    """Return the days between consecutive dates, [T - 1]."""
    return np.diff(pd.DatetimeIndex(series.index).to_numpy("datetime64[D]")).astype(np.int64)


def load_prices(
    source: str | Path, column: str = "Close", date_column: str = "Date", fred_key_file: Path | None = None
) -> Loaded:
    """Read closes, in index points, from a file or, as "fred:SP500", from FRED. Blocks while FRED answers.

    A file is Parquet, or CSV as Yahoo, yfinance, Stooq, FRED, Investing.com or Nasdaq write it. It may have other columns,
    its newest row first, separators of thousands, and semicolons with decimal commas. If `column` and `date_column` have
    their defaults, the names of these vendors are tried too.

    Raises SettingsError, which names the line: no such file or column, a cell that is not a date or not a number, a date
    that occurs twice, rows in no order, or no value at all.
    """
    values = (column, *_CLOSES) if column == _CLOSES[0] else (column,)
    dates = (date_column, *_DATES) if date_column == _DATES[0] else (date_column,)
    return _load(source, tuple(dict.fromkeys(dates)), tuple(dict.fromkeys(values)), "closes", fred_key_file)


def load_cpi(source: str | Path, fred_key_file: Path | None = None) -> Loaded:
    """Read the CPI by the first day of each month, as FRED writes it. Sources, blocking and errors as `load_prices`."""
    return _load(source, ("DATE", *_DATES), ("CPIAUCSL",), "consumer prices", fred_key_file)


def read_prices(path: str | Path, column: str = "Close", date_column: str = "Date") -> pd.Series:
    """Return the series that `load_prices` reads. Raises SettingsError as it does."""
    return load_prices(path, column, date_column).series


def read_cpi(path: str | Path) -> pd.Series:
    """Return the series that `load_cpi` reads. Raises SettingsError as it does."""
    return load_cpi(path).series


def _load(
    source: str | Path, dates: Sequence[str], values: Sequence[str], contents: str, key_file: Path | None
) -> Loaded:
    name = str(source)
    from_fred = name.startswith(fred.PREFIX)
    table = fred.fetch(name.removeprefix(fred.PREFIX), key_file) if from_fred else read_table(Path(source))
    if not table.rows:
        raise SettingsError(f"{table.source}: no rows below the header.")
    date_column = find_column(table, dates, "dates")
    others = [name for name in table.names if name != date_column]
    # FRED's CSV has two columns: the dates, and the series under its id.
    lone = len(others) == 1 and date_column in _FRED_DATES
    value_column = others[0] if lone else find_column(table, values, contents)
    index, numbers = parse_dates(table, date_column), parse_numbers(table, value_column)
    newest_first = _check_order(table, index)
    series = pd.Series(numbers, index, name=value_column).sort_index().dropna()
    if series.empty:
        raise SettingsError(f"{table.source}: no number in {value_column!r}.")
    return Loaded(series, table.source, table.sha256, len(index), len(index) - len(series), newest_first)


def _check_order(table: Table, index: pd.DatetimeIndex) -> bool:
    """Return whether the newest row is first. Raises SettingsError: a date occurs twice, or the rows are in no order."""
    first_at: dict[pd.Timestamp, int] = {}
    for at, date in enumerate(index):
        if first_at.setdefault(date, at) != at:
            count = int(index.duplicated().sum())
            raise SettingsError(
                f"{table.place(at)}: {date.date()} occurs twice, first in {table.unit} "
                f"{table.lines[first_at[date]]} ({count} such rows). Keep one row per date."
            )
    steps = np.diff(index.to_numpy())
    newest_first = len(steps) > 0 and bool(steps[0] < np.timedelta64(0))
    wrong = np.flatnonzero((steps > np.timedelta64(0)) == newest_first)
    if len(wrong):
        at = int(wrong[0]) + 1
        raise SettingsError(
            f"{table.place(at)}: {index[at].date()} comes after {index[at - 1].date()}, but the rows before go "
            f"{'back' if newest_first else 'forward'} in time. Were two files joined? Sort the rows by date."
        )
    return newest_first


def synthetic_prices(days: int = 1000, seed: int = 2017, start: str = "2003-01-02") -> tuple[pd.Series, pd.Series]:
    """Make up an index like the S&P 500 on `days` business days, and a monthly CPI. Returns (closes, CPI).

    Closes are a geometric random walk from 909.03 index points, rounded to cents, with a drift of 7 % and a volatility of
    16 % a year. The CPI starts at 182 and grows by 2.5 % a year. These are levels of 2003, which the shipped weights were
    trained on. The same seed gives the same series.

    A long series starts before `start`, so that it ends by 2024: brokers refuse timestamps in the future. Beyond some
    4,000 days the closes leave the range of the training data, and the shipped model's forecasts are far off.
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
    """Return a monthly CPI that covers `dates` and grows at the steady rate between two published figures.

    It is for people who have no CPI at hand.
    """
    (from_date, low), (to_date, high) = CPI_1950, CPI_2007
    index = pd.DatetimeIndex(dates)
    months = pd.date_range(index[0] - pd.offsets.MonthBegin(2), index[-1] + pd.offsets.MonthBegin(3), freq="MS")
    share = (months - pd.Timestamp(from_date)) / (pd.Timestamp(to_date) - pd.Timestamp(from_date))
    return pd.Series(low * (high / low) ** share.to_numpy(np.float64), months, name="CPIAUCSL")
