"""What is a number in the values of a stream. The `Judge` port."""

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
    """Numbers as they are, or in a field of that name.

    Args:
        codec: of evaluations.
        rolling: the figures that every committed batch goes into.
        slot: the output slot of the forecasts.
        field: of input and output records; values that are no records are taken as they are.
        low, high: fields of output records that bound the forecast's interval, where an output has both.
        date: field of output records that says which day or time is forecast, and of input records that says which
            they are of. Without it a forecast is of the next record.
        inputs, outputs: what fields of input and output records mean; None if their schema has no logical types.
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
        # One bound is no interval: nothing could be said of how often it covers.
        return (number, None, None, due) if low is None or high is None else (number, low, high, due)

    def met(self, pending: PendingForecast, value: Any) -> bool | None:
        if not self._date or pending.due is None:  # the latter: it waits from before --evaluate-date was set
            return True
        moment = self._moment(value, self._inputs)
        return None if moment is None or moment < pending.due else moment == pending.due

    def _moment(self, value: Any, meaning: Meaning | None) -> int | None:
        return moment_ms(_part(value, self._date, meaning)) if isinstance(value, dict) else None

    def write(self, evaluations: Sequence[Evaluation]) -> list[bytes]:
        return self._codec.encode_many(evaluations)

    def recall(self, records: Iterable[Record]) -> None:
        """The last records of the evaluation topic, from before this worker began; others than ours are passed over."""
        found = []
        for record in sorted(records, key=lambda one: one.timestamp or 0):
            try:
                told = self._codec.decode(record.value)
            except RecordError:
                continue
            forecast, naive, actual = (finite(told[name]) for name in ("forecast", "naive", "actual"))
            if forecast is not None and naive is not None and actual is not None:
                found.append((forecast, naive, finite(told.get("low")), finite(told.get("high")), actual))
        self.rolling.recall(found)

    def committed(self, evaluations: Sequence[Evaluation], inputs: Sequence[float], missed: int) -> None:
        self.rolling.add(evaluations, inputs, missed)


def _part(value: Any, field: str, meaning: Meaning | None) -> Any:
    """The meaning of a field, or of the value itself if it is not a record."""
    name, part = (field, value.get(field)) if isinstance(value, dict) else ("", value)
    return part if meaning is None else meaning(name, part)


def finite(value: Any) -> float | None:
    """A number of any type as a double; None for what is none, or is not finite."""
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
    """Whether the values of a slot, by their parsed Avro schema, can be judged so. Raises SettingsError."""
    kind = schema["type"] if isinstance(schema, dict) else schema
    if kind == "record":
        names = [one["name"] for one in schema["fields"]]
        if field not in names:
            found = f"has no field {field!r}" if field else "is a record"
            raise SettingsError(
                f"--evaluate-field: the schema of slot {slot} {found}. Name the field that is forecast: {', '.join(names)}."
            )
        if date and date not in names:
            raise SettingsError(
                f"--evaluate-date: the schema of slot {slot} has no field {date!r}. Name the field that has the day or "
                f"time, the same of inputs and outputs: {', '.join(names)}."
            )
    elif date and isinstance(kind, str):
        raise SettingsError(f"--evaluate-date {date}: the values of slot {slot} are no records, so have no fields.")
    elif isinstance(kind, str) and kind not in _NUMBERS and not (isinstance(schema, dict) and "logicalType" in schema):
        raise SettingsError(
            f"--evaluate: the values of slot {slot} are of type {kind}; forecasts and what happened must be numbers, "
            "or records with --evaluate-field."
        )
