"""The two ends of the manifold: an input or output slot with the stream that is attached there."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

from stream_scorer.errors import NoSuchStream, TransportError
from stream_scorer.modelop.dataflow.flow import Flow, Rules
from stream_scorer.modelop.dataflow.taps import Traffic
from stream_scorer.modelop.process.results import shown_record
from stream_scorer.modelop.streams.descriptor import Stream
from stream_scorer.modelop.streams.opening import open_inlet, open_outlet
from stream_scorer.ports import Inlet, Outlet
from stream_scorer.records import Control

TAKE_S = 0.25
"""Longest wait inside an inlet: a reader whose inlet does not unblock on `close` is gone by then."""
SWAP_S = 2.0


class Input:
    """An even slot. Opened when model and stream are there; read from when all slots are served."""

    def __init__(self, slot: int, name: str, raw: Any, stream: Stream, traffic: Traffic) -> None:
        self.slot, self.name, self.raw, self.stream = slot, name, raw, stream
        self.eof = False
        self._traffic = traffic
        self._eager = False
        self._inlet: Inlet | None = None
        self._reader: threading.Thread | None = None
        self._flow: Flow | None = None
        self._left = False

    @property
    def opened(self) -> bool:
        return self._inlet is not None

    def suit(self, stream: Stream, rules: Rules) -> None:
        """The same descriptor, with the schema of a model that makes these rules."""
        self.stream = stream
        self._eager = not rules.sees_batches(self.slot)
        if self._inlet is not None:
            self._inlet.eager = self._eager

    def open(self) -> None:
        """Raises DescriptorError or TransportError."""
        if self._inlet is None:
            self._inlet = open_inlet(self.stream)
            self._inlet.eager = self._eager
            self._inlet.on_reject = self._reject

    def _reject(self, record: bytes, _: str) -> None:
        """Counts a record that is too long to be handed to a jet."""
        self._traffic.rejected("encoding", 1, [shown_record(record, self.stream.encoding)])

    def unopen(self) -> None:
        """Closed, and fit to be opened again."""
        self.close()
        self._inlet, self._left, self.eof = None, False, False

    def post(self, body: bytes) -> None:
        """What a client sent. Raises NoSuchStream."""
        if self._inlet is None:
            raise NoSuchStream(f"slot {self.slot}: its stream is not open yet: load the model first.")
        self._inlet.post(body)

    def read_into(self, flow: Flow, on_failure: Callable[[Exception], None]) -> None:
        """Starts the reader."""
        self._flow = flow
        self._reader = threading.Thread(
            target=self._read, args=(flow, on_failure), name=f"reader-{self.slot}", daemon=True
        )
        self._reader.start()

    def _read(self, flow: Flow, on_failure: Callable[[Exception], None]) -> None:
        inlet = self._inlet
        assert inlet is not None, "opened before"
        try:
            while flow.ready(self.slot, lambda: self._left):
                batch = inlet.next(TAKE_S)
                if batch is None or self._left:
                    continue
                self._traffic.passed(batch.records)
                self.eof = batch.closed_by == "end"
                flow.put(batch if batch.slot == self.slot else batch._replace(slot=self.slot))
                if self.eof:
                    inlet.next(0)  # a call says that the last batch was processed
                    return
        except Exception as error:  # noqa: BLE001 - whatever a transport raises ends the run, not the engine
            flow.through(self.slot, lambda: self._left)  # what came before it is scored
            if not (self._left or flow.closed):
                on_failure(error)

    def leave(self) -> None:
        """The reader is told to stop; it may still be in the inlet. Safe from any thread."""
        self._left = True
        if self._flow is not None:
            self._flow.wake()
        if self._inlet is not None:
            self._inlet.close()

    def close(self) -> None:
        """Not from the reader's own thread."""
        self.leave()
        if self._reader is not None:
            self._reader.join(2 * TAKE_S + 1)


class Output:
    """An odd slot. Writers come one at a time; each stays while the stream's reader is slow."""

    def __init__(self, slot: int, name: str, raw: Any, stream: Stream, traffic: Traffic) -> None:
        self.slot, self.name, self.raw = slot, name, raw
        self.eof = False
        self._traffic = traffic
        self._outlet: Outlet | None = None
        self._writing = threading.Lock()
        self._set(stream)

    @property
    def opened(self) -> bool:
        return self._outlet is not None

    def suit(self, stream: Stream, _: Rules) -> None:
        """As for inputs."""
        self._set(stream)

    def _set(self, stream: Stream) -> None:
        self.stream = stream
        self._codec = stream.spec.make()
        self._marker = self._codec.write_control(Control("set"))

    def open(self) -> None:
        """Raises DescriptorError or TransportError."""
        self._outlet = self._outlet or open_outlet(self.stream)

    def unopen(self) -> None:
        """Closed, and fit to be opened again."""
        self.close()
        self._outlet, self.eof = None, False

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Within the block whoever writes waits."""
        with self._writing:
            yield

    def write(self, records: list[bytes]) -> None:
        """In order and together. Raises TransportError."""
        with self._writing:
            self._open_outlet.write(records)
        self._traffic.passed(records, len(records) - (records.count(self._marker) if self._marker else 0))

    def write_control(self, control: Control) -> None:
        """Raises TransportError. Encodings without control records leave it out."""
        record = self._codec.write_control(control)
        if record is not None:
            with self._writing:
                self._open_outlet.write([record])

    @property
    def _open_outlet(self) -> Outlet:
        if self._outlet is None:
            raise TransportError(f"stream {self.name!r} at slot {self.slot} could not be opened.")
        return self._outlet

    def take(self, timeout_s: float) -> bytes | None:
        """The next record for a client. Raises NoSuchStream, and EndOfInput at the end."""
        if self._outlet is None:
            raise NoSuchStream(f"slot {self.slot}: its stream is not open yet: load the model first.")
        return self._outlet.take(timeout_s)

    def finish(self) -> None:
        """Raises TransportError."""
        with self._writing:
            self._open_outlet.finish()
        self.eof = True

    def retire(self) -> None:
        """Another stream takes the slot: ends this one in order, or at once where a writer stays too long in it."""
        if self._writing.acquire(timeout=SWAP_S):
            self._writing.release()
            self.finish()
        else:
            self.close()

    def close(self) -> None:
        """At once; a writer inside is thrown out. Safe from any thread."""
        if self._outlet is not None:
            self._outlet.close()


End = Input | Output


def make_end(slot: int, name: str, raw: Any, stream: Stream, traffic: Traffic) -> End:
    """Even slots are inputs, odd ones outputs."""
    return (Output if slot % 2 else Input)(slot, name, raw, stream, traffic)
