"""Tapping points: where sensors may be put, section [h] of the norm."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from stream_scorer.modelop.dataflow import processes

Listener = Callable[[float, Sequence[Any] | None], None]
Reader = Callable[[], Any]
SLOT_POINTS = ("records.count", "records.size", "records.rejected.by.schema", "records.rejected.by.encoding")
JET_POINTS = tuple(f"{way}.records.{what}" for way in ("input", "output") for what in ("count", "size"))
_FLOW = re.compile(
    r"manifold\.debug|manifold\.\d+\.(debug|{})|jet\.\w+\.({})".format(
        *("|".join(map(re.escape, points)) for points in (SLOT_POINTS, JET_POINTS))
    )
)


class Tap:
    """A point that values pass: a total for whoever asks, and the sensors that listen now."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.total = 0.0
        self._lock = threading.Lock()
        self._listeners: tuple[Listener, ...] = ()

    def add(self, amount: float, values: Sequence[Any] | None = None) -> None:
        """An amount passed, made up of `values` where they are worth telling one by one."""
        with self._lock:
            self.total += amount
            for listen in self._listeners:
                listen(amount, values)

    def tell(self, text: str) -> None:
        """A line passed a debug point."""
        if self._listeners:
            self.add(1, (text,))

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Calls the listener with every (amount, values) until the function it gives is called."""
        with self._lock:
            self._listeners += (listener,)

        def leave() -> None:
            with self._lock:
                self._listeners = tuple(other for other in self._listeners if other is not listener)

        return leave


class Traffic:
    """The taps of records of one slot, or of one end of a jet."""

    def __init__(self, taps: Taps, prefix: str) -> None:
        self._taps = taps
        self._prefix = prefix
        self.count = taps.flow(f"{prefix}.records.count")
        self.size = taps.flow(f"{prefix}.records.size")

    def passed(self, records: Sequence[bytes], count: int | None = None) -> None:
        """Records came or went, `count` of them where markers are among them; bytes are summed up once for all."""
        if records:
            self.count.add(len(records) if count is None else count)
            self.size.add(sum(map(len, records)))

    def rejected(self, by: str, amount: int, records: Sequence[Any] | None = None) -> None:
        """`by`: schema or encoding."""
        if amount:
            self._taps.flow(f"{self._prefix}.records.rejected.by.{by}").add(amount, records)


class Taps:
    """All points of an engine, each made at its first use. Safe from any thread."""

    def __init__(self, jets: Callable[[], Iterable[int]]) -> None:
        """`jets` gives the process ids of the jets as they are."""
        self._pids = jets
        self._lock = threading.Lock()
        self._flow: dict[str, Tap] = {}

    def flow(self, name: str) -> Tap:
        with self._lock:
            return self._flow.get(name) or self._flow.setdefault(name, Tap(name))

    def slot(self, slot: int) -> Traffic:
        return Traffic(self, f"manifold.{slot}")

    def drop(self, prefix: str) -> None:
        """What the points of this prefix belong to is gone."""
        with self._lock:
            self._flow = {name: tap for name, tap in self._flow.items() if not name.startswith(prefix)}

    def debug(self, text: str, slot: int | None = None) -> None:
        """A line for those who watch the manifold, or one stream of it."""
        self.flow("manifold.debug" if slot is None else f"manifold.{slot}.debug").tell(text)

    def gauge(self, name: str) -> Reader | None:
        """A reader of its own for a point that is read rather than passed; None where it is none of those."""
        if name == "sys.memory":
            return lambda: processes.memory(self._processes())
        if name == "sys.cpu.utilization":
            return processes.utilization(self._processes)
        return None

    def is_flow(self, name: str) -> bool:
        return _FLOW.fullmatch(name) is not None

    def points(self, slots: Iterable[int], sandboxes: Iterable[str]) -> list[str]:
        """Names that a sensor may be put at now."""
        return [
            "sys.memory",
            "sys.cpu.utilization",
            "manifold.debug",
            *(f"manifold.{slot}.{point}" for slot in sorted(slots) for point in (*SLOT_POINTS, "debug")),
            *(f"jet.{sandbox}.{point}" for sandbox in sandboxes for point in JET_POINTS),
        ]

    def _processes(self) -> list[int]:
        return list(self._pids())
