"""The seams between the parts. Data flows one way: source -> decode -> session -> model -> encode -> sink.

Everything here is called from the one loop thread of a worker, in order, unless a method says otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from stream_scorer.records import (
    Batch,
    Control,
    Evaluation,
    Gap,
    Outgoing,
    Partition,
    PendingForecast,
    Record,
    Reject,
    Snapshot,
    State,
    StateRecord,
)

Meaning = Callable[[str, Any], Any]
"""Takes the name of a field ("" for a value that is not a record) and its value; returns the time or decimal that it
stands for by a logical type of the schema.

A value without a logical type, or of Python's type already, is returned as it is. None: a time that Python lacks."""
KeepAlive = Callable[[], None]
"""To be called at least every second by what takes long before a partition has begun: it keeps the worker in its group.

It may raise, to end what takes long: nothing of it is used then.
"""


class Codec(Protocol):
    """Bytes on the wire <-> Python values of one schema."""

    def decode(self, data: bytes | None) -> Any:
        """One value. Raises DecodeError (bytes) or SchemaError (value)."""

    def decode_many(self, batch: Sequence[bytes | None]) -> list[Any]:
        """All values, same as `decode` of each but faster. Raises as soon as one cannot be decoded."""

    def encode(self, value: Any) -> bytes:
        """Raises EncodeError when the value does not fit the schema."""

    def encode_many(self, values: Sequence[Any]) -> list[bytes]:
        """All values, same as `encode` of each but faster. Raises as soon as one does not fit."""


class Source(Protocol):
    """Where records come from."""

    def poll(self, limit: int, timeout_s: float) -> list[Record]:
        """Up to `limit` records that are there, in offset order per partition; [] after `timeout_s` seconds.

        Partitions come and go inside this call and nowhere else; records of a partition that left
        within the call are not returned. Raises EndOfInput when a finite source is done, and
        TransportError.
        """

    @property
    def unsaved(self) -> bool:
        """Whether a partition has begun anew, so that its position is to be committed though no record has come."""

    def positions(self) -> Mapping[Partition, int]:
        """Next offset of each assigned partition that has moved, or begun anew, since it was last committed.

        Raises Unavailable where the records polled are no longer those of the topic: reopen and reload.
        """

    def settle(self) -> None:
        """What `positions` gave is committed. A batch may be committed in parts: then it is called after the last."""

    def rewind(self) -> None:
        """Go back to the committed positions: what was polled since then comes again."""

    def reload(self) -> None:
        """As if all partitions were lost and assigned again: positions and state as the broker has them."""

    def close(self) -> None:
        """Leave. Blocks for a few seconds at most."""


class Sink(Protocol):
    """Where scores go. What is sent between `begin` and `commit` becomes visible together, or never."""

    def begin(self) -> None: ...

    def send(self, outs: Sequence[Outgoing]) -> None:
        """Queue outputs, in order. Blocks only while the queue is full."""

    def reject(self, reject: Reject) -> None:
        """The reject path: hand on a record that could not be scored."""

    def save(self, snapshot: Snapshot) -> None:
        """The state path: keep a session's state with the outputs it belongs to."""

    def commit(self, positions: Mapping[Partition, int]) -> None:
        """Outputs, rejects, state and input positions, together.

        Raises Refused, as all that sends does (some record is the reason: abort, roll back, do without it),
        CommitAborted (nothing is visible: abort, roll back, rewind), Fenced (this sink is
        finished: reopen), Unavailable (it may have happened or not: reopen) or BrokerError.
        """

    def abort(self) -> None:
        """Drop everything sent since `begin`. Raises as `commit` does."""

    def reopen(self) -> None:
        """Begin anew after Fenced or Unavailable. What was open is aborted by then, or was committed."""

    def close(self) -> None: ...


class StateStore(Protocol):
    """Where sessions come back from when a partition is assigned."""

    def read(self, partition: Partition, committed: int | None, keep_alive: KeepAlive) -> Sequence[StateRecord]:
        """The last committed record of every key of one partition. Blocks until all are read.

        `committed` is the offset that the group has committed: a position record that agrees with it is the last.
        Raises BrokerError, ModelError (what is there is no state of ours) or Unavailable.
        """


class Inputs(Protocol):
    """Input records read apart from the group, to bring sessions up to a position. Raises BrokerError, Unavailable."""

    def start(self, partition: Partition, start: str, keep_alive: KeepAlive) -> int:
        """Offset that "earliest", "latest" or a timestamp stands for. Blocks while it looks for a timestamp."""

    def back(self, partition: Partition, before: int, count: int, keep_alive: KeepAlive) -> int:
        """Offset from which there are `count` records before offset `before`, or the first there is. Blocks."""

    def read(self, partition: Partition, first: int, before: int) -> Iterator[list[Record]]:
        """Committed records of offsets `first` up to, not including, `before`; [] at least every 0.1 s."""


