"""A slot of the manifold with the stream that is attached there: `Input` or `Output`."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

from stream_scorer.errors import NoSuchStream, TransportError
from stream_scorer.modelop.dataflow.flow import Flow, Rules
from stream_scorer.modelop.dataflow.taps import Traffic
from stream_scorer.modelop.process.results import shown_record
from stream_scorer.modelop.streams.opening import open_inlet, open_outlet
from stream_scorer.modelop.streams.stream import Stream
from stream_scorer.ports import Inlet, Outlet
from stream_scorer.records import Control

INLET_WAIT_S = 0.25
"""Longest wait inside an inlet: a reader whose inlet does not unblock on `close` leaves after this time."""
SWAP_S = 2.0
"""How long the writers of an output may take before its stream is replaced."""


class Input:
    """An even slot. Opened when a model is loaded; a thread of its own reads it once every slot has a stream.

    eof: the stream is at its end.
    """

    def __init__(self, slot: int, name: str, raw: Any, stream: Stream, traffic: Traffic) -> None:
        self.slot, self.name, self.raw, self.stream = slot, name, raw, stream
        self.eof = False
        self._traffic = traffic
        self._eager = False
        self._inlet: Inlet | None = None
        self._reader: threading.Thread | None = None
        self._flow: Flow | None = None
        self._leaving = False

    @property
    def opened(self) -> bool:
        return self._inlet is not None

    def adapt(self, stream: Stream, rules: Rules) -> None:
        """Take the same descriptor with the schema of another model, and the rules of that model."""
        self.stream = stream
        self._eager = not rules.sees_batches(self.slot)
        if self._inlet is not None:
            self._inlet.eager = self._eager

    def open(self) -> None:
        """Open the transport, if it is not open. Blocks meanwhile. Raises DescriptorError or TransportError."""
        if self._inlet is None:
            self._inlet = open_inlet(self.stream)
            self._inlet.eager = self._eager
            self._inlet.on_reject = self._reject

    def _reject(self, record: bytes, _: str) -> None:
        """Count a record that is too long for a jet."""
        self._traffic.rejected("encoding", 1, [shown_record(record, self.stream.encoding)])

    def close_to_reopen(self) -> None:
        """Close the stream so that it can be opened again."""
        self.close()
        self._inlet, self._leaving, self.eof = None, False, False

    def post(self, body: bytes) -> None:
        """Take what a client has sent. Raises NoSuchStream, Unavailable (too much waits)."""
        if self._inlet is None:
            raise NoSuchStream(f"slot {self.slot}: its stream is not open yet: load the model first.")
        self._inlet.post(body)

    def read_into(self, flow: Flow, on_failure: Callable[[Exception], None]) -> None:
        """Start the reader thread. It calls `on_failure` if the stream cannot be read on."""
        self._flow = flow
        self._reader = threading.Thread(
            target=self._read, args=(flow, on_failure), name=f"reader-{self.slot}", daemon=True
        )
        self._reader.start()

    def _read(self, flow: Flow, on_failure: Callable[[Exception], None]) -> None:
        inlet = self._inlet
        assert inlet is not None, "opened before"
        try:
            while flow.wait_for_room(self.slot, lambda: self._leaving):
                batch = inlet.next(INLET_WAIT_S)
                if batch is None or self._leaving:
                    continue
                self._traffic.passed(batch.records)
                self.eof = batch.closed_by == "end"
                flow.put(batch if batch.slot == self.slot else batch._replace(slot=self.slot))
                if self.eof:
                    inlet.next(0)  # settles the last batch
                    return
        except Exception as error:  # noqa: BLE001 - what a transport raises ends the run, not the engine
            flow.wait_until_scored(self.slot, lambda: self._leaving)  # records before the failure are scored
            if not (self._leaving or flow.closed):
                on_failure(error)

    def leave(self) -> None:
        """Tell the reader to stop, without waiting for it. Safe from any thread."""
        self._leaving = True
        if self._flow is not None:
            self._flow.wake()
        if self._inlet is not None:
            self._inlet.close()

    def close(self) -> None:
        """Close the stream and wait for the reader. Not from the reader's own thread."""
        self.leave()
        if self._reader is not None:
            self._reader.join(2 * INLET_WAIT_S + 1)


class Output:
    """An odd slot. One writer at a time; it blocks while the stream's reader is slow.

    eof: everything is written, and the stream is finished.
    """

    def __init__(self, slot: int, name: str, raw: Any, stream: Stream, traffic: Traffic) -> None:
        self.slot, self.name, self.raw = slot, name, raw
        self.eof = False
        self._traffic = traffic
        self._outlet: Outlet | None = None
        self._writing = threading.Lock()
        self._adopt(stream)

    @property
    def opened(self) -> bool:
        return self._outlet is not None

    def adapt(self, stream: Stream, _: Rules) -> None:
        """As `Input.adapt`."""
        self._adopt(stream)

    def _adopt(self, stream: Stream) -> None:
        self.stream = stream
        self._codec = stream.spec.make()
        self._marker = self._codec.write_control(Control("set"))

    def open(self) -> None:
        """Open the transport, if it is not open. Blocks meanwhile. Raises DescriptorError or TransportError."""
        self._outlet = self._outlet or open_outlet(self.stream)

    def close_to_reopen(self) -> None:
        """Close the stream so that it can be opened again."""
        self.close()
        self._outlet, self.eof = None, False

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Within the block, writers wait."""
        with self._writing:
            yield

    def write(self, records: list[bytes]) -> None:
        """Write records, in order and together. Raises TransportError."""
        with self._writing:
            self._open_outlet.write(records)
        self._traffic.passed(records, len(records) - (records.count(self._marker) if self._marker else 0))

    def write_control(self, control: Control) -> None:
        """Write a control record; encodings without control records leave it out. Raises TransportError."""
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
        """Return the next record for a client, None if none comes in time. Raises NoSuchStream, EndOfInput at the end."""
        if self._outlet is None:
            raise NoSuchStream(f"slot {self.slot}: its stream is not open yet: load the model first.")
        return self._outlet.take(timeout_s)

    def finish(self) -> None:
        """End the stream for its readers. Blocks for its linger time at most. Raises TransportError."""
        with self._writing:
            self._open_outlet.finish()
        self.eof = True

    def retire(self) -> None:
        """Make room for another stream: finish this one, or close it if a writer stays in it for SWAP_S."""
        if self._writing.acquire(timeout=SWAP_S):
            self._writing.release()
            self.finish()
        else:
            self.close()

    def close(self) -> None:
        """Close the stream at once; a writer that is in it fails. Safe from any thread."""
        if self._outlet is not None:
            self._outlet.close()


SlotStream = Input | Output
