"""Prices as tf_sp500_lstm takes them, and back: divided by the CPI known on the day, minus a linear trend."""

from __future__ import annotations

import bisect
import csv
import datetime
import json
import math
from dataclasses import dataclass
from pathlib import Path

from stream_scorer.errors import SettingsError
from stream_scorer.model.archive import read_archive
from stream_scorer.model.locate import Located
from stream_scorer.model.trust import attached

LAG_DAYS = 31
"""Days from the end of a month until its CPI figure is used, so that no figure is used before it was published.

Figures are usually published on the 10th to 15th of the next month; the latest in the years of the models' data came after
29 and 31 days (October 2013, January 1996)."""


@dataclass(frozen=True)
class Adjustment:
    """a = close / CPI - (intercept + slope * days since epoch), with the CPI figure last published on the date.

    published: for each of `figures` the first day on which it is used, ascending.
    """

    epoch: datetime.date
    slope: float
    intercept: float
    published: list[datetime.date]
    figures: list[float]

    def cpi(self, date: datetime.date) -> float:
        """The figure last published on `date`. Raises SettingsError before the first one."""
        at = bisect.bisect_right(self.published, date)
        if at == 0:
            raise SettingsError(
                f"--cpi: no figure was published by {date}; the first is on {self.published[0]}. Give a longer CPI "
                "series, or prices that begin later."
            )
        return self.figures[at - 1]

    def trend(self, date: datetime.date) -> float:
        return self.intercept + self.slope * (date - self.epoch).days

    def adjust(self, date: datetime.date, close: float) -> float:
        return close / self.cpi(date) - self.trend(date)

    def restore(self, made: datetime.date, target: datetime.date, value: float) -> float:
        """A forecast for `target`, made on `made`, in index points, by the CPI that was known on `made`."""
        return (value + self.trend(target)) * self.cpi(made)


def adjustment(located: Located, cpi: Path, lag_days: int = LAG_DAYS) -> Adjustment:
    """The adjustment by the trend in the model's attachment and a CSV of the CPI. Raises SettingsError, ModelError."""
    facts = f"{located.module.stem}.json"
    try:
        with attached(located.attachment, located.sha256) as archive:
            trend = json.loads(read_archive(archive.path)[facts])["trend"] if archive else None
    except (KeyError, ValueError, TypeError, RecursionError):
        trend = None
    if trend is None:
        raise SettingsError(
            f"--cpi: the attachment of {located.module.name} has no {facts} with a trend, so it is not known how the "
            "model's inputs are made of prices and CPI. Leave --cpi out to give it prices as they are."
        )
    months, figures = _read(cpi)
    published = [_month_after(month) + datetime.timedelta(days=lag_days) for month in months]
    return Adjustment(
        datetime.date.fromisoformat(trend["epoch"]),
        float(trend["slope"]),
        float(trend["intercept"]),
        published,
        figures,
    )


def _month_after(month: datetime.date) -> datetime.date:
    return (month.replace(day=1) + datetime.timedelta(days=31)).replace(day=1)


def _read(path: Path) -> tuple[list[datetime.date], list[float]]:
    """Months and figures of a CSV from FRED: DATE (or observation_date) and one series, the oldest row first.

    Rows without a figure are left out. Raises SettingsError, with file:line: the file cannot be read, a date or figure is
    malformed, a date is there twice or before the one above it, or there are no figures.
    """
    rows: dict[datetime.date, tuple[int, float]] = {}  # date -> line, figure
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.reader(file)
            head = next(reader, [])
            if len(head) != 2:
                raise SettingsError(f"{path}: {len(head)} columns; a CPI series has two, DATE and CPIAUCSL.")
            for row in reader:
                if len(row) == 2 and row[1].strip() not in ("", "."):
                    date, figure = datetime.date.fromisoformat(row[0].strip()), float(row[1])
                    _check(f"{path}:{reader.line_num}", date, row[1], rows)
                    rows[date] = reader.line_num, figure
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read ({error.strerror}).") from error
    except (ValueError, csv.Error) as error:
        raise SettingsError(
            f"{path}:{reader.line_num}: {error}. Dates as 2007-06-01, numbers with a decimal point."
        ) from error
    if not rows:
        raise SettingsError(f"{path}: no figures. A CPI series has the columns DATE and CPIAUCSL.")
    return list(rows), [figure for _, figure in rows.values()]


def _check(place: str, date: datetime.date, figure: str, rows: dict[datetime.date, tuple[int, float]]) -> None:
    """Raises SettingsError if the row at `place` may not follow `rows`."""
    if not (math.isfinite(float(figure)) and float(figure) > 0):  # prices are divided by it
        raise SettingsError(
            f"{place}: expected a finite number above 0, found {figure!r}. Leave the field empty to leave the row out."
        )
    if date in rows:
        raise SettingsError(f"{place}: {date} is on line {rows[date][0]} too. Keep one row per date.")
    # The newest first is refused, too: FRED gives no such file, so it is more likely mixed up.
    latest = next(reversed(rows), datetime.date.min)
    if date < latest:
        raise SettingsError(
            f"{place}: {date} comes after {latest} on line {rows[latest][0]}. Two files joined, or not sorted? Sort the rows "
            "by date, the oldest first."
        )
