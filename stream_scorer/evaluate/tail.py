"""Forecasts and what then happened, as they come off the topics: rows with running figures of each key."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

from stream_scorer.errors import RecordError
from stream_scorer.records import Record

_DIGITS = 20
"""More than an offset has."""
Series = tuple[str, bytes | None]
"""Input partition as `topic/number`, and key: what has a session of its own, and so forecasts of its own."""


class Row(NamedTuple):
    """One forecast. Without `actual` it still waits; `time` is then of the input it was made at, else of the actual, in ms.

    rmse and skill are of the forecasts of this series so far, as `evaluate.rolling` has them; skill is None while the
    forecast of no change has had no error.
    """

    key: bytes | None
    time: int | None
    forecast: float
    actual: float | None = None
    error: float | None = None
    naive_error: float | None = None
    rmse: float | None = None
    skill: float | None = None
    evaluation: dict[str, Any] | None = None


class _Running:
    __slots__ = ("count", "last", "naive_squares", "squares")

    def __init__(self) -> None:
        self.count, self.squares, self.naive_squares = 0, 0.0, 0.0
        self.last = -1  # offset of the latest input whose forecast was judged

    def add(self, error: float, naive_error: float) -> tuple[float, float | None]:
        self.count += 1
        self.squares += error * error
        self.naive_squares += naive_error * naive_error
        skill = 1 - self.squares / self.naive_squares if self.naive_squares else None
        return math.sqrt(self.squares / self.count), skill


class Tail:
    """Args: how values of the two topics are read. Either raises RecordError; a forecast may be no number, None."""

    def __init__(
        self, evaluation: Callable[[bytes | None], dict[str, Any]], forecast: Callable[[bytes | None], float | None]
    ) -> None:
        self._evaluation, self._forecast = evaluation, forecast
        self._running: dict[Series, _Running] = {}
        self._waiting: dict[Series, tuple[int, Row]] = {}
        self.judged = self.skipped = 0
        self.problem: str | None = None
        """Of the first record that was skipped as nothing we can read."""

    @property
    def series(self) -> int:
        return len(self._running)

    def waiting(self) -> list[Row]:
        """The forecast of each series whose value has not come yet, the latest last."""
        return sorted((row for _, row in self._waiting.values()), key=lambda row: row.time or 0)

    def judge(self, record: Record) -> Row | None:
        """A record of the evaluation topic; None if it is none."""
        source = _source(record)
        try:
            found = self._evaluation(record.value)
        except RecordError as error:
            self._skip(record, error)
            return None
        partition = source[0] if source else str(record.partition)
        series = partition, record.key
        running = self._running.setdefault(series, _Running())
        off = found["forecast"] - found["actual"]
        naive_error = found["naive"] - found["actual"]
        rmse, skill = running.add(off, naive_error)
        running.last = max(running.last, found.get("forecast_offset", -1))
        if series in self._waiting and self._waiting[series][0] <= running.last:
            del self._waiting[series]
        self.judged += 1
        return Row(
            record.key, record.timestamp, found["forecast"], found["actual"], off, naive_error, rmse, skill, found
        )

    def await_(self, record: Record) -> None:
        """A record of the output topic: a forecast that waits, unless it has been judged already."""
        source = _source(record)
        try:
            number = self._forecast(record.value)
        except RecordError as error:
            self._skip(record, error)
            return
        if number is None or source is None:
            return
        series = source[0], record.key
        running = self._running.get(series)
        if running is None or source[1] > running.last:
            self._waiting[series] = source[1], Row(record.key, record.timestamp, number)

    def _skip(self, record: Record, error: RecordError) -> None:
        self.skipped += 1
        self.problem = self.problem or f"{record.where}: {error}"


def _source(record: Record) -> tuple[str, int] | None:
    """Input partition and offset that the `scorer-source` header names; None without a good one."""
    value = dict(record.headers or ()).get("scorer-source")
    text = value.decode(errors="replace") if isinstance(value, bytes) else value or ""
    partition, _, offset = text.rpartition("/")
    return (partition, int(offset)) if partition and offset.isdecimal() and len(offset) < _DIGITS else None
