"""One run: from the moment that every slot in use has a stream, to the last output or a failure."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping

from stream_scorer.errors import DescriptorError, StateError, TransportError
from stream_scorer.modelop.dataflow.events import ERROR, WARNING, Events
from stream_scorer.modelop.dataflow.flow import Flow, Rules
from stream_scorer.modelop.dataflow.lifecycle import FINISHING, PAUSED, Lifecycle
from stream_scorer.modelop.dataflow.slot_streams import End, Input, Output
from stream_scorer.modelop.dataflow.taps import Taps, Traffic
from stream_scorer.modelop.dataflow.worker import Worker
from stream_scorer.modelop.process import snapshot as snapshots
from stream_scorer.modelop.process.jet import Jet
from stream_scorer.modelop.process.results import Failure, Fed
from stream_scorer.records import Control

LEAVE_S = 15.0
"""Jets of a model that is replaced have so long for what they have in hand and `end`; then they are killed."""
FINISHER_S = 3.0
"""A reset waits so long for whoever stores a snapshot."""

OnSnapshot = Callable[[bytes], None]


class Run:
    """Readers, jets and outputs at work. Control calls come one at a time; the rest from threads of the run."""

    def __init__(
        self,
        life: Lifecycle,
        events: Events,
        taps: Taps,
        ends: Mapping[int, End],
        rules: Rules,
        make_jet: Callable[[bytes | None], Jet],
        on_snapshot: OnSnapshot | None,
        sandboxes: Iterator[int],
    ) -> None:
        """`make_jet` is given the state of a jet to go on with, or None; `on_snapshot` is None where none is asked for.

        `sandboxes` numbers the jets of the engine.
        """
        self._life, self._events, self._taps = life, events, taps
        self._inputs = {slot: end for slot, end in ends.items() if isinstance(end, Input)}
        self._outputs = {slot: end for slot, end in ends.items() if isinstance(end, Output)}
        self._make_jet, self._on_snapshot, self._sandboxes = make_jet, on_snapshot, sandboxes
        self._traffic = {slot: taps.slot(slot) for slot in ends}
        self._workers: list[Worker] = []
        self._begun = False
        self._handed: list[bytes] = []
        self._base: bytes | None = None
        self.error: str | None = None
        life.begin()
        self.flow = Flow(life, rules)
        self._finisher = threading.Thread(target=self._finish, name="finisher", daemon=True)

    def start(self, jets: int) -> None:
        for end in self._inputs.values():
            end.read_into(self.flow, self.failed)
        self.scale(jets)
        self._finisher.start()

    def workers(self) -> list[Worker]:
        """Those whose jet is up."""
        return [worker for worker in self._workers if worker.ready]

    def scale(self, jets: int) -> None:
        """Change the number of jets. Does not block.

        Added jets run `begin` before any jet is given the next record. Of the jets that are too many, those that have
        begun finish the batch in hand, and the others are killed.
        """
        with self.flow.changed:
            staying = [worker for worker in self._workers if not (worker.leaving or worker.ended)]
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

    def renew(self, rules: Rules, on_snapshot: OnSnapshot | None, jets: int) -> None:
        """Another model takes over between two batches; what waits is for it."""
        self._retire(self._workers)
        self._on_snapshot, self._base = on_snapshot, None
        self.flow.renew(rules)
        self.scale(jets)

    def check_replacement(self, before: End, new: End) -> None:
        """Raises StateError where a stream cannot take the slot of another one now.

        Jets have their codecs from their start: where those change, the jets are exchanged for new ones.
        """
        explicit = self.flow.rules.explicit
        if before.stream.spec != new.stream.spec and (explicit or self._life.state == PAUSED):
            raise StateError(
                f"stream {new.name!r} at slot {new.slot}: its encoding or schema is another than that of the stream "
                f"there, and {'the model is explicit' if explicit else 'the engine is paused'}. Give one that is written "
                "alike, or reset the engine first."
            )

    def replace(self, before: End, new: End, jets: int) -> None:
        """Another stream at a slot. What was read from the one before is scored, what was written to it stands.

        `new` may not be open yet: then it needs what the other one holds.

        Raises StateError (the model takes too long over what was read), DescriptorError and TransportError (`new`
        cannot be opened); then all is as it was, but that a file that was written is lost: state ERROR.
        """
        alike = before.stream.spec == new.stream.spec
        if not alike and isinstance(new, Input) and not self.flow.shut(new.slot, LEAVE_S):
            raise StateError(f"slot {new.slot}: the model takes too long over what was read before. Try again.")
        if isinstance(before, Input) and not new.opened:
            self._open_after(before, new)
        if alike:
            self._exchange(new)
            return
        with self.flow.changed:
            leaving = [worker for worker in self._workers if not worker.leaving]
            for worker in leaving:
                worker.handing_over = True
        self._retire(leaving)
        left = sorted(leaving, key=lambda worker: worker.handed_at)
        self._handed = snapshots.with_last_shared([worker.handed for worker in left if worker.handed is not None])
        # Jets that are added later begin from here too: an older snapshot would bring back older cells.
        self._base = self._handed[0] if self._handed else self._base
        self._exchange(new)
        self.scale(jets)
        self._handed.clear()

    def close(self) -> None:
        """At once, from any state."""
        self.flow.close()
        self._stop()
        for output in self._outputs.values():
            output.close()
        for worker in self._workers:
            worker.kill()
        for end in self._inputs.values():
            end.close()
        self._finisher.join(FINISHER_S)

    def deliver(self, worker: Worker, fed: Fed) -> None:
        by_slot: dict[int, list[bytes]] = {}
        for slot, record in fed.outputs:
            by_slot.setdefault(slot, []).append(record)
        for slot, records in by_slot.items():
            worker.output.passed(records)
            self._write(slot, lambda output: output.write(records))  # noqa: B023 - called at once
        for by, counts in (("encoding", fed.rejected_by_encoding), ("schema", fed.rejected_by_schema)):
            for slot, count in counts.items():
                self._traffic[slot].rejected(by, count, fed.shown(by, slot))

    def pig(self, control: Control) -> None:
        for slot in sorted(self._outputs):
            self._write(slot, lambda output: output.write_control(control))

    def failed(self, error: Exception | Failure) -> None:
        """The run is over: state ERROR; what is written stands, and can still be read."""

        def tell() -> None:
            failure = error if isinstance(error, Failure) else getattr(error, "failure", None)
            text = failure.traceback if failure else f"{error or type(error).__name__}\n"
            self.error = ([line for line in text.splitlines() if line.strip()] or [type(error).__name__])[-1].strip()
            if failure is None:
                self._events.log(ERROR, text.rstrip())
            self._taps.debug(f"failed: {self.error}")
            self._events.tell({"type": "model-error", "input": failure.input if failure else None, "console": text})

        with self.flow.changed:
            # Of a run that is over the state is another run's, or nobody's.
            if self.flow.closed or not self._life.fail(tell):
                return
            self.flow.close()
        self._stop()
        for worker in self._workers:
            worker.kill()

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

    def _open_after(self, before: Input, new: End) -> None:
        before.unopen()
        try:
            new.open()
        except BaseException:
            before.open()
            self._read(before)
            raise

    def _exchange(self, new: End) -> None:
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
                except TransportError as error:  # what it has lost is lost; the new one takes its place all the same
                    self._events.log(WARNING, f"slot {new.slot}: stream {old.name!r} did not end in order: {error}")
                new.open()
        except (DescriptorError, TransportError) as error:
            self.failed(error)
            raise

    def _read(self, new: Input) -> None:
        self.flow.reopen(new.slot)
        new.read_into(self.flow, self.failed)

    def _retire(self, leaving: list[Worker]) -> None:
        """They end in order, or are killed."""
        self.scale(0)
        for worker in leaving:
            worker.join(LEAVE_S)
            if worker.alive:
                self._events.log(WARNING, f"jet {worker.sandbox}: killed, it did not end in {LEAVE_S:g} s")
                worker.kill()

    def _write(self, slot: int, write: Callable[[Output], None]) -> None:
        output = self._outputs.get(slot)
        if output is None:
            raise TransportError(f"the model wrote to slot {slot}, which is not in use.")
        try:
            write(output)
        except Exception:
            if self._outputs[slot] is output:
                raise  # else its stream was replaced meanwhile, and the error is of the old one

    def _stop(self) -> None:
        """Nothing more is read."""
        for end in self._inputs.values():
            end.leave()

    def _finish(self) -> None:
        """Waits for the end of all jets, then ends outputs: FINISHED."""
        with self.flow.changed:
            self.flow.changed.wait_for(self._all_through)
            if self.flow.closed:
                return
        self._stop()
        ended = [worker for worker in self._workers if worker.ended]
        steps: list[Callable[[], None]] = [output.finish for output in self._outputs.values()]
        if self._on_snapshot is not None and ended:
            keep, jet = self._on_snapshot, ended[-1].jet
            steps.insert(0, lambda: keep(jet.snapshot()))  # first: who sees the end of the outputs may ask for it
        for step in steps:
            try:
                step()
            except Exception as error:  # noqa: BLE001 - the run fails, not the engine, and the other steps are taken
                self.failed(error)
        for worker in ended:
            worker.close()
        with self.flow.changed:
            if not self.flow.closed:
                self._life.finished()

    def _all_through(self) -> bool:
        """Under the lock."""
        if self.flow.closed:
            return True
        if self._life.state != FINISHING:
            if self.flow.rules.explicit and self._workers and all(worker.ended for worker in self._workers):
                self.flow.over()
            return self._life.state == FINISHING
        return all(worker.ended or not worker.alive for worker in self._workers) and (
            self.flow.empty or any(worker.ended for worker in self._workers)
        )
