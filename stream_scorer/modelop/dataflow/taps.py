"""Tapping points, where sensors can be installed (rule `h.sensors`)."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from stream_scorer.modelop.dataflow import processes

Listener = Callable[[float, Sequence[Any] | None], None]
Reader = Callable[[], Any]
SLOT_POINTS = ("records.count", "records.size", "records.rejected.by.schema", "records.rejected.by.encoding")
JET_POINTS = tuple(f"{way}.records.{unit}" for way in ("input", "output") for unit in ("count", "size"))
_FLOW = re.compile(
    r"manifold\.debug|manifold\.\d+\.(debug|{})|jet\.\w+\.({})".format(
        *("|".join(map(re.escape, points)) for points in (SLOT_POINTS, JET_POINTS))
    )
)


class Tap:
    """A point that amounts pass: their total, and the sensors that listen. Safe from any thread."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.total = 0.0
        self._lock = threading.Lock()
        self._listeners: tuple[Listener, ...] = ()

    def add(self, amount: float, values: Sequence[Any] | None = None) -> None:
        """Count an amount. `values`: its parts, if sensors can report them one by one."""
        with self._lock:
            self.total += amount
            for listen in self._listeners:
                listen(amount, values)

    def line(self, text: str) -> None:
        """Count a line of a debug point."""
        if self._listeners:
            self.add(1, (text,))

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Call the listener with every (amount, values), until the function that is returned is called."""
        with self._lock:
            self._listeners += (listener,)

        def leave() -> None:
            with self._lock:
                self._listeners = tuple(other for other in self._listeners if other is not listener)

        return leave


class Traffic:
    """The taps of the records of one slot, or of the inputs or outputs of one jet."""

    def __init__(self, taps: Taps, prefix: str) -> None:
        self._taps = taps
        self._prefix = prefix
        self.count = taps.flow(f"{prefix}.records.count")
        self.size = taps.flow(f"{prefix}.records.size")

    def passed(self, records: Sequence[bytes], count: int | None = None) -> None:
        """Count records and their bytes. `count`: how many they are, if `set` markers among them do not count."""
        if records:
            self.count.add(len(records) if count is None else count)
            self.size.add(sum(map(len, records)))

    def rejected(self, by: str, amount: int, records: Sequence[Any] | None = None) -> None:
        """Count rejected records. `by`: schema or encoding. `records`: as text."""
        if amount:
            self._taps.flow(f"{self._prefix}.records.rejected.by.{by}").add(amount, records)


class Taps:
    """All tapping points of an engine, each made at its first use. Safe from any thread."""

    def __init__(self, pids: Callable[[], Iterable[int]]) -> None:
        """`pids` returns the process ids of engine and jets."""
        self._pids = pids
        self._lock = threading.Lock()
        self._flow: dict[str, Tap] = {}

    def flow(self, name: str) -> Tap:
        with self._lock:
            return self._flow.get(name) or self._flow.setdefault(name, Tap(name))

    def slot(self, slot: int) -> Traffic:
        return Traffic(self, f"manifold.{slot}")

    def drop(self, prefix: str) -> None:
        """Drop the points with this prefix: their slot or jet is gone."""
        with self._lock:
            self._flow = {name: tap for name, tap in self._flow.items() if not name.startswith(prefix)}

    def debug(self, text: str, slot: int | None = None) -> None:
        """Send a line to the sensors on the debug point of the manifold, or of one slot."""
        self.flow("manifold.debug" if slot is None else f"manifold.{slot}.debug").line(text)

    def gauge(self, name: str) -> Reader | None:
        """Return a reader of a point that is measured (memory, CPU); None if amounts pass the point."""
        if name == "sys.memory":
            return lambda: processes.memory(self._processes())
        if name == "sys.cpu.utilization":
            return processes.utilization(self._processes)
        return None

    def is_flow(self, name: str) -> bool:
        """Whether a point of this name is one that amounts pass."""
        return _FLOW.fullmatch(name) is not None

    def points(self, slots: Iterable[int], sandboxes: Iterable[str]) -> list[str]:
        """Return the names of the points that sensors can be installed at now."""
        return [
            "sys.memory",
            "sys.cpu.utilization",
            "manifold.debug",
            *(f"manifold.{slot}.{point}" for slot in sorted(slots) for point in (*SLOT_POINTS, "debug")),
            *(f"jet.{sandbox}.{point}" for sandbox in sandboxes for point in JET_POINTS),
        ]

    def _processes(self) -> list[int]:
        return list(self._pids())
