"""Reads forecasts and actual values out of the records of a stream. The `Judge` port."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from stream_scorer.errors import RecordError, SettingsError
from stream_scorer.evaluate.rolling import RollingFigures
from stream_scorer.parsing.times import moment_ms
from stream_scorer.ports import Codec, Meaning
from stream_scorer.records import Evaluation, PendingForecast, Record

_NUMBERS = ("int", "long", "float", "double")


class StreamJudge:
    """Takes values that are numbers as they are, and from records the field of a name.

    Args:
        codec: encodes and decodes evaluations.
        rolling: gets every committed batch.
        slot: the output slot of the forecasts.
        field: of input and output records, with the number.
        low, high: fields of output records with the bounds of the forecast's interval. An output with one bound has none.
        date: field with a day or time: of an output record that which is forecast, of an input record its own. Empty: a
            forecast is for the next record.
        inputs, outputs: the meaning of fields by their logical types; None if the schema has no logical types.
    """

    def __init__(
        self,
        codec: Codec,
        rolling: RollingFigures,
        *,
        slot: int = 1,
        field: str = "",
        low: str = "low",
        high: str = "high",
        date: str = "",
        inputs: Meaning | None = None,
        outputs: Meaning | None = None,
    ) -> None:
        self._codec = codec
        self.rolling = rolling
        self.slot = slot
        self._field, self._low, self._high, self._date = field, low, high, date
        self._inputs, self._outputs = inputs, outputs

    def actual(self, value: Any) -> float | None:
        return finite(_part(value, self._field, self._inputs))

    def forecast(self, datum: Any) -> tuple[float, float | None, float | None, int | None] | None:
        due = None
        if self._date and (due := self._moment(datum, self._outputs)) is None:
            return None
        number = finite(_part(datum, self._field, self._outputs))
        if number is None:
            return None
        if not isinstance(datum, dict):
            return number, None, None, due
        low, high = (finite(_part(datum, name, self._outputs)) for name in (self._low, self._high))
        # One bound does not make an interval, so there is no coverage to report.
        return (number, None, None, due) if low is None or high is None else (number, low, high, due)

    def met(self, pending: PendingForecast, value: Any) -> bool | None:
        if not self._date or pending.due is None:  # None: the forecast was made before --evaluate-date was set
            return True
        moment = self._moment(value, self._inputs)
        return None if moment is None or moment < pending.due else moment == pending.due

    def _moment(self, value: Any, meaning: Meaning | None) -> int | None:
        return moment_ms(_part(value, self._date, meaning)) if isinstance(value, dict) else None

    def write(self, evaluations: Sequence[Evaluation]) -> list[bytes]:
        return self._codec.encode_many(evaluations)

    def recall(self, records: Iterable[Record]) -> None:
        """Fill the rolling figures with the last records of the evaluation topic. Records of other formats are skipped."""
        rows = []
        for record in sorted(records, key=lambda record: record.timestamp or 0):
            try:
                evaluation = self._codec.decode(record.value)
            except RecordError:
                continue
            forecast, naive, actual = (finite(evaluation[name]) for name in ("forecast", "naive", "actual"))
            if forecast is not None and naive is not None and actual is not None:
                low, high = finite(evaluation.get("low")), finite(evaluation.get("high"))
                rows.append((forecast, naive, low, high, actual))
        self.rolling.recall(rows)

    def committed(self, evaluations: Sequence[Evaluation], inputs: Sequence[float], missed: int) -> None:
        self.rolling.add(evaluations, inputs, missed)


def _part(value: Any, field: str, meaning: Meaning | None) -> Any:
    """The meaning of a field, or of the value itself if it is not a record."""
    name, part = (field, value.get(field)) if isinstance(value, dict) else ("", value)
    return part if meaning is None else meaning(name, part)


def finite(value: Any) -> float | None:
    """A number of any type as a double; None if `value` is not a number, or not finite."""
    if type(value) is not float:
        if value is None or isinstance(value, bool | str | bytes):
            return None
        try:
            value = float(value)
        except (TypeError, ValueError, OverflowError):
            return None
    number: float = value
    return number if math.isfinite(number) else None


def check_fields(field: str, date: str, slot: int, schema: Any) -> None:
    """Check that values of a parsed Avro schema have these fields. Raises SettingsError."""
    kind = schema["type"] if isinstance(schema, dict) else schema
    if kind == "record":
        names = [part["name"] for part in schema["fields"]]
        if field not in names:
            problem = f"has no field {field!r}" if field else "is a record"
            raise SettingsError(
                f"--evaluate-field: the schema of slot {slot} {problem}. Name the field that is forecast: {', '.join(names)}."
            )
        if date and date not in names:
            raise SettingsError(
                f"--evaluate-date: the schema of slot {slot} has no field {date!r}. Name the field that holds the day or "
                f"time, in inputs and outputs: {', '.join(names)}."
            )
    elif date and isinstance(kind, str):
        raise SettingsError(
            f"--evaluate-date {date}: the values of slot {slot} are not records, so they have no fields."
        )
    elif isinstance(kind, str) and kind not in _NUMBERS and not (isinstance(schema, dict) and "logicalType" in schema):
        raise SettingsError(
            f"--evaluate: the values of slot {slot} are of type {kind}; forecasts and what happened must be numbers, "
            "or records with --evaluate-field."
        )
