"""The manifold: loads one model, attaches streams to its slots, and runs it once every slot has a stream.

Over 300 lines: one method for each control call, and what they share.
"""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Callable, Iterable
from typing import Any

from stream_scorer.errors import SettingsError, StateError, StreamScorerError
from stream_scorer.modelop.dataflow import cpu, loaded_model
from stream_scorer.modelop.dataflow.attached_streams import AttachedStreams
from stream_scorer.modelop.dataflow.events import Event, Events
from stream_scorer.modelop.dataflow.lifecycle import ERROR, FINISHED, INIT, PAUSED, PIGGING, RUNNING, Lifecycle
from stream_scorer.modelop.dataflow.loaded_model import LoadedModel
from stream_scorer.modelop.dataflow.roundtrip import RoundTrips
from stream_scorer.modelop.dataflow.run import OnSnapshot, Run
from stream_scorer.modelop.dataflow.sensors import Sensors
from stream_scorer.modelop.dataflow.taps import Taps
from stream_scorer.modelop.dataflow.worker import Worker
from stream_scorer.modelop.process import snapshot as snapshots
from stream_scorer.modelop.process import snapshot_check
from stream_scorer.modelop.process.import_policy import Policy
from stream_scorer.modelop.process.jet import Jet
from stream_scorer.modelop.process.package import ModelPackage
from stream_scorer.modelop.process.shared import SharedState

MAX_JETS = 64
PAUSE_S = 2.0
"""`pause` returns when no call is under way, or after this time."""
ROUNDTRIP_MS = 10_000.0


