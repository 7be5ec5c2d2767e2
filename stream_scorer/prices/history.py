"""A history of prices, read from any CSV with a column of dates and one of numbers."""

from __future__ import annotations

import csv
import datetime
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from stream_scorer.errors import SettingsError

if TYPE_CHECKING:
    import pandas as pd

Floats = npt.NDArray[np.float64]
_NONE = ("", ".", "NA", "N/A", "NaN", "nan", "null")


@dataclass(frozen=True)
class Prices:
    """Prices in the order of their dates, one a date. closes: [T]. rows: all columns, as text."""

    path: Path
    dates: list[datetime.date]
    closes: Floats
    rows: list[dict[str, str]]

    def __len__(self) -> int:
        return len(self.dates)

    @classmethod
    def of(cls, series: pd.Series, path: Path) -> Prices:
        """From a series of closes, its dates ascending."""
        dates = [stamp.date() for stamp in series.index]
        return cls(path, dates, series.to_numpy(np.float64), [{}] * len(dates))


def read_prices(path: Path, column: str, date_column: str) -> Prices:
    """Read a CSV, its rows in any order. Rows without a value are left out.

    Raises SettingsError, with file:line: the file cannot be read, a column is missing, a date or number is malformed, a
    date is there twice, or there are fewer than two rows.
    """
    by_date: dict[datetime.date, tuple[int, float, dict[str, str]]] = {}  # line, close, row
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            names = reader.fieldnames or []
            values, dates = _find_column(path, column, names), _find_column(path, date_column, names)
            for row in reader:
                if (row[values] or "").strip() in _NONE:
                    continue
                line = reader.line_num
                date = _date(row[dates] or "", path, line)
                if date in by_date:
                    raise SettingsError(
                        f"{path}:{line}: {date} is on line {by_date[date][0]} too. Keep one row per date."
                    )
                by_date[date] = line, _number(row[values], path, line), row
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read ({error.strerror}).") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise SettingsError(f"{path}: not a CSV file: {error}.") from error
    if len(by_date) < 2:
        raise SettingsError(f"{path}: {len(by_date)} rows with a number in {values!r}; at least 2 are needed.")
    ordered = sorted(by_date)
    return Prices(
        path,
        ordered,
        np.array([by_date[date][1] for date in ordered], np.float64),
        [by_date[date][2] for date in ordered],
    )


def _find_column(path: Path, wanted: str, names: object) -> str:
    """The column named `wanted`, or else the only one that differs from it in case alone. Raises SettingsError."""
    columns = list(names)  # type: ignore[call-overload]
    if wanted in columns:
        return wanted
    similar = [name for name in columns if name.strip().lower() == wanted.lower()]
    if len(similar) == 1:
        return str(similar[0])
    raise SettingsError(
        f"{path}: no column {wanted!r}. It has {', '.join(map(repr, columns)) or 'none'}; "
        "name those of the dates and prices by --date-column and --column."
    )


def _date(text: str, path: Path, line: int) -> datetime.date:
    try:
        return datetime.datetime.fromisoformat(text.strip()).date()
    except ValueError:
        raise SettingsError(
            f"{path}:{line}: expected a date, found {text!r}. Write dates as 2007-06-01 (ISO 8601)."
        ) from None


def _number(text: str, path: Path, line: int) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise SettingsError(
            f"{path}:{line}: expected a finite number, found {text!r}. Leave the field empty to leave the row out."
        )
    return number
