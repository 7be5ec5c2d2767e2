"""Sensor descriptors, and how a sensor filters and aggregates values (rule `h.sensors`)."""

from __future__ import annotations

import math
import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stream_scorer.errors import DescriptorError
from stream_scorer.modelop.streams.transport_kinds import shown

_FIELDS = {"version", "description", "tap", "activate", "report", "filter", "aggregate", "sink"}
_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
_QUANTITY = re.compile(r"\s*([-+]?[\d.]+(?:e[-+]?\d+)?)\s*([kmgt]?)b?\s*", re.IGNORECASE)
_LARGEST = 1e300
_MAX_TAP = 200  # characters of a name
_SECONDS = 1e9  # about 30 years
_RANGES = ("within-range", "outside-range")
_COMPARISONS = (">", ">=", "<", "<=")
DEFAULT_REPORT_S = 1.0


@dataclass(frozen=True)
class Filter:
    """A comparison with `low`, or with the range from `low` to `high`, both included."""

    kind: str
    low: float
    high: float

    def passes(self, value: Any) -> bool:
        """Whether a value passes. Of an object, the sum of its members is compared; field is not a number passes."""
        if isinstance(value, Mapping):
            value = sum(value.values())
        if isinstance(value, bool) or not isinstance(value, int | float):
            return True
        match self.kind:
            case ">":
                return value > self.low
            case ">=":
                return value >= self.low
            case "<":
                return value < self.high
            case "<=":
                return value <= self.high
            case "within-range":
                return self.low <= value <= self.high
            case _:
                return not self.low <= value <= self.high


@dataclass(frozen=True)
class SensorSpec:
    """A parsed sensor descriptor. Times are in seconds.

    activation: permanent; or regular or random, every `interval_s` on average, for `duration_s` or `max_reads` readings
    (one, if neither is given). aggregate: accumulate, sum or count; None reports each value by itself. report_s: time
    between reports; 0 reports each value when it comes.
    """

    tap: str
    activation: str = "permanent"
    interval_s: float = 0.0
    duration_s: float | None = None
    max_reads: int | None = None
    report_s: float = DEFAULT_REPORT_S
    filter: Filter | None = None
    aggregate: str | None = "accumulate"
    sample_size: int | None = None

    @property
    def at_once(self) -> bool:
        """Whether each value is reported when it comes."""
        return self.aggregate is None or self.report_s == 0

    def pause_s(self) -> float:
        """Return the seconds to the next activation."""
        return random.expovariate(1 / self.interval_s) if self.activation == "random" else self.interval_s


class Collected:
    """The values of a sensor since its last report. Not safe from several threads."""

    def __init__(self, spec: SensorSpec) -> None:
        self._spec = spec
        self._values: list[Any] = []
        self._sum: Any = 0
        self._count = 0

    def add(self, amount: Any, values: Sequence[Any] | None) -> None:
        spec = self._spec
        if spec.filter is not None:
            if not spec.filter.passes(amount):
                return
            values = values and [value for value in values if spec.filter.passes(value)]
        if spec.aggregate == "accumulate":
            self._values += (amount,) if values is None else values
            if spec.sample_size is not None:
                del self._values[: -spec.sample_size]
        elif spec.aggregate == "count":
            self._count += 1
        elif isinstance(amount, Mapping):
            before = self._sum or dict.fromkeys(amount, 0)
            self._sum = {key: before.get(key, 0) + value for key, value in amount.items()}
        else:
            self._sum += amount

    def take(self) -> Any:
        """Return field to report, and begin anew; None in place of an empty list."""
        taken = {"accumulate": self._values or None, "count": self._count}.get(self._spec.aggregate or "", self._sum)
        self._values, self._sum, self._count = [], 0, 0
        return taken


def parse(descriptor: Any) -> SensorSpec:
    """Return a sensor descriptor, checked. Raises DescriptorError: one line, which names the field."""
    fields = _fields(descriptor, "sensor descriptor", _FIELDS)
    tap = fields.get("tap")
    if not isinstance(tap, str) or len(tap) > _MAX_TAP:
        raise DescriptorError(
            f"sensor descriptor: Tap is {shown(tap)}: give the name of a tapping point, as in sys.memory."
        )
    if (sink := fields.get("sink")) not in (None, "pneumo", "Pneumo"):
        raise DescriptorError(f"sensor {tap}: Sink {shown(sink)} is not supported: leave it out, reports go to Pneumo.")
    activation, interval_s, duration_s, max_reads = _activation(tap, fields.get("activate"))
    report = _fields(fields.get("report") or {}, f"sensor {tap}: Report", {"interval"})
    aggregate, sample_size = _aggregate(tap, fields.get("aggregate", "accumulate"))
    return SensorSpec(
        tap=tap,
        activation=activation,
        interval_s=interval_s,
        duration_s=duration_s,
        max_reads=max_reads,
        report_s=_quantity(f"sensor {tap}: Report.Interval", report.get("interval", DEFAULT_REPORT_S), 0, _SECONDS),
        filter=_filter(tap, fields.get("filter")),
        aggregate=aggregate,
        sample_size=sample_size,
    )


