"""One run of the dataflow: from the moment that every slot in use has a stream, to the last output or a failure.

Over 300 lines: all of it shares one lock, so it is read together.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping

from stream_scorer.errors import DescriptorError, StateError, TransportError
from stream_scorer.modelop.dataflow.events import ERROR, WARNING, Events
from stream_scorer.modelop.dataflow.flow import Flow, Rules
from stream_scorer.modelop.dataflow.lifecycle import FINISHING, PAUSED, Lifecycle
from stream_scorer.modelop.dataflow.slot_streams import Input, Output, SlotStream
from stream_scorer.modelop.dataflow.taps import Taps, Traffic
from stream_scorer.modelop.dataflow.worker import KILL_S, Worker
from stream_scorer.modelop.process import snapshot as snapshots
from stream_scorer.modelop.process.jet import Jet
from stream_scorer.modelop.process.results import CallResult, Failure
from stream_scorer.records import Control

LEAVE_S = 15.0
"""Time of a jet that has to leave for its batch under way and `end`; then it is killed."""
FINISHER_S = 3.0
"""How long a reset waits for the thread that stores a snapshot."""

OnSnapshot = Callable[[bytes], None]
"""Stores the snapshot of a model that has run to its end."""


class Run:
    """Readers, workers and outputs. The `WorkerListener` of its workers.

    Threads: a reader for each input, a worker for each jet, one finisher. Control calls come one at a time.
    """

    def __init__(
        self,
        life: Lifecycle,
        events: Events,
        taps: Taps,
        streams: Mapping[int, SlotStream],
        rules: Rules,
        make_jet: Callable[[bytes | None], Jet],
        on_snapshot: OnSnapshot | None,
        sandboxes: Iterator[int],
    ) -> None:
        """`make_jet` takes the state of a jet to go on with, or None; `sandboxes` numbers the jets of the engine.

        `on_snapshot` is None if the model keeps no state.
        """
        self._life, self._events, self._taps = life, events, taps
        self._inputs = {slot: stream for slot, stream in streams.items() if isinstance(stream, Input)}
        self._outputs = {slot: stream for slot, stream in streams.items() if isinstance(stream, Output)}
        self._make_jet, self._on_snapshot, self._sandboxes = make_jet, on_snapshot, sandboxes
        self._traffic = {slot: taps.slot(slot) for slot in streams}
        self._workers: list[Worker] = []
        self._begun = False  # there was a jet
        self._handed: list[bytes] = []  # states of jets that were replaced, for the next jets
        self._base: bytes | None = None  # state for jets that are added later
        self.error: str | None = None
        """Why the run has failed, in one line."""
        life.begin()
        self.flow = Flow(life, rules)
        self._finisher = threading.Thread(target=self._finish, name="finisher", daemon=True)

    def start(self, jets: int) -> None:
        """Start readers and jets. Does not block."""
        for stream in self._inputs.values():
            stream.read_into(self.flow, self.failed)
        self.scale(jets)
        self._finisher.start()

    def workers(self) -> list[Worker]:
        """Return the workers whose jet has begun."""
        return [worker for worker in self._workers if worker.ready]

    def scale(self, jets: int) -> None:
        """Change the number of jets. Does not block.

        Added jets run `begin` before any jet gets another record. Of jets that are too many, those that have begun finish
        their batch, and the others are killed.
        """
        with self.flow.changed:
            staying = [worker for worker in self._workers if not (worker.leaving or worker.completed)]
            for worker in staying[jets:]:
                worker.leaving = True
                if not worker.ready:
                    threading.Thread(target=worker.kill, name=f"kill-{worker.sandbox}", daemon=True).start()
            useful = self._life.state != FINISHING or not self._begun or not (staying or self.flow.empty)
            self._begun |= jets > 0
            self.flow.alone = jets == 1
            added = [self._worker() for _ in range(jets - len(staying))] if useful and self._life.active else []
            self._workers = [worker for worker in self._workers if not worker.gone] + added
            for worker in added:
                self.flow.starts.add(worker)
            self.flow.changed.notify_all()
        for worker in added:
            worker.start()

    def change_model(self, rules: Rules, on_snapshot: OnSnapshot | None, jets: int) -> None:
        """Replace the jets by those of another model, which gets what waits. Blocks until the old jets have left."""
        self._retire(self._workers)
        self._on_snapshot, self._base = on_snapshot, None
        self.flow.change_model(rules)
        self.scale(jets)

    def check_replacement(self, before: SlotStream, new: SlotStream) -> None:
        """Raises StateError if a stream cannot take the slot of another one now.

        Jets get their codecs when they start: if those change, new jets replace them.
        """
        explicit = self.flow.rules.explicit
        if before.stream.spec != new.stream.spec and (explicit or self._life.state == PAUSED):
            raise StateError(
                f"stream {new.name!r} at slot {new.slot}: its encoding or schema differs from that of the stream "
                f"there, and {'the model is explicit' if explicit else 'the engine is paused'}. Give one that is written "
                "alike, or reset the engine first."
            )

    def replace(self, before: SlotStream, new: SlotStream, jets: int) -> None:
        """Put another stream at a slot. Blocks until what was read from the one before is scored.

        `new` is not open if it needs a resource that `before` holds.

        Raises StateError (the model takes too long over what was read), DescriptorError and TransportError (`new`
        cannot be opened). Then nothing has changed; but if an output file was closed for it, the run fails.
        """
        same_codec = before.stream.spec == new.stream.spec
        if not same_codec and isinstance(new, Input) and not self.flow.shut(new.slot, LEAVE_S):
            raise StateError(f"slot {new.slot}: the model takes too long over what was read before. Try again.")
        if isinstance(before, Input) and not new.opened:
            self._open_after(before, new)
        if same_codec:
            self._exchange(new)
            return
        with self.flow.changed:
            leaving = [worker for worker in self._workers if not worker.leaving]
            for worker in leaving:
                worker.handing_over = True
        self._retire(leaving)
        left = sorted(leaving, key=lambda worker: worker.handed_at)
        self._handed = snapshots.with_last_shared([worker.handed for worker in left if worker.handed is not None])
        # Jets that are added later begin from here too: an older snapshot would restore older cells.
        self._base = self._handed[0] if self._handed else self._base
        self._exchange(new)
        self.scale(jets)
        self._handed.clear()

    def close(self) -> None:
        """End the run at once, whatever its state. Blocks for some seconds at most."""
        self.flow.close()
        self._stop()
        for output in self._outputs.values():
            output.close()
        self._kill()
        for stream in self._inputs.values():
            stream.close()
        if self._finisher.ident is not None:
            self._finisher.join(FINISHER_S)

    def deliver(self, worker: Worker, result: CallResult) -> None:
        by_slot: dict[int, list[bytes]] = {}
        for slot, record in result.outputs:
            by_slot.setdefault(slot, []).append(record)
        for slot, records in by_slot.items():
            worker.output.passed(records)
            self._write(slot, lambda output: output.write(records))  # noqa: B023 - called at once
        for by, counts in (("encoding", result.rejected_by_encoding), ("schema", result.rejected_by_schema)):
            for slot, count in counts.items():
                self._traffic[slot].rejected(by, count, result.shown(by, slot))

    def pig(self, control: Control) -> None:
        for slot in sorted(self._outputs):
            self._write(slot, lambda output: output.write_control(control))

    def failed(self, error: Exception | Failure) -> None:
        """End the run with state ERROR. Outputs that are written can still be read."""

        def report() -> None:
            failure = error if isinstance(error, Failure) else getattr(error, "failure", None)
            text = failure.traceback if failure else f"{error or type(error).__name__}\n"
            self.error = ([line for line in text.splitlines() if line.strip()] or [type(error).__name__])[-1].strip()
            if failure is None:
                self._events.log(ERROR, text.rstrip())
            self._taps.debug(f"failed: {self.error}")
            self._events.emit({"type": "model-error", "input": failure.input if failure else None, "console": text})

        with self.flow.changed:
            # If this run is over, the state is that of another run, or of none.
            if self.flow.closed or not self._life.fail(report):
                return
            self.flow.close()
        self._stop()
        self._kill()

    def started(self, worker: Worker) -> None:
        self._events.config("jet", "start", worker.sandbox)
        self._taps.debug(f"jet {worker.sandbox} ready, process {worker.jet.pid}")

    def stopped(self, worker: Worker) -> None:
        self._events.config("jet", "stop", worker.sandbox)
        self._taps.debug(f"jet {worker.sandbox} stopped")
        self._taps.drop(f"jet.{worker.sandbox}.")

    def _worker(self) -> Worker:
        sandbox = str(next(self._sandboxes))
        traffic = (Traffic(self._taps, f"jet.{sandbox}.input"), Traffic(self._taps, f"jet.{sandbox}.output"))
        return Worker(sandbox, self._make_jet(self._handed.pop(0) if self._handed else self._base), self, traffic)

    def _open_after(self, before: Input, new: SlotStream) -> None:
        before.close_to_reopen()
        try:
            new.open()
        except BaseException:
            before.open()
            self._read(before)
            raise

    def _exchange(self, new: SlotStream) -> None:
        if isinstance(new, Input):
            self._inputs[new.slot].close()
            self._inputs[new.slot] = new
            self._read(new)
            return
        try:
            with new.held():
                old, self._outputs[new.slot] = self._outputs[new.slot], new
                try:
                    old.retire()
                except TransportError as error:  # what it has lost is lost; the new stream takes its place
                    self._events.log(WARNING, f"slot {new.slot}: stream {old.name!r} was not finished: {error}")
                new.open()
        except (DescriptorError, TransportError) as error:
            self.failed(error)
            raise

    def _read(self, new: Input) -> None:
        self.flow.reopen(new.slot)
        new.read_into(self.flow, self.failed)

    def _retire(self, leaving: list[Worker]) -> None:
        """Make jets leave, and kill those that have not within LEAVE_S."""
        self.scale(0)
        with self.flow.changed:
            self.flow.changed.wait_for(lambda: self.flow.closed or not any(worker.alive for worker in leaving), LEAVE_S)
        for worker in leaving:
            if worker.alive:
                self._events.log(WARNING, f"jet {worker.sandbox}: killed: it has not ended within {LEAVE_S:g} s")
                worker.kill()

    def _kill(self) -> None:
        """Kill all jets. Blocks for KILL_S at most, and for the removal of their folders."""
        until = time.monotonic() + KILL_S
        for worker in self._workers:
            worker.kill(until - time.monotonic())

    def _write(self, slot: int, write: Callable[[Output], None]) -> None:
        output = self._outputs.get(slot)
        if output is None:
            raise TransportError(f"the model wrote to slot {slot}, which is not in use.")
        try:
            write(output)
        except Exception:
            if self._outputs[slot] is output:
                raise  # otherwise its stream was replaced meanwhile, and the error is that of the old one

    def _stop(self) -> None:
        """Stop the readers. Does not wait for them."""
        for stream in self._inputs.values():
            stream.leave()

    def _finish(self) -> None:
        """Wait until all jets have ended, then finish the outputs: state FINISHED."""
        with self.flow.changed:
            self.flow.changed.wait_for(self._all_done)
            if self.flow.closed:
                return
        self._stop()
        # Jets that have left before have their process closed. One that stays goes before one that leaves.
        completed = [worker for worker in self._workers if worker.completed and worker.ready]
        completed.sort(key=lambda worker: not worker.leaving)
        steps: list[Callable[[], None]] = [output.finish for output in self._outputs.values()]
        if self._on_snapshot is not None and completed:
            keep, jet = self._on_snapshot, completed[-1].jet
            steps.insert(
                0, lambda: keep(jet.snapshot())
            )  # first: a client that sees the end of the outputs may ask for it
        for step in steps:
            if self.flow.closed:
                break  # a reset has closed the streams
            try:
                step()
            except Exception as error:  # noqa: BLE001 - it ends the run, not the engine, and the other steps follow
                self.failed(error)
        for worker in completed:
            worker.close()
        with self.flow.changed:
            if not self.flow.closed:
                self._life.finished()

    def _all_done(self) -> bool:
        """Whether all jets have ended. Called with the lock held."""
        if self.flow.closed:
            return True
        if self._life.state != FINISHING:
            if self.flow.rules.explicit and self._workers and all(worker.completed for worker in self._workers):
                self.flow.abandon_inputs()
            return self._life.state == FINISHING
        return all(worker.completed or not worker.alive for worker in self._workers) and (
            self.flow.empty or any(worker.completed and not worker.leaving for worker in self._workers)
        )
