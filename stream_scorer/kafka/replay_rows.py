"""Rows of a CSV file or a series, each with a timestamp and a value, to be published as records."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from stream_scorer.errors import SettingsError
from stream_scorer.parsing.times import timestamp_ms

if TYPE_CHECKING:
    import pandas as pd


class Row(NamedTuple):
    """A record to publish.

    timestamp: ms since 1970 of the row's date, at midnight UTC unless the date has a time. value: a number, or whatever
    the schema says.
    """

    timestamp: int
    value: Any


def read_rows(path: Path, column: str, date_column: str) -> Iterator[Row]:
    """The rows of a CSV file, in file order; rows without a value are left out.

    Raises SettingsError with file:line: the file or a column does not exist, or a field is not a date or not a finite number.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            columns = reader.fieldnames or []
            for name in (column, date_column):
                if name not in columns:
                    raise SettingsError(
                        f"{path}: no column {name!r}. It has {', '.join(map(repr, columns)) or 'none'}."
                    )
            for row in reader:
                if (row[column] or "").strip() not in ("", ".", "NA", "NaN", "null"):
                    yield Row(
                        to_timestamp(row[date_column] or "", path, reader.line_num),
                        _to_number(row[column], path, reader.line_num),
                    )
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read ({error.strerror}).") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise SettingsError(f"{path}: not a CSV file: {error}.") from error


def rows_of(series: pd.Series) -> Iterator[Row]:
    """The values of a series by date, as rows."""
    timestamps = series.index.to_numpy("datetime64[ms]").astype(int).tolist()
    return (Row(timestamp, float(value)) for timestamp, value in zip(timestamps, series.to_numpy(), strict=True))


def to_timestamp(text: str, path: Path, line: int) -> int:
    try:
        return timestamp_ms(text)
    except ValueError:
        raise SettingsError(
            f"{path}:{line}: expected a date or time of ISO 8601, such as 2007-06-01 or 2007-06-01T14:30, found {text!r}."
        ) from None


def _to_number(text: str, path: Path, line: int) -> float:
    try:
        number = float(text)
    except ValueError:
        raise SettingsError(f"{path}:{line}: expected a number, found {text!r}.") from None
    if not math.isfinite(number):
        raise SettingsError(
            f"{path}:{line}: expected a finite number, found {text!r}. Leave the field empty to leave the row out."
        )
    return number
