"""Sensors of an instance without a manifold: memory and CPU time of this process."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from stream_scorer.errors import SettingsError
from stream_scorer.modelop.dataflow.sensors import Sensors
from stream_scorer.modelop.dataflow.taps import Taps
from stream_scorer.modelop.streams.transport_kinds import shown


class ProcessSensors:
    """The `Sensors` of such an instance. `report` takes events of type sensor-report; it must not block."""

    def __init__(self, report: Callable[[dict[str, Any]], None]) -> None:
        self._sensors = Sensors(Taps(lambda: [os.getpid()]), report, lambda: ((), []))
        for sensor in self._sensors.installed():  # those of an engine
            self._sensors.remove(sensor["id"])

    def install(self, descriptor: dict[str, Any]) -> int:
        if descriptor.get("Tap") not in self.points():
            raise SettingsError(
                f"sensor descriptor: Tap {shown(descriptor.get('Tap'))} is not a tapping point here: {', '.join(self.points())}."
            )
        return self._sensors.install(descriptor)

    def remove(self, number: int) -> None:
        self._sensors.remove(number)

    def installed(self) -> list[dict[str, Any]]:
        return self._sensors.installed()

    def points(self) -> list[str]:
        return [point for point in self._sensors.points() if point.startswith("sys.")]

    def close(self) -> None:
        self._sensors.close()
