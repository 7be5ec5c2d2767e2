"""A history of prices: any CSV with dates and a column of numbers."""

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
    """Ascending by date, one row a date. closes: [T]. rows: the other columns too, as text."""

    path: Path
    dates: list[datetime.date]
    closes: Floats
    rows: list[dict[str, str]]

    def __len__(self) -> int:
        return len(self.dates)

    @classmethod
    def of(cls, series: pd.Series, path: Path) -> Prices:
        """Of closes by date, ascending."""
        dates = [stamp.date() for stamp in series.index]
        return cls(path, dates, series.to_numpy(np.float64), [{}] * len(dates))


def read_prices(path: Path, column: str, date_column: str) -> Prices:
    """Rows without a value are left out; a file with the newest first is turned round.

    Raises SettingsError with file:line: no such file or column, a date or number that is none, a date twice,
    less than two rows.
    """
    found: dict[datetime.date, tuple[int, float, dict[str, str]]] = {}
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            names = reader.fieldnames or []
            values, dates = _find(path, column, names), _find(path, date_column, names)
            for row in reader:
                if (row[values] or "").strip() in _NONE:
                    continue
                line = reader.line_num
                date = _date(row[dates] or "", path, line)
                if date in found:
                    raise SettingsError(f"{path}:{line}: {date} is on line {found[date][0]} too. Keep one row a date.")
                found[date] = line, _number(row[values], path, line), row
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read ({error.strerror}).") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise SettingsError(f"{path}: not a CSV file: {error}.") from error
    if len(found) < 2:
        raise SettingsError(f"{path}: {len(found)} rows with a number in {values!r}; at least 2 are needed.")
    ordered = sorted(found)
    return Prices(
        path,
        ordered,
        np.array([found[date][1] for date in ordered], np.float64),
        [found[date][2] for date in ordered],
    )


def _find(path: Path, wanted: str, names: object) -> str:
    """The column of that name, in any case if no other is so called. Raises SettingsError."""
    there = list(names)  # type: ignore[call-overload]
    if wanted in there:
        return wanted
    alike = [name for name in there if name.strip().lower() == wanted.lower()]
    if len(alike) == 1:
        return str(alike[0])
    raise SettingsError(
        f"{path}: no column {wanted!r}. It has {', '.join(map(repr, there)) or 'none'}; "
        "name those of the dates and prices by --date-column and --column."
    )


def _date(text: str, path: Path, line: int) -> datetime.date:
    try:
        return datetime.datetime.fromisoformat(text.strip()).date()
    except ValueError:
        raise SettingsError(f"{path}:{line}: {text!r} is no date. ISO 8601 is read: 2007-06-01.") from None


def _number(text: str, path: Path, line: int) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise SettingsError(f"{path}:{line}: {text!r} is no finite number. Leave the field empty to leave the row out.")
    return number
