"""The seams between the parts. Data flows one way: source -> decode -> session -> model -> encode -> sink.

Each method says what it returns, whether it blocks, and which errors it raises. Unless it says otherwise, it is called
by one thread, the loop of a worker, one call at a time; it does not block; and it raises no error of
`stream_scorer.errors`. Offsets are record offsets of one partition, timestamps are in ms since 1970.

It is longer than 300 lines as it is the one file of all seams.
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
"""Takes the name of a field ("" for a value that is not a record) and its value. Returns the time or decimal that the
value stands for by the logical type of the schema; the value itself if there is no logical type or the value already is
of Python's type; None for a time that Python cannot represent."""
KeepAlive = Callable[[], None]
"""Called at least every second while a partition is set up, to keep the worker in its consumer group. May block for 0.1 s.

Raises an error to stop the set-up; its results are not used then.
"""


class Codec(Protocol):
    """Bytes on the wire <-> Python values of one schema. Safe from any thread.

    With a schema registry, a call blocks while the registry is asked, and raises Unanswered if it does not answer.
    """

    def decode(self, data: bytes | None) -> Any:
        """Return the value of one record. Raises DecodeError (the bytes) or SchemaError (the value)."""

    def decode_many(self, batch: Sequence[bytes | None]) -> list[Any]:
        """Return the value of each record, in order; faster than `decode`. Raises as `decode` for the first that fails."""

    def encode(self, value: Any) -> bytes:
        """Return the bytes of one value. Raises EncodeError: it does not fit the schema."""

    def encode_many(self, values: Sequence[Any]) -> list[bytes]:
        """Return the bytes of each value, in order; faster than `encode`. Raises as `encode` for the first that fails."""


class Source(Protocol):
    """Where the records of the service come from."""

    def poll(self, limit: int, timeout_s: float) -> list[Record]:
        """Return up to `limit` records, in offset order for each partition. Blocks up to `timeout_s` for the first.

        Partitions are assigned and revoked inside this call and nowhere else. Assigned ones are set up in it, which may
        take longer than `timeout_s`. Records of a partition that was revoked in the call are not returned.

        Raises EndOfInput (a finite source has returned its last record) and TransportError.
        """

    @property
    def unsaved(self) -> bool:
        """Whether a partition was set up anew, so that its position has to be committed before its first record."""

    def positions(self) -> Mapping[Partition, int]:
        """Return the next offset of each assigned partition that has moved, or was set up anew, since its last commit.

        Blocks while the id of the topic is looked up. Raises Unavailable: the records polled are no longer those of the
        topic; reopen the sink and reload.
        """

    def settle(self) -> None:
        """Take what `positions` returned as committed. If a batch is committed in parts, called after the last part."""

    def rewind(self) -> None:
        """Go back to the committed positions: `poll` returns the records after them again.

        Blocks while the consumer seeks. Raises TransportError.
        """

    def reload(self) -> None:
        """Drop all partitions and take them as newly assigned: the next `poll` reads positions and state from the broker.

        Blocks while the consumer is asked. Raises TransportError.
        """

    def close(self) -> None:
        """Leave the consumer group. Blocks for some seconds at most."""