class Watch(Protocol):
    """Receives the progress of a partition that is set up. Every call is cheap and raises nothing."""

    def reading(self, partition: Partition, done: int, end: int, sessions: int) -> None:
        """The state store was read up to a place, of so many; how many sessions were found so far."""

    def fed(self, partition: Partition, done: int, end: int) -> None:
        """Inputs went through the model with outputs dropped, up to a place, of so many."""

    def restored(self, partition: Partition, sessions: int, seconds: float) -> None:
        """Sessions came back from the store."""

    def gap(self, gap: Gap) -> None:
        """The service goes on behind a gap."""


class Judge(Protocol):
    """What is a number in the values of a stream, and what becomes of forecasts beside what then happened."""

    @property
    def slot(self) -> int:
        """The output slot whose data are forecasts."""

    def actual(self, value: Any) -> float | None:
        """Of a decoded input: what forecasts are of; None where there is no finite number."""

    def forecast(self, datum: Any) -> tuple[float, float | None, float | None, int | None] | None:
        """Of an output before it is encoded: the forecast, the bounds of its interval if it has one, when it is due."""

    def met(self, pending: PendingForecast, value: Any) -> bool | None:
        """Whether a decoded input is what the forecast was of. None: that may still come; False: it will not."""

    def write(self, evaluations: Sequence[Evaluation]) -> list[bytes]:
        """Values of their records. Raises EncodeError, TransportError."""

    def committed(self, evaluations: Sequence[Evaluation], inputs: Sequence[float], missed: int) -> None:
        """What a batch that is committed has come to: every input's number, and how many forecasts met none."""


class SlotCodec(Protocol):
    """Encoding and schema of one attached slot of a ModelOp stream, its control records included."""

    def control(self, data: bytes) -> Control | None:
        """The control record that these undecoded bytes are; None for data."""

    def write_control(self, control: Control) -> bytes | None:
        """In the documented form; None where the encoding has none."""

    def decode(self, data: bytes) -> Any:
        """Raises DecodeError (rejected by encoding) or SchemaError (rejected by schema)."""

    def encode(self, value: Any) -> bytes:
        """Raises EncodeError: its cause is a SchemaError where the schema rejected, else the encoding did."""


class Inlet(Protocol):
    """An input stream of the ModelOp engine, attached and open: transport and envelope, undecoded.

    eager: where the batching has a time limit, do not wait for it: hand on what is there. For models that see no
    batches. Set from any thread, at any time.
    on_reject: called with the beginning of a record that is too long to be handed on, and the reason. The record counts
    as rejected by encoding, and takes no sequence number.
    """

    eager: bool
    on_reject: Callable[[bytes, str], None]

    def next(self, timeout_s: float) -> Batch | None:
        """What goes to the model next, as the stream's batching has it; None if nothing came in time.

        After the batch that ends in Control("end") there is no other; the end of the transport counts as one.
        Raises TransportError.
        """

    def post(self, body: bytes) -> None:
        """REST transports only: what a client sent. Safe from any thread. Raises NoSuchStream."""

    def close(self) -> None:
        """Unblocks `next`. Safe from any thread."""


class Outlet(Protocol):
    """An output stream of the ModelOp engine, attached and open: envelope and transport, encoded already."""

    def write(self, records: Sequence[bytes]) -> None:
        """Blocks while a reader is slow. Raises TransportError."""

    def take(self, timeout_s: float) -> bytes | None:
        """REST transports only: the next record to a client; None if there is none in time.

        Raises EndOfInput at the end, NoSuchStream. Safe from any thread.
        """

    def finish(self) -> None:
        """All is written: flush within the stream's linger time, then end it for its readers."""

    def close(self) -> None:
        """At once; unblocks what blocks. Safe from any thread."""


class Model(Protocol):
    """One loaded module, its state apart from it."""

    @property
    def name(self) -> str: ...

    @property
    def sha256(self) -> str:
        """Of the file's bytes, in hex, taken before they were executed."""

    def state(self) -> State:
        """The values of the state globals as they are now."""

    def set_state(self, state: State) -> None: ...

    @property
    def default(self) -> int:
        """The output slot of outputs that name none, and of all that `predict` returns."""

    def score(self, value: Any, emit: Callable[[int, Any], None]) -> None:
        """One `action` call; `emit` takes slot and datum of each output as it comes. Raises ActionError.

        What `emit` raises counts as raised by the model.
        """

    def push(self, value: Any) -> bytes | None:
        """Move the state; a window to score, as float64 numbers in native order, or None. Raises ActionError."""

    def predict(self, windows: Sequence[bytes]) -> list[float]:
        """One output per window, bit for bit what `score` gives. Raises ActionError."""

    @property
    def batched(self) -> bool:
        """Whether the module promises `push` and `predict`."""
