"""Prices as the LSTM's series has them, and back: divided by the CPI that was known, less a line."""

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

LAG_DAYS = 31
"""Days after a month has ended until its CPI counts. It is published on the 10th to 15th as a rule; the latest
in the years of the models' data were 29 and 31 days (October 2013, January 1996), and nothing may be known too early."""


@dataclass(frozen=True)
class Adjustment:
    """a = close / CPI - (intercept + slope * days since epoch), with the CPI figure last published on the date.

    published: ascending, the days from which each figure counts: `lag_days` after its month has ended.
    """

    epoch: datetime.date
    slope: float
    intercept: float
    published: list[datetime.date]
    figures: list[float]

    def cpi(self, date: datetime.date) -> float:
        """Raises SettingsError before the first figure."""
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
        """A forecast of `target`, made on `made`, in points: by the CPI that was known when it was made."""
        return (value + self.trend(target)) * self.cpi(made)


def adjustment(located: Located, attachment: Path | None, cpi: Path, lag_days: int = LAG_DAYS) -> Adjustment:
    """By the line in the model's attachment and a CPI series. Raises SettingsError, ModelError."""
    archive = attachment or located.attachment
    told = f"{located.module.stem}.json"
    try:
        trend = json.loads(read_archive(archive)[told])["trend"] if archive else None
    except (KeyError, ValueError, TypeError):
        trend = None
    if trend is None:
        raise SettingsError(
            f"--cpi: the attachment of {located.module.name} has no {told} with a trend, so it is not known how the "
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
    """Months and figures of a CSV as FRED has it: DATE (or observation_date) and one series, the oldest first.

    Rows without a figure are left out. Raises SettingsError with file:line: no such file, a date or figure that is
    none, a date twice, a date before the one above it, no figures.
    """
    found: dict[datetime.date, tuple[int, float]] = {}
    latest = datetime.date.min
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file)
            head = next(reader, [])
            if len(head) != 2:
                raise SettingsError(f"{path}: {len(head)} columns; a CPI series has two, DATE and CPIAUCSL.")
            for row in reader:
                if len(row) == 2 and row[1].strip() not in ("", "."):
                    date, figure, line = datetime.date.fromisoformat(row[0].strip()), float(row[1]), reader.line_num
                    if not (math.isfinite(figure) and figure > 0):  # prices are divided by it
                        raise SettingsError(
                            f"{path}:{line}: {row[1]!r} is no finite number above 0. Leave the field empty to leave the row out."
                        )
                    if date in found:
                        raise SettingsError(
                            f"{path}:{line}: {date} is on line {found[date][0]} too. Keep one row a date."
                        )
                    # Also turned round as a whole: FRED gives no such file, so it is more likely mixed up.
                    if date < latest:
                        raise SettingsError(
                            f"{path}:{line}: {date} comes after {latest} on line {found[latest][0]}. Two files joined, "
                            "or not sorted? Sort the rows by date, the oldest first."
                        )
                    found[date], latest = (line, figure), date
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read ({error.strerror}).") from error
    except (ValueError, csv.Error) as error:
        raise SettingsError(
            f"{path}:{reader.line_num}: {error}. Dates as 2007-06-01, numbers with a decimal point."
        ) from error
    if not found:
        raise SettingsError(f"{path}: no figures. A CPI series has the columns DATE and CPIAUCSL.")
    return list(found), [figure for _, figure in found.values()]