class Sink(Protocol):
    """Where scores go. What is sent between `begin` and `commit` becomes visible together, or not at all.

    `begin`, `send`, `reject`, `save`, `commit` and `abort` block while the broker does not answer, and raise

    - Refused: the broker refuses a record. Abort, roll back, and go on without that record.
    - CommitAborted: nothing has become visible. Abort, roll back, rewind.
    - Fenced: another producer has taken over. Reopen, and reload the source.
    - Unavailable: it is unknown whether the commit has happened. Reopen, and reload the source.
    - BrokerError: an error that does not pass.
    """

    def begin(self) -> None:
        """Begin a transaction. Raises as above, except Refused."""

    def send(self, outs: Sequence[Outgoing]) -> None:
        """Queue outputs, in order. Blocks while the queue is full. Raises as above."""

    def reject(self, reject: Reject) -> None:
        """Queue a record that could not be scored for the dead-letter topic. Blocks and raises as `send`."""

    def save(self, snapshot: Snapshot) -> None:
        """Queue the state of a session. Blocks and raises as `send`."""

    def commit(self, positions: Mapping[Partition, int]) -> None:
        """Commit outputs, dead letters, states and input positions (next offsets) together. Raises as above."""

    def abort(self) -> None:
        """Drop everything that was sent since `begin`. Raises as above, except Refused."""

    def reopen(self) -> None:
        """Replace the producer after Fenced or Unavailable. What was open is committed or aborted when it returns.

        Blocks while the broker does not answer. Raises Fenced, Unavailable, BrokerError.
        """

    def close(self) -> None:
        """Give the producer back. Blocks for some seconds at most."""


class StateStore(Protocol):
    """Where the states of sessions are read when a partition is assigned."""

    def read(self, partition: Partition, committed: int | None, keep_alive: KeepAlive) -> Sequence[StateRecord]:
        """Return the last committed state record of every key of one partition, in no particular order.

        `committed` is the offset that the group has committed: if a position record agrees with it, it is the last.

        Blocks until all are read. Raises BrokerError, ModelError (a record is not a state record of ours), Unavailable,
        and what `keep_alive` raises.
        """


class Inputs(Protocol):
    """Reads input records apart from the consumer group, to bring sessions up to a position.

    Every call blocks while the broker is asked. Raises BrokerError, Unavailable, and what `keep_alive` raises.
    """

    def start(self, partition: Partition, start: str, keep_alive: KeepAlive) -> int:
        """Return the offset that "earliest", "latest" or a timestamp stands for. Raises as above."""

    def back(self, partition: Partition, before: int, count: int, keep_alive: KeepAlive) -> int:
        """Return the offset from which `count` records lie before offset `before`; the first offset if there are fewer.

        Raises as above.
        """

    def read(self, partition: Partition, first: int, before: int) -> Iterator[list[Record]]:
        """Yield the committed records from offset `first` up to, not including, `before`, in offset order.

        Yields [] at least every 0.1 s while none come. Raises as above.
        """


class Watch(Protocol):
    """Takes the progress of a partition that is set up."""

    def reading(self, partition: Partition, done: int, end: int, sessions: int) -> None:
        """The state store is read up to offset `done` of `end`; `sessions` were found so far."""

    def fed(self, partition: Partition, done: int, end: int) -> None:
        """Input records were given to the model, with outputs dropped, up to offset `done` of `end`."""

    def restored(self, partition: Partition, sessions: int, seconds: float) -> None:
        """`sessions` sessions were restored, in `seconds`."""

    def gap(self, gap: Gap) -> None:
        """The service goes on behind a gap."""


class Judge(Protocol):
    """Finds the numbers in the values of a stream, and takes forecasts joined with what then happened."""

    @property
    def slot(self) -> int:
        """The output slot that forecasts are written to."""

    def actual(self, value: Any) -> float | None:
        """Return the number of a decoded input that forecasts are made of; None if it has no finite one."""

    def forecast(self, datum: Any) -> tuple[float, float | None, float | None, int | None] | None:
        """Return the forecast of an output before it is encoded, the bounds of its interval, and its due timestamp.

        Bounds and timestamp are None if it has none. None: the output has no finite forecast.
        """

    def met(self, pending: PendingForecast, value: Any) -> bool | None:
        """Return whether a decoded input is what the forecast was made of. None: it may still come; False: it will not."""

    def write(self, evaluations: Sequence[Evaluation]) -> list[bytes]:
        """Return the encoded evaluations, in order. Blocks and raises as `Codec.encode_many`."""

    def committed(self, evaluations: Sequence[Evaluation], inputs: Sequence[float], missed: int) -> None:
        """Take a committed batch: its evaluations, the numbers of all its inputs, and how many forecasts met no value."""


