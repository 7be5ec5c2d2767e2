"""The sensors installed in an engine, and the thread that activates them and sends their reports."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from stream_scorer.errors import DescriptorError
from stream_scorer.modelop.dataflow.sensor_spec import Collected, SensorSpec, parse
from stream_scorer.modelop.dataflow.taps import Taps

PERMANENT = [
    f"manifold.{slot}.records.{point}"
    for point in ("size", "rejected.by.encoding", "count", "rejected.by.schema")
    for slot in (1, 0)
]
"""Tapping points of the sensors that are installed at the start, in the order of their ids."""
PERMANENT_REPORT_S = 2.0
_NEVER = float("inf")


def _nothing() -> None:
    pass


class _Sensor:
    """An installed sensor. Times are of the monotonic clock."""

    def __init__(self, number: int, spec: SensorSpec, taps: Taps, report: Callable[[dict[str, Any]], None]) -> None:
        self.number, self.spec = number, spec
        self._report = report
        self._lock = threading.Lock()
        self._collected = Collected(spec)
        self._gauge = taps.gauge(spec.tap)
        now = self._reported_at = time.monotonic()
        permanent = spec.activation == "permanent"
        self._active_until = now + (spec.duration_s or _NEVER) if permanent else 0.0
        self._reads_left: float = spec.max_reads or _NEVER if permanent else 0
        self._activate_at = _NEVER if permanent else now + spec.pause_s()
        self._report_at = _NEVER if spec.at_once and not (permanent and self._gauge) else now + self._report_s
        self.leave: Callable[[], None] = _nothing if self._gauge else taps.flow(spec.tap).listen(self._take)

    @property
    def _report_s(self) -> float:
        return self.spec.report_s or 1.0

    @property
    def due(self) -> float:
        return min(self._activate_at, self._report_at)

    @property
    def active(self) -> bool:
        return self._reads_left > 0 and time.monotonic() <= self._active_until

    def tend(self, now: float) -> None:
        if now >= self._activate_at:
            self._activate(now)
        if now >= self._report_at:
            self._report_at = now + self._report_s
            if self._gauge is not None and self.spec.activation == "permanent":
                self._take(self._gauge(), None)
            if not self.spec.at_once:
                self._send_collected(now)

    def _activate(self, now: float) -> None:
        spec = self.spec
        self._activate_at = now + spec.pause_s()
        self._active_until = now + (spec.duration_s if spec.duration_s is not None else _NEVER)
        self._reads_left = spec.max_reads or (1 if spec.duration_s is None else _NEVER)
        if self._gauge is not None:
            self._take(self._gauge(), None)

    def _take(self, amount: Any, values: Sequence[Any] | None) -> None:
        now = time.monotonic()
        with self._lock:
            if not self.active:
                return
            self._reads_left -= 1
            if not self.spec.at_once:
                self._collected.add(amount, values)
                return
        for value in (amount,) if values is None else values:
            if self.spec.filter is None or self.spec.filter.passes(value):
                self._send(value, now)

    def _send_collected(self, now: float) -> None:
        with self._lock:
            data = self._collected.take()
        if data is not None:
            self._send(data, now)

    def _send(self, data: Any, now: float) -> None:
        delta, self._reported_at = now - self._reported_at, now
        self._report(
            {
                "type": "sensor-report",
                "id": self.number,
                "tap": self.spec.tap,
                "data": int(data) if isinstance(data, float) and data.is_integer() else data,
                "delta_time": round(delta, 6),
            }
        )


class Sensors:
    """Installs, lists and removes sensors. Safe from any thread."""

    def __init__(
        self,
        taps: Taps,
        report: Callable[[dict[str, Any]], None],
        places: Callable[[], tuple[Iterable[int], list[str]]],
    ) -> None:
        """`report` takes events of type sensor-report; it must not block. `places` returns the slots and sandboxes in use."""
        self._taps, self._report, self._places = taps, report, places
        self._numbers = itertools.count(1)
        self._changed = threading.Condition()
        self._sensors: dict[int, _Sensor] = {}
        self._closed = False
        for tap in PERMANENT:
            self._add(SensorSpec(tap, aggregate="sum", report_s=PERMANENT_REPORT_S))
        self._thread = threading.Thread(target=self._run, name="sensors", daemon=True)
        self._thread.start()

    def install(self, descriptor: Any) -> int:
        """Return the id of the new sensor. Raises DescriptorError."""
        spec = parse(descriptor)
        if self._taps.gauge(spec.tap) is None and not self._taps.is_flow(spec.tap):
            raise DescriptorError(
                f"sensor descriptor: Tap {spec.tap!r} is not a tapping point; there are {', '.join(self.points())}."
            )
        return self._add(spec)

    def remove(self, number: int) -> None:
        """Raises KeyError if there is no such sensor."""
        with self._changed:
            sensor = self._sensors.pop(number)
        sensor.leave()

    def installed(self) -> list[dict[str, Any]]:
        """Return `{id, tap, active, permanent}` of each sensor."""
        with self._changed:
            return [
                {"id": number, "tap": sensor.spec.tap, "active": sensor.active, "permanent": number <= len(PERMANENT)}
                for number, sensor in sorted(self._sensors.items())
            ]

    def points(self) -> list[str]:
        """Return the names of all tapping points."""
        return self._taps.points(*self._places())

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join()

    def _add(self, spec: SensorSpec) -> int:
        with self._changed:
            number = next(self._numbers)
            self._sensors[number] = _Sensor(number, spec, self._taps, self._report)
            self._changed.notify_all()
            return number

    def _run(self) -> None:
        while True:
            with self._changed:
                if self._closed:
                    return
                now = time.monotonic()
                due = min((sensor.due for sensor in self._sensors.values()), default=_NEVER)
                if due > now:
                    self._changed.wait(min(due - now, 60.0))
                    continue
                ready = [sensor for sensor in self._sensors.values() if sensor.due <= now]
            for sensor in ready:
                sensor.tend(now)
