"""The engine of one model: loads it, attaches streams to its slots, and runs it when all are there."""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Callable, Iterable
from typing import Any

from stream_scorer.errors import SettingsError, StateError, StreamScorerError
from stream_scorer.modelop.dataflow import cpu, loaded
from stream_scorer.modelop.dataflow.attached import Attached
from stream_scorer.modelop.dataflow.events import Event, Events
from stream_scorer.modelop.dataflow.lifecycle import ERROR, FINISHED, INIT, PAUSED, PIGGING, RUNNING, Lifecycle
from stream_scorer.modelop.dataflow.loaded import Loaded
from stream_scorer.modelop.dataflow.roundtrip import RoundTrips
from stream_scorer.modelop.dataflow.run import OnSnapshot, Run
from stream_scorer.modelop.dataflow.sensors import Sensors
from stream_scorer.modelop.dataflow.taps import Taps
from stream_scorer.modelop.dataflow.worker import Worker
from stream_scorer.modelop.process import snapshot as snapshots
from stream_scorer.modelop.process.jet import Jet
from stream_scorer.modelop.process.package import ModelPackage
from stream_scorer.modelop.process.policy import Policy
from stream_scorer.modelop.process.shared import SharedState

MOST_JETS = 64
MOST_CPU_S = 60.0
PAUSE_S = 2.0
"""`pause` returns when what is under way is through, or after so long."""
ROUNDTRIP_MS = 10_000.0


