"""One jet, and the thread that starts, feeds and ends it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Protocol

from stream_scorer.modelop.dataflow import processes
from stream_scorer.modelop.dataflow.flow import Flow
from stream_scorer.modelop.dataflow.taps import Traffic
from stream_scorer.modelop.process.jet import Jet
from stream_scorer.modelop.process.results import CallResult, Failure
from stream_scorer.records import Batch, Control

KILL_S = 3.0
"""How long `kill` waits for the thread."""
ALIVE_CHECK_S = 1.0
"""How often an idle worker looks whether its process still runs."""


class WorkerListener(Protocol):
    """Takes the results of workers. Called from their threads, without a lock; every method may block."""

    flow: Flow

    def deliver(self, worker: Worker, result: CallResult) -> None:
        """Write the outputs of a call. Raises TransportError."""

    def pig(self, control: Control) -> None:
        """Write a pig to every output. Raises TransportError."""

    def failed(self, error: Exception | Failure) -> None:
        """End the run."""

    def started(self, worker: Worker) -> None: ...

    def stopped(self, worker: Worker) -> None: ...


class Worker:
    """Starts its jet, feeds it the batches of the flow and ends it in order; `kill` ends it at once.

    Attributes:
        sandbox: the number of the jet, as text, by which clients know it.
        ready: `begin` has returned. completed: `end` has, or the body of an explicit model.
        leaving: it ends after the batch under way. handing_over: it ends without `end`, and leaves its state in
            `handed`, taken at `handed_at` (monotonic clock).
    """

    def __init__(self, sandbox: str, jet: Jet, listener: WorkerListener, traffic: tuple[Traffic, Traffic]) -> None:
        self.sandbox, self.jet = sandbox, jet
        self.input, self.output = traffic
        self.ready = self.completed = self.busy = self.leaving = self.handing_over = False
        self.handed: bytes | None = None
        self.handed_at = 0.0
        self._listener, self._flow = listener, listener.flow
        self._killed = self._over = False
        self._checked_at = 0.0
        self._thread = threading.Thread(target=self._run, name=f"jet-{sandbox}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether its thread still has something to do, or has not begun."""
        return not self._over

    @property
    def gone(self) -> bool:
        """Whether its jet is closed, and not kept for the end of the run."""
        return self._over and not self.ready

    def join(self, timeout_s: float) -> None:
        self._thread.join(timeout_s)

    def kill(self, wait_s: float = KILL_S) -> None:
        """End the jet's process now, whatever it does. Blocks for `wait_s` at most. Safe from any thread."""
        self._killed = True
        if threading.current_thread() is self._thread:
            return  # it closes the jet itself when it leaves
        self.jet.close(0)
        if self._thread.ident is not None:
            self._thread.join(max(0.0, wait_s))
        if self.completed:
            self.close()

    def close(self) -> None:
        """Close the jet of a worker whose thread has ended."""
        self.jet.close()
        if self.ready:
            self.ready = False
            self._listener.stopped(self)

    def _leaves(self) -> bool:
        if self.leaving or self._killed:
            return True
        now = time.monotonic()
        if now < self._checked_at + ALIVE_CHECK_S:
            return False
        self._checked_at = now
        return processes.has_exited(self.jet.pid)  # the next call finds out how

    def _run(self) -> None:
        try:
            if not self._killed:
                self.jet.start(lambda: self._flow.starts.wait_for_bodies(self, self._unwanted))
                self.ready = True
                self._listener.started(self)
                self._flow.starts.remove(self)
                self._work(self._explicit if self.jet.explicit else self._by_batches)
        except Exception as error:  # noqa: BLE001 - of a model, a jet or a stream: it ends the run, not the engine
            if not self._killed:
                self._listener.failed(error)
        finally:
            self._flow.starts.remove(self)
            # A jet that leaves when all is scored may be the last one, which has the state for a snapshot.
            kept = self.completed and (not self.leaving or self._flow.scored)
            if self._killed or not kept:
                self.close()
            with self._flow.changed:
                self._over = True
                self._flow.changed.notify_all()

    def _unwanted(self) -> bool:
        return self._killed or self._flow.closed

    def _work(self, work: Callable[[], CallResult | None]) -> None:
        result = work()
        if result is not None and not self._killed:
            self._deliver(result)
            self.completed = result.failure is None

    def _by_batches(self) -> CallResult | None:
        """Feed the jet until nothing more comes. Return what its `end` returns."""
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
        return self.jet.end(self._write_part)

    def _feed(self, batch: Batch) -> bool:
        """Return whether the jet can go on."""
        self.busy = True
        self.input.passed(batch.records)
        began, took_s, rejected = time.monotonic(), 0.0, 0
        try:
            result = self.jet.feed(batch, self._write_part)
            took_s = time.monotonic() - began
            if self._killed:
                return False
            self._deliver(result)
            rejected = _rejected(result, batch.slot)
            return result.failure is None
        finally:
            self.busy = False
            self._flow.done(batch, rejected, took_s)

    def _explicit(self) -> CallResult:
        """Run the body, which reads batches itself. A batch is under way until the next one is read."""

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

        self.busy = True
        self._flow.enter()
        try:
            return self.jet.run_explicit(read, self._write_part)
        finally:
            self._flow.done()
            self.busy = False

    def _write_part(self, result: CallResult) -> None:
        """Write outputs of a call that has not returned. Blocks while the engine is paused."""
        self._flow.wait_while_paused()
        if not self._killed:
            self._listener.deliver(self, result)

    def _pig(self, batch: Batch) -> None:
        assert batch.control is not None
        try:
            self._listener.pig(batch.control)
        finally:
            self._flow.pig_written()

    def _deliver(self, result: CallResult) -> None:
        self._listener.deliver(self, result)
        if result.failure is not None:
            self._listener.failed(result.failure)


def _rejected(result: CallResult, slot: int) -> int:
    return result.rejected_by_encoding.get(slot, 0) + result.rejected_by_schema.get(slot, 0)