class Manifold:
    """Safe from any thread. Control calls wait for each other; records pass meanwhile.

    Args:
        find_schema: returns the definition (parsed JSON) of a schema by name. May raise LookupError or an error of ours.
        on_event: takes every event (rule `h.pneumo`, without `src` and `timestamp`), in order, in a thread of its own.
        on_snapshot: takes (model name, snapshot) when a model with `snapshots: eof` has run to its end. May block.
        policy: the import policy. A policy that is set later is for models that are loaded later.
    """

    def __init__(
        self,
        *,
        find_schema: Callable[[str], Any],
        on_event: Callable[[Event], None],
        on_snapshot: Callable[[str, bytes], None] | None = None,
        policy: Policy,
    ) -> None:
        self.policy = policy
        self._find_schema, self._on_snapshot = find_schema, on_snapshot
        self._control = threading.RLock()
        self._events = Events(on_event)
        self._life = Lifecycle(self._events.state)
        self._taps = Taps(lambda: [os.getpid(), *(worker.jet.pid for worker in self._workers())])
        self._shared = SharedState()
        self._sandboxes = itertools.count(1)
        self._roundtrips = RoundTrips(lambda: self.state)
        self._model: LoadedModel | None = None
        self._attached = AttachedStreams(find_schema, self._taps)
        self._run: Run | None = None
        self._jets = 1
        self._resets = 0
        self._snapshot: bytes | None = None
        self.sensors = Sensors(self._taps, self._events.emit, self._places)

    @property
    def state(self) -> str:
        """init, running, pigging, paused, finishing, finished or error."""
        return self._life.state

    def verify(self, package: ModelPackage) -> dict[str, Any]:
        """Return the API's VerifyInfo of a model, without loading it. Raises ModelError."""
        return loaded_model.load(package, self._find_schema, self.policy).info

    def load(self, package: ModelPackage) -> None:
        """Load a model in place of the one that is loaded; while data flow, between two batches.

        Blocks while libraries are installed, streams are opened and jets of the model before leave.

        Raises ModelError, DescriptorError (a stream's schema does not match the model's), TransportError (a stream cannot
        be opened) and StateError; then nothing has changed.
        """
        self._expect("load a model", INIT, RUNNING, PIGGING, PAUSED)
        policy, resets = self.policy, self._resets
        model = loaded_model.load(package, self._find_schema, policy)
        policy.install(model.info["install_libs"])  # without the lock: it may take minutes, and a reset must not wait
        with self._control:
            self._expect("load a model", INIT, RUNNING, PIGGING, PAUSED)
            self._expect_no_reset(resets, f"model {package.name} is not loaded")
            if self._run is None and self._snapshot is not None:
                snapshots.check_model(self._snapshot, package.name)
            attached = self._attached.by_slot
            model.check_slots(attached, running=self._run is not None)
            streams = self._attached.parse_all(model)
            closed = [slot_stream for slot_stream in attached.values() if not slot_stream.opened]
            for slot_stream in closed:
                slot_stream.adapt(streams[slot_stream.slot], model.rules)
            self._attached.open(closed)
            for slot, slot_stream in attached.items():
                slot_stream.adapt(streams[slot], model.rules)
            before, self._model = self._model, model
            self._events.config("model", "reload" if before else "load")
            self._taps.debug(f"model {package.name} loaded")
            if self._run is None:
                self._begin()
            else:
                self._snapshot = None  # that of the model before
                self._run.change_model(model.rules, self._keeper(), self._jets)

    def unload(self) -> None:
        """Raises StateError: not in INIT, or no model is loaded."""
        with self._control:
            self._expect("unload the model", INIT)
            if self._model is None:
                raise StateError("no model is loaded.")
            self._model = self._snapshot = None
            self._events.config("model", "unload")

    def attach(self, slot: int, name: str, raw: Any, *, dry_run: bool = False) -> dict[str, Any] | None:
        """Attach a stream to a slot, in place of the one there. A dry run only returns the interpreted descriptor.

        Blocks while the stream is opened and what was read from the one before is scored.

        Raises DescriptorError, TransportError (it cannot be opened) and StateError.
        """
        with self._control:
            if not dry_run:
                self._expect("attach a stream", INIT, RUNNING, PIGGING, PAUSED)
            model = self._model
            stream = self._attached.parse(slot, name, raw, model, dry_run=dry_run)
            if dry_run:
                return stream.interpreted()
            before, new = self._attached.by_slot.get(slot), self._attached.make(stream, raw, model)
            run = self._run
            if run is not None and before is not None:
                run.check_replacement(before, new)
            if run is None or before is None:
                self._attached.exchange(before, new, opened=model is not None)
            else:
                self._attached.open_beside(before, new)
                self._attached.put(new)
                try:
                    run.replace(before, new, self._jets)
                except StreamScorerError:
                    self._attached.put(before)
                    new.close()
                    raise
            self._events.config("stream", "reattach" if before else "attach", slot)
            self._begin()
            return None

    def detach(self, slot: int) -> None:
        """Raises StateError (a run is under way) and NoSuchStream."""
        with self._control:
            self._expect("detach a stream", INIT, FINISHED, ERROR)
            self._attached.remove(slot).close()
            self._events.config("stream", "detach", slot)

    def input(self, slot: int, body: bytes) -> None:
        """Take what a client has sent to a REST stream. Blocks while too much waits, for 10 s at most.

        Raises NoSuchStream, StateError (the run is over) and Unavailable (too much waits).
        """
        self._expect("take input", INIT, RUNNING, PIGGING, PAUSED)
        self._attached.input(slot).post(body)

    def output(self, slot: int, timeout_s: float = 0.5) -> bytes | None:
        """Return the next record for a client of a REST stream; None if none comes within `timeout_s`.

        Raises EndOfInput at the end, NoSuchStream.
        """
        return self._attached.output(slot).take(timeout_s)

    def roundtrip(self, in_slot: int, out_slot: int, body: bytes, timeout_ms: float = 0) -> bytes:
        """Send a record to a REST stream and return its output; concurrent calls each get their own.

        Blocks for `timeout_ms` at most; 0 stands for 10 s.

        Raises StateError (not running), NoSuchStream and Unavailable (no output in time).
        """
        timeout_s = (timeout_ms if timeout_ms > 0 else ROUNDTRIP_MS) / 1000
        source, sink = self._attached.input(in_slot), self._attached.output(out_slot)
        return self._roundtrips.call(source, sink, body, timeout_s)

    def pause(self) -> None:
        """Stop scoring: in INIT from the start, behind a pig when it is written. Raises StateError: the run is over.

        Blocks until no call is under way, for PAUSE_S at most.
        """
        if not self._life.pause():
            raise StateError(f"the engine is in state {self.state}: it is too late to pause. Reset it.")
        run = self._run
        if run is not None and self.state == PAUSED:
            run.flow.wait_until_idle(PAUSE_S)

    def unpause(self) -> None:
        """Raises StateError: the run is over."""
        if not self._life.unpause():
            raise StateError(f"the engine is in state {self.state}: there is nothing to go on with. Reset it.")

    def reset(self) -> None:
        """Move to INIT from any state: no model, no streams, no cells and pools, one jet. Blocks for some seconds at most."""
        if (run := self._run) is not None:
            run.flow.close()  # a control call that waits for jets, with the lock, ends now
        with self._control:
            self._resets += 1
            if self._run is not None:
                self._run.close()
                self._run = None
            for slot in sorted(self._attached.by_slot):
                self._attached.remove(slot).close()
                self._events.config("stream", "detach", slot)
            if self._model is not None:
                self._model = None
                self._events.config("model", "unload")
            self._snapshot, self._jets = None, 1
            self._shared.clear()
            self._life.reset()

    def scale(self, jets: int) -> None:
        """Set the number of jets, at any time; with none, inputs wait. Does not block. Raises SettingsError."""
        if not 0 <= jets <= MAX_JETS:
            raise SettingsError(f"scale: {jets} jets cannot be had. Give a number from 0 to {MAX_JETS}.")
        with self._control:
            self._jets = jets
            if self._run is not None:
                self._run.scale(jets)

    def restore(self, blob: bytes) -> None:
        """Set the snapshot that jets start from, before or after the load. Blocks for about a second.

        Raises StateError, and ModelError: it is corrupt, too large, or of another model than the one that is loaded.
        """
        self._expect("restore a snapshot", INIT)
        resets = self._resets
        snapshot_check.check(blob)
        with self._control:
            self._expect("restore a snapshot", INIT)
            self._expect_no_reset(resets, "the snapshot is not restored")
            if self._model is not None:
                snapshots.check_model(blob, self._model.package.name)
            self._snapshot = blob

    def status(self) -> dict[str, Any]:
        """Return the API's ManifoldInfo, and `error`: why the state is ERROR, or None."""
        run = self._run
        info = loaded_model.manifold_info(self.state, self._model, self._attached.by_slot, self._workers())
        return {**info, "error": run.error if run else None}

    def active_model(self) -> dict[str, Any] | None:
        """Return the API's ActiveModelInfo; None if no model is loaded."""
        model = self._model
        return model.active_info(self._workers()) if model else None

    def active_streams(self) -> list[dict[str, Any]]:
        """Return the API's ActiveStreamInfo of each stream, in the order of slots."""
        return self._attached.info()

    def cpu(self, duration_s: float) -> dict[str, Any]:
        """Return the API's CpuUsageInfo of the next `duration_s` seconds. Blocks for that time. Raises SettingsError."""
        return cpu.sample(self._taps, self._attached.by_slot, self._workers(), duration_s)

    def close(self) -> None:
        """End every process and thread, for good."""
        self.reset()
        self.sensors.close()
        self._events.close()

    def _begin(self) -> None:
        """Start the run if model and streams are there."""
        model = self._model
        if (
            self._run is None
            and model is not None
            and self._attached.by_slot.keys() >= model.slots
            and self.state == INIT
        ):
            plumbing = self._life, self._events, self._taps, self._attached.by_slot
            self._run = Run(*plumbing, model.rules, self._make_jet, self._keeper(), self._sandboxes)
            self._run.start(self._jets)

    def _make_jet(self, state: bytes | None) -> Jet:
        model = self._model
        assert model is not None, "a run has a model"
        return Jet(
            model.package,
            {slot: attached.stream.spec for slot, attached in self._attached.by_slot.items()},
            shared=self._shared,
            on_console=self._events.console,
            snapshot=state or self._snapshot,
        )

    def _keeper(self) -> OnSnapshot | None:
        model, keep = self._model, self._on_snapshot
        if model is None or keep is None or not model.keeps_state:
            return None
        return lambda blob: keep(model.package.name, blob)

    def _expect(self, doing: str, *states: str) -> None:
        state = self.state
        if state not in states:
            hint = "Reset it first." if INIT in states or state in (FINISHED, ERROR) else ""
            raise StateError(f"cannot {doing}: the engine is in state {state}. {hint}".rstrip())

    def _expect_no_reset(self, resets: int, doing: str) -> None:
        if self._resets != resets:
            raise StateError(f"{doing}: the engine was reset meanwhile. Try again.")

    def _workers(self) -> list[Worker]:
        run = self._run
        return run.workers() if run else []

    def _places(self) -> tuple[Iterable[int], list[str]]:
        model = self._model
        slots = {0, 1, *self._attached.by_slot, *(model.slots if model else ())}
        return slots, [worker.sandbox for worker in self._workers()]