class SlotCodec(Protocol):
    """Encoding and schemas of one slot of a ModelOp stream, control records included. Safe from any thread."""

    def control(self, data: bytes) -> Control | None:
        """Return the control record that undecoded bytes are; None if they are data."""

    def write_control(self, control: Control) -> bytes | None:
        """Return the bytes of a control record, in the documented form; None if the encoding has no control records."""

    def decode(self, data: bytes) -> Any:
        """Return the value of one record. Raises DecodeError (rejected by encoding) or SchemaError (by schema)."""

    def encode(self, value: Any) -> bytes:
        """Return the bytes of one value. Raises EncodeError; its cause is a SchemaError if the schema has rejected it."""


class Inlet(Protocol):
    """An input stream of the ModelOp engine, attached and open: transport and envelope, undecoded.

    One reader thread calls `next`; `post` and `close` come from any thread.

    eager: do not wait for the time limit of the stream's batching, but return the records that have come. For models
    that cannot see the limits of batches. May be set from any thread, at any time.
    on_reject: called, by the reader, with the beginning of a record that is too long, and the reason. The record counts
    as rejected by encoding, and takes no sequence number.
    """

    eager: bool
    on_reject: Callable[[bytes, str], None]

    def next(self, timeout_s: float) -> Batch | None:
        """Return the next batch; None if none is complete in time. Blocks up to `timeout_s`.

        A call settles the batch before it. After a batch that is closed by "end" none follows; the end of the transport's
        input counts as one. Raises TransportError.
        """

    def post(self, body: bytes) -> None:
        """REST transports only: take what a client has sent. Blocks while too much waits, for some seconds at most.

        Raises NoSuchStream (another transport), Unavailable (too much waits), TransportError (closed).
        """

    def close(self) -> None:
        """Give the transport back, and unblock `next`. Blocks until the reader has left `next`, 0.1 s on most transports."""


class Outlet(Protocol):
    """An output stream of the ModelOp engine, attached and open: envelope and transport, already encoded.

    One thread at a time calls `write` and `finish`; `take` and `close` come from any thread.
    """

    def write(self, records: Sequence[bytes]) -> None:
        """Write records, in order. Blocks while the stream's reader is slow. Raises TransportError."""

    def take(self, timeout_s: float) -> bytes | None:
        """REST transports only: return the next record for a client; None if none comes. Blocks up to `timeout_s`.

        Raises EndOfInput at the end of the stream, NoSuchStream (another transport).
        """

    def finish(self) -> None:
        """End the stream for its readers. Blocks until they have all of it, for the stream's linger time at most.

        Raises TransportError.
        """

    def close(self) -> None:
        """Give the transport back at once, and unblock `write` and `take`."""


class Model(Protocol):
    """One loaded module; its state can be exchanged. A call of the model's code blocks for as long as that runs."""

    @property
    def name(self) -> str:
        """The name of the model, as in headers and logs."""

    @property
    def sha256(self) -> str:
        """The sha256 of the file's bytes, in hex, taken before they were executed."""

    def state(self) -> State:
        """Return the values of the state globals, in the order of their names. They are the objects themselves."""

    def set_state(self, state: State) -> None:
        """Set the state globals to what `state` has returned."""

    @property
    def default(self) -> int:
        """The output slot of outputs that name none, and of all outputs of `predict`."""

    def score(self, value: Any, emit: Callable[[int, Any], None]) -> None:
        """Call `action` once. `emit` is called with slot and datum of each output, when it comes.

        Raises ActionError: the model, or `emit`, has raised.
        """

    def push(self, value: Any) -> bytes | None:
        """Move the state. Return the window to score, as float64 numbers in native byte order, or None for no window.

        Raises ActionError.
        """

    def predict(self, windows: Sequence[bytes]) -> list[float]:
        """Return one output for each window, in order, equal in all bits to what `score` gives. Raises ActionError."""

    @property
    def batched(self) -> bool:
        """Whether the module promises `push` and `predict`."""