def _fields(value: Any, name: str, known: set[str]) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise DescriptorError(f"{name} is {shown(value)}: it must be an object.")
    unknown = [key for key in value if key.lower() not in known]
    if unknown:
        raise DescriptorError(f"{name}: no field {shown(unknown[0])}; there are {', '.join(sorted(known))}.")
    return {key.lower(): content for key, content in value.items()}


def _activation(tap: str, value: Any) -> tuple[str, float, float | None, int | None]:
    field = f"sensor {tap}: Activate"
    if value is None or isinstance(value, str):
        value = {"Type": value or "permanent"}
    fields = _fields(value, field, {"type", "intensity", "interval", "duration", "maxreads"})
    kind = str(fields.get("type", "permanent")).lower()
    if kind not in ("permanent", "regular", "random"):
        raise DescriptorError(f"{field}.Type is {shown(kind)}: it must be permanent, regular or random.")
    interval = 0.0
    if kind != "permanent":
        if ("interval" in fields) == ("intensity" in fields):
            raise DescriptorError(f"{field}: give either Interval (seconds) or Intensity (times a second).")
        if "interval" in fields:
            interval = _quantity(f"{field}.Interval", fields["interval"], 0.001, _SECONDS)
        else:
            interval = 1 / _quantity(f"{field}.Intensity", fields["intensity"], 1e-6, 1000)
    duration, reads = fields.get("duration"), fields.get("maxreads")
    return (
        kind,
        interval,
        None if duration is None else _quantity(f"{field}.Duration", duration, 0, _SECONDS),
        None if reads is None else int(_quantity(f"{field}.MaxReads", reads, 1)),
    )


def _filter(tap: str, value: Any) -> Filter | None:
    if value is None:
        return None
    field = f"sensor {tap}: Filter"
    fields = _fields(value, field, {"type", "threshold", "minvalue", "maxvalue"})
    kind = fields.get("type")
    if kind in _COMPARISONS:
        bound = _quantity(f"{field}.Threshold", fields.get("threshold"))
        return Filter(kind, bound, bound)
    if kind in _RANGES:
        low = _quantity(f"{field}.MinValue", fields.get("minvalue"))
        return Filter(kind, low, _quantity(f"{field}.MaxValue", fields.get("maxvalue")))
    raise DescriptorError(f"{field}.Type is {shown(kind)}: it must be {', '.join((*_COMPARISONS, *_RANGES))}.")


def _aggregate(tap: str, value: Any) -> tuple[str | None, int | None]:
    if value is None:
        return None, None
    field = f"sensor {tap}: Aggregate"
    fields = _fields({"Type": value} if isinstance(value, str) else value, field, {"type", "samplesize"})
    kind = str(fields.get("type", "accumulate")).lower()
    if kind not in ("accumulate", "sum", "count"):
        raise DescriptorError(f"{field} is {shown(kind)}: it must be accumulate, sum, count or null.")
    size = fields.get("samplesize")
    return kind, None if size is None else int(_quantity(f"{field}.SampleSize", size, 1))


def _quantity(field: str, value: Any, least: float = -_LARGEST, most: float = _LARGEST) -> float:
    """Return a number, given as such or as text with a unit: "1G" is 1073741824."""
    quantity = math.nan
    try:
        if isinstance(value, int | float) and not isinstance(value, bool):
            quantity = float(value)
        elif isinstance(value, str) and (match := _QUANTITY.fullmatch(value)):
            quantity = float(match[1]) * _UNITS[match[2].lower()]
    except (ValueError, OverflowError):
        pass
    if not least <= quantity <= most:  # neither is NaN
        raise DescriptorError(
            f'{field} is {shown(value)}: it must be a number from {least:g} to {most:g}, as in 2.5 or "1G".'
        )
    return quantity
