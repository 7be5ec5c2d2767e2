"""Evaluations and scores, as `tail` reads them from their topics: rows with running figures of each series."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

from stream_scorer.errors import RecordError
from stream_scorer.records import Record

_OFFSET_DIGITS = 20
"""An offset has fewer digits."""
Series = tuple[str, bytes | None]
"""Input partition as `topic/number`, and key: the records that share a session, and so a pending forecast."""


class Row(NamedTuple):
    """A forecast; pending if `actual` is None.

    time: ms since 1970, of the actual; of the score if the forecast is pending. rmse, skill: of all forecasts of the
    series so far, as in `evaluate.rolling`; skill is None as long as the last value had no error as a forecast.
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
        self.last = -1  # offset of the latest input whose forecast was evaluated

    def add(self, error: float, naive_error: float) -> tuple[float, float | None]:
        self.count += 1
        self.squares += error * error
        self.naive_squares += naive_error * naive_error
        skill = 1 - self.squares / self.naive_squares if self.naive_squares else None
        return math.sqrt(self.squares / self.count), skill


class Tail:
    """Joins scores with evaluations, and keeps running figures of each series.

    Args:
        evaluation: decodes a value of the evaluation topic. Raises RecordError.
        forecast: reads a score as a number; None if it is none. Raises RecordError.
    """

    def __init__(
        self, evaluation: Callable[[bytes | None], dict[str, Any]], forecast: Callable[[bytes | None], float | None]
    ) -> None:
        self._evaluation, self._forecast = evaluation, forecast
        self._running: dict[Series, _Running] = {}
        self._pending: dict[Series, tuple[int, Row]] = {}
        self.judged = self.skipped = 0
        self.problem: str | None = None
        """Where the first skipped record is, and why it cannot be read."""

    @property
    def series(self) -> int:
        return len(self._running)

    def pending(self) -> list[Row]:
        """The pending forecast of each series, the latest last."""
        return sorted((row for _, row in self._pending.values()), key=lambda row: row.time or 0)

    def add_evaluation(self, record: Record) -> Row | None:
        """Take a record of the evaluation topic; None if it is not an evaluation."""
        source = _source(record)
        try:
            evaluation = self._evaluation(record.value)
        except RecordError as problem:
            self._skip(record, problem)
            return None
        partition = source[0] if source else str(record.partition)
        series = partition, record.key
        running = self._running.setdefault(series, _Running())
        # As doubles: an integer of JSON may be too large for a square, which then is infinite.
        forecast, actual, naive = (float(evaluation[name]) for name in ("forecast", "actual", "naive"))
        error, naive_error = forecast - actual, naive - actual
        rmse, skill = running.add(error, naive_error)
        running.last = max(running.last, evaluation.get("forecast_offset", -1))
        if series in self._pending and self._pending[series][0] <= running.last:
            del self._pending[series]
        self.judged += 1
        return Row(record.key, record.timestamp, forecast, actual, error, naive_error, rmse, skill, evaluation)

    def add_score(self, record: Record) -> None:
        """Take a record of the output topic: a pending forecast, unless its evaluation has come already."""
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
            self._pending[series] = source[1], Row(record.key, record.timestamp, number)

    def _skip(self, record: Record, error: RecordError) -> None:
        self.skipped += 1
        self.problem = self.problem or f"{record.where}: {error}"


def _source(record: Record) -> tuple[str, int] | None:
    """Input partition and offset in the header `scorer-source`; None if it is missing or malformed."""
    value = dict(record.headers or ()).get("scorer-source")
    text = value.decode(errors="replace") if isinstance(value, bytes) else value or ""
    partition, _, offset = text.rpartition("/")
    return (partition, int(offset)) if partition and offset.isdecimal() and len(offset) < _OFFSET_DIGITS else None
