"""One jet and the thread that feeds it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Protocol

from stream_scorer.modelop.dataflow import processes
from stream_scorer.modelop.dataflow.flow import Flow
from stream_scorer.modelop.dataflow.taps import Traffic
from stream_scorer.modelop.process.jet import Jet
from stream_scorer.modelop.process.results import Failure, Fed
from stream_scorer.records import Batch, Control

KILL_S = 3.0
ALIVE_CHECK_S = 1.0


class Desk(Protocol):
    """What a worker hands its results to. Every method may wait; none is called with a lock held."""

    flow: Flow

    def deliver(self, worker: Worker, fed: Fed) -> None: ...

    def pig(self, control: Control) -> None: ...

    def failed(self, error: Exception | Failure) -> None: ...

    def started(self, worker: Worker) -> None: ...

    def stopped(self, worker: Worker) -> None: ...


class Worker:
    """Starts its jet, feeds it what the flow gives, ends it in order; `kill` ends it at once.

    Attributes:
        sandbox: its number as text, by which clients know the jet.
        ready: `begin` has returned. ended: `end` has, or the body of an explicit model.
        leaving: it ends after the batch in hand. handing_over: then without `end`, its state left in `handed`,
            as it was at `handed_at`.
    """

    def __init__(self, sandbox: str, jet: Jet, desk: Desk, traffic: tuple[Traffic, Traffic]) -> None:
        self.sandbox, self.jet = sandbox, jet
        self.input, self.output = traffic
        self.ready = self.ended = self.busy = self.leaving = self.handing_over = False
        self.handed: bytes | None = None
        self.handed_at = 0.0
        self._desk, self._flow = desk, desk.flow
        self._killed = False
        self._checked = 0.0
        self._thread = threading.Thread(target=self._run, name=f"jet-{sandbox}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    @property
    def gone(self) -> bool:
        """Its jet is closed, and not kept for the end of the run."""
        return not self.alive and not (self.ended and not self.leaving)

    def join(self, timeout_s: float) -> None:
        self._thread.join(timeout_s)

    def kill(self) -> None:
        """The jet's process ends now, wherever it is. Safe from any thread."""
        self._killed = True
        if threading.current_thread() is self._thread:
            return  # it closes the jet itself on its way out
        deadline = time.monotonic() + KILL_S
        while self._thread.is_alive() and time.monotonic() < deadline:
            if self.jet.pid:  # one that is closed before it has a process would not start, or not end
                self.jet.close(0)
            self._thread.join(0.02)
        if self.ended:
            self.close()

    def close(self) -> None:
        """Of a worker that has ended."""
        self.jet.close()
        if self.ready:
            self.ready = False
            self._desk.stopped(self)

    def _leaves(self) -> bool:
        if self.leaving or self._killed:
            return True
        now = time.monotonic()
        if now < self._checked + ALIVE_CHECK_S:
            return False
        self._checked = now
        return processes.has_ended(self.jet.pid)  # the next call to it tells how

    def _run(self) -> None:
        try:
            if not self._killed:
                self.jet.start(lambda: self._flow.starts.meet(self, self._unwanted))
                self.ready = True
                self._desk.started(self)
                self._flow.starts.remove(self)
                self._work(self._explicit if self.jet.explicit else self._by_batches)
        except Exception as error:  # noqa: BLE001 - of a model, a jet or a stream: the run fails, not the engine
            if not self._killed:
                self._desk.failed(error)
        finally:
            self._flow.starts.remove(self)
            if self._killed or self.leaving or not self.ended:
                self.close()
            with self._flow.changed:
                self._flow.changed.notify_all()

    def _unwanted(self) -> bool:
        return self._killed or self._flow.closed

    def _work(self, work: Callable[[], Fed | None]) -> None:
        fed = work()
        if fed is not None and not self._killed:
            self._deliver(fed)
            self.ended = fed.failure is None

    def _by_batches(self) -> Fed | None:
        """Gives what `end` gives, in order after all that came before."""
        while (batch := self._flow.take(self._leaves)) is not None:
            if batch.closed_by == "pig":
                self._pig(batch)
                continue
            if not self._feed(batch):
                return None
        if self._killed or self._flow.closed:
            return None
        if self.handing_over:
            self.handed, self.handed_at = self.jet.snapshot(), time.monotonic()
            return None
        return self.jet.end()

    def _feed(self, batch: Batch) -> bool:
        """Whether the jet can go on."""
        self.busy = True
        self.input.passed(batch.records)
        began, took_s, rejected = time.monotonic(), 0.0, 0
        try:
            fed = self.jet.feed(batch)
            took_s = time.monotonic() - began
            if self._killed:
                return False
            self._deliver(fed)
            rejected = _rejected(fed, batch.slot)
            return fed.failure is None
        finally:
            self.busy = False
            self._flow.done(batch, rejected, took_s)

    def _explicit(self) -> Fed:
        """The body reads by batches too; from one read to the next, what was read last is under way."""

        def read(slot: int) -> Batch | None:
            self.busy = False
            self._flow.done()
            while (batch := self._flow.take(self._leaves, slot)) is not None and batch.closed_by == "pig":
                self._pig(batch)
            if batch is None:
                self._flow.enter()
            else:
                self.input.passed(batch.records)
            self.busy = True
            return batch

        def write(fed: Fed) -> None:
            self._flow.hold()
            if not self._killed:
                self._desk.deliver(self, fed)

        self.busy = True
        self._flow.enter()
        try:
            return self.jet.run_explicit(read, write)
        finally:
            self._flow.done()
            self.busy = False

    def _pig(self, batch: Batch) -> None:
        assert batch.control is not None
        try:
            self._desk.pig(batch.control)
        finally:
            self._flow.pig_written()

    def _deliver(self, fed: Fed) -> None:
        self._desk.deliver(self, fed)
        if fed.failure is not None:
            self._desk.failed(fed.failure)


def _rejected(fed: Fed, slot: int) -> int:
    return fed.rejected_by_encoding.get(slot, 0) + fed.rejected_by_schema.get(slot, 0)