class Manifold:
    """Safe from any thread: control calls are done one at a time, reads and records pass beside them.

    Args:
        find_schema: the definition (parsed JSON) of a schema by name. May raise LookupError or an error of ours.
        on_event: gets every event, in order, in a thread of its own: dicts with `type`, and the fields of that
            type as section [h] has them, without `src` and `timestamp`.
        on_snapshot: gets (model name, snapshot) when a model with `snapshots: eof` has run to its end.
        policy: of imports; another one is for the models that are loaded after it is set.
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
        self._model: Loaded | None = None
        self._attached = Attached(find_schema, self._taps)
        self._run: Run | None = None
        self._jets = 1
        self._snapshot: bytes | None = None
        self.sensors = Sensors(self._taps, self._events.tell, self._places)

    @property
    def state(self) -> str:
        """init, running, pigging, paused, finishing, finished or error."""
        return self._life.state

    def verify(self, package: ModelPackage) -> dict[str, Any]:
        """VerifyInfo of a model that need not be loaded. Raises ModelError."""
        return loaded.load(package, self._find_schema, self.policy).info

    def load(self, package: ModelPackage) -> None:
        """In place of the model that is loaded, if one is; while data flow, between two batches.

        Raises ModelError, DescriptorError (a stream's schema does not go with the model's), TransportError (a
        stream cannot be opened) and StateError; the model and streams of before stay.
        """
        self._expect("load a model", INIT, RUNNING, PIGGING, PAUSED)
        policy = self.policy
        model = loaded.load(package, self._find_schema, policy)
        policy.install(model.info["install_libs"])  # takes minutes if it comes to it, and a reset must not wait
        with self._control:
            self._expect("load a model", INIT, RUNNING, PIGGING, PAUSED)
            ends = self._attached.ends
            model.check_slots(ends, running=self._run is not None)
            streams = self._attached.retyped(model)
            closed = [end for end in ends.values() if not end.opened]
            for end in closed:
                end.suit(streams[end.slot], model.rules)
            self._attached.open(closed)
            for slot, end in ends.items():
                end.suit(streams[slot], model.rules)
            before, self._model = self._model, model
            self._events.config("model", "reload" if before else "load")
            self._taps.debug(f"model {package.name} loaded")
            if self._run is None:
                self._begin()
            else:
                self._snapshot = None  # it was of the model before
                self._run.renew(model.rules, self._keeper(), self._jets)

    def unload(self) -> None:
        """Raises StateError: not in INIT, or there is none."""
        with self._control:
            self._expect("unload the model", INIT)
            if self._model is None:
                raise StateError("no model is loaded.")
            self._model = self._snapshot = None
            self._events.config("model", "unload")

    def attach(self, slot: int, name: str, raw: Any, *, dry_run: bool = False) -> dict[str, Any] | None:
        """A stream to a slot, in place of the one there; a dry run only answers the interpreted descriptor.

        Raises DescriptorError, TransportError (it cannot be opened) and StateError.
        """
        with self._control:
            if not dry_run:
                self._expect("attach a stream", INIT, RUNNING, PIGGING, PAUSED)
            model = self._model
            stream = self._attached.parse(slot, name, raw, model, dry_run=dry_run)
            if dry_run:
                return stream.interpreted()
            before, end = self._attached.ends.get(slot), self._attached.make(stream, raw, model)
            run = self._run
            if run is not None and before is not None:
                run.check_replacement(before, end)
            if run is None or before is None:
                self._attached.exchange(before, end, opened=model is not None)
            else:
                self._attached.open_beside(before, end)
                self._attached.put(end)
                try:
                    run.replace(before, end, self._jets)
                except StreamScorerError:
                    self._attached.put(before)
                    end.close()
                    raise
            self._events.config("stream", "reattach" if before else "attach", slot)
            self._begin()
            return None

    def detach(self, slot: int) -> None:
        """Raises StateError (data flow) and NoSuchStream."""
        with self._control:
            self._expect("detach a stream", INIT, FINISHED, ERROR)
            self._attached.remove(slot).close()
            self._events.config("stream", "detach", slot)

    def input(self, slot: int, body: bytes) -> None:
        """What a client sent to a REST stream. Raises NoSuchStream, StateError (after the end of the run)."""
        self._expect("take input", INIT, RUNNING, PIGGING, PAUSED)
        self._attached.input(slot).post(body)

    def output(self, slot: int, timeout_s: float = 0.5) -> bytes | None:
        """The next record for a client of a REST stream; None if none comes in time.

        Raises EndOfInput at the end, NoSuchStream.
        """
        return self._attached.output(slot).take(timeout_s)

    def roundtrip(self, in_slot: int, out_slot: int, body: bytes, timeout_ms: float = 0) -> bytes:
        """A record and its output; of calls at a time each gets its own. `timeout_ms` 0 is 10 s.

        Raises StateError (not running), NoSuchStream and Unavailable (no output in time).
        """
        timeout_s = (timeout_ms if timeout_ms > 0 else ROUNDTRIP_MS) / 1000
        source, sink = self._attached.input(in_slot), self._attached.output(out_slot)
        return self._roundtrips.call(source, sink, body, timeout_s)

    def pause(self) -> None:
        """Nothing is scored any more when it returns, but for a call into the model that takes seconds.

        In INIT the run begins paused; behind a pig it is paused when the pig is through. Raises StateError at the end.
        """
        if not self._life.pause():
            raise StateError(f"the engine is in state {self.state}: it is too late to pause. Reset it.")
        run = self._run
        if run is not None and self.state == PAUSED:
            run.flow.still(PAUSE_S)

    def unpause(self) -> None:
        """Raises StateError after the end of the run."""
        if not self._life.unpause():
            raise StateError(f"the engine is in state {self.state}: there is nothing to go on with. Reset it.")

    def reset(self) -> None:
        """To INIT, from any state: no model, no stream, no cells and pools, one jet."""
        with self._control:
            if self._run is not None:
                self._run.close()
                self._run = None
            for slot in sorted(self._attached.ends):
                self._attached.remove(slot).close()
                self._events.config("stream", "detach", slot)
            if self._model is not None:
                self._model = None
                self._events.config("model", "unload")
            self._snapshot, self._jets = None, 1
            self._shared.clear()
            self._life.reset()

    def scale(self, jets: int) -> None:
        """So many jets, at any time; with none, inputs wait. Returns before they are up. Raises SettingsError."""
        if not 0 <= jets <= MOST_JETS:
            raise SettingsError(f"scale: {jets} jets cannot be had. Give a number from 0 to {MOST_JETS}.")
        with self._control:
            self._jets = jets
            if self._run is not None:
                self._run.scale(jets)

    def restore(self, blob: bytes) -> None:
        """A snapshot for the jets to start from; before or after the load. Raises StateError, ModelError (corrupt)."""
        with self._control:
            self._expect("restore a snapshot", INIT)
            snapshots.read(blob)
            self._snapshot = blob

    def status(self) -> dict[str, Any]:
        """ManifoldInfo, and `error`: why the state is ERROR, or None."""
        run = self._run
        info = loaded.manifold_info(self.state, self._model, self._attached.ends, self._workers())
        return {**info, "error": run.error if run else None}

    def active_model(self) -> dict[str, Any] | None:
        """ActiveModelInfo; None where none is loaded."""
        model = self._model
        return model.active_info(self._workers()) if model else None

    def active_streams(self) -> list[dict[str, Any]]:
        """ActiveStreamInfo of each, by slot."""
        return self._attached.info()

    def cpu(self, duration_s: float) -> dict[str, Any]:
        """CpuUsageInfo of the time from now on; takes that time. Raises SettingsError."""
        if not 0 <= duration_s <= MOST_CPU_S:
            raise SettingsError(f"duration: {duration_s} s cannot be had. Give seconds from 0 to {MOST_CPU_S:g}.")
        return cpu.sample(self._taps, self._attached.ends, self._workers(), duration_s)

    def close(self) -> None:
        """For good: every process and thread of it ends."""
        self.reset()
        self.sensors.close()
        self._events.close()

    def _begin(self) -> None:
        """Starts the run if all is there."""
        model = self._model
        if self._run is None and model is not None and self._attached.ends.keys() >= model.slots and self.state == INIT:
            self._run = Run(
                self._life,
                self._events,
                self._taps,
                self._attached.ends,
                model.rules,
                self._make_jet,
                self._keeper(),
                self._sandboxes,
            )
            self._run.start(self._jets)

    def _make_jet(self, state: bytes | None) -> Jet:
        model = self._model
        assert model is not None, "a run has a model"
        return Jet(
            model.package,
            {slot: end.stream.spec for slot, end in self._attached.ends.items()},
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

    def _workers(self) -> list[Worker]:
        run = self._run
        return run.workers() if run else []

    def _places(self) -> tuple[Iterable[int], list[str]]:
        model = self._model
        slots = {0, 1, *self._attached.ends, *(model.slots if model else ())}
        return slots, [worker.sandbox for worker in self._workers()]
