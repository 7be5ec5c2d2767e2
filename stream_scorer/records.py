"""What travels between the parts: bytes in, bytes out, and the state between."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

Headers = list[tuple[str, str | bytes | None]]
State = tuple[Any, ...]
"""Values of the model's state globals, in the order of their names."""
TOPIC_ENCODINGS = ("avro-binary", "json")
"""How values may be written on Kafka topics. ModelOp streams have more: `codec.stream_encodings.STREAM_CODECS`."""


class Partition(NamedTuple):
    """A partition of a topic. Its text is TOPIC[NUMBER]."""

    topic: str
    number: int

    def __str__(self) -> str:
        return f"{self.topic}[{self.number}]"


class Lag(NamedTuple):
    """How far the consumer of a partition is behind its end.

    records: offsets from the consumer's position to the end, open transactions included. Transaction markers and aborted
        records have offsets too. None: not known yet.
    age_s: seconds since a broker reported that end.
    held_s: seconds without a readable record, because the next one belongs to an open transaction or follows one.
    """

    records: int | None
    age_s: float = 0.0
    held_s: float = 0.0


class SourceStatus(NamedTuple):
    """What a source knows of its broker and of its consumer group.

    lag: of every assigned partition. reason: why no broker is connected, None if one is or nothing is known.
    rebalances: how often partitions came or left. joined: whether the group has assigned its partitions.
    waits_for: the open transaction that holds back a committed offset of the group, in words; "" if none does.
    """

    lag: Mapping[Partition, Lag]
    connected: bool = True
    reason: str | None = None
    rebalances: int = 0
    joined: bool = True
    waits_for: str = ""


Place = tuple[Partition, int]
"""Partition and offset of a record."""
UNREADABLE_HEADERS: Headers = []
"""Stands for headers that the client cannot read, because a header name is not UTF-8. Compare by `is`."""


class Record(NamedTuple):
    """One input record as the transport gave it. `timestamp` is in ms since 1970, None if the record has none."""

    partition: Partition
    offset: int
    key: bytes | None
    value: bytes | None
    timestamp: int | None
    headers: Headers | None

    @property
    def where(self) -> str:
        return f"{self.partition}@{self.offset}"

    @property
    def place(self) -> Place:
        return self.partition, self.offset


EVALUATIONS = -1
"""Used as an output slot for evaluations."""


class Outgoing(NamedTuple):
    """One record to send. `slot` is the model's output slot or EVALUATIONS; the sink knows the topic of each."""

    slot: int
    source: Record
    value: bytes | None


class Reject(NamedTuple):
    """A record that could not be scored, with the reason. Its session is as it was before the record.

    refusals: how often the dead-letter topic has refused it. Each time the sink leaves out more of the record.
    """

    source: Record
    stage: str
    error: str
    message: str
    stacktrace: str
    refusals: int = 0

    @property
    def reason(self) -> str:
        """At which step it was rejected, and why."""
        return f"{self.stage}: {self.message}"

    @property
    def line(self) -> str:
        """For a log: where it is, and the reason."""
        return f"{self.source.where}: {self.reason}"


class Snapshot(NamedTuple):
    """State of one session after all records before `offset` of its partition.

    timestamp: of its last record, in ms since 1970.
    state: as `state.values` writes it, with a pending forecast behind it if forecasts are judged; None drops the session.
    """

    partition: Partition
    key: bytes | None
    offset: int
    timestamp: int | None
    state: bytes | None


class PendingForecast(NamedTuple):
    """A forecast that waits in a session for the value it forecasts.

    naive: the value at which the forecast was made: the forecast of a model that expects no change.
    low, high: bounds of the forecast's interval, None if it has none.
    offset, timestamp: of the record at which the forecast was made; the timestamp is in ms since 1970.
    due: the time it forecasts, in ms since 1970; None: it forecasts the next record of its session.
    """

    forecast: float
    naive: float
    low: float | None
    high: float | None
    offset: int
    timestamp: int | None
    due: int | None = None


class Evaluation(NamedTuple):
    """A forecast joined with the record that it forecast. `actual` is the value of that record."""

    pending: PendingForecast
    source: Record
    actual: float


@dataclass(frozen=True, slots=True)
class Control:
    """A control record of a ModelOp stream.

    kind: "end", "set" or "pig".
    id, timestamp, misc: its properties, None if it lacks them; `timestamp` is in ms since 1970.
    record, encoding: the bytes that it was read from and their encoding; b"" if it was made here.
    """

    kind: str
    id: int | None = None
    timestamp: int | None = None
    misc: str | None = None
    record: bytes = field(default=b"", compare=False, kw_only=True)
    encoding: str | None = field(default=None, compare=False, kw_only=True)


class Batch(NamedTuple):
    """Undecoded records of one input slot that go to the model together.

    `first` is the sequence number of the first record, counted from 1 per slot. `control` is the control record that
    closed the batch; None if a limit of the stream's batching closed it, or if no more records were there.
    """

    slot: int
    first: int
    records: list[bytes]
    control: Control | None

    @property
    def closed_by(self) -> str | None:
        """The kind of that control record: "end" (the last batch of the stream), "set" or "pig"."""
        return None if self.control is None else self.control.kind


class Origin(NamedTuple):
    """What saved state belongs to. An empty text: not known.

    topic_id: the broker's id of the input topic. A topic that is deleted and created again has another.
    group: the consumer group.
    session: what has a state of its own: "key", "partition" or "all".
    """

    topic_id: str = ""
    group: str = ""
    session: str = ""


UNKNOWN_ORIGIN = Origin()


class StateRecord(NamedTuple):
    """One record of the state store: a session, or the position of the partition.

    model: identity of the model that saved it.
    offset: everything before it is in the state.
    snapshot: the session; None for the position record, to which alone the fields below belong.
    stream_time: latest record timestamp before `offset` in ms, if sessions have a time to live.
    """

    model: str
    offset: int
    snapshot: Snapshot | None
    stream_time: int | None = None
    origin: Origin = UNKNOWN_ORIGIN


class CommittedPosition(NamedTuple):
    """A position that a group has committed.

    topic_id: id of its topic; "": the commit does not say.
    began_with: number of partitions of the topic when the group began with this one; 0: the commit does not say.
    """

    offset: int
    topic_id: str
    began_with: int = 0


class PartitionLog(NamedTuple):
    """The log of a partition as it is now.

    first, end: offset of its first record, offset after its last one.
    topic_id: id of its topic.
    added: the partition was added to the topic after the group had begun with the topic.
    """

    first: int
    end: int
    topic_id: str
    added: bool = False


class StartPosition(NamedTuple):
    """The offset at which a partition begins. saved: the broker has this position and this state already."""

    offset: int
    saved: bool


class Gap(NamedTuple):
    """The committed position of a partition does not belong to its log.

    kind: "deleted" (records after the position were deleted), "past-end" (the log ends before the position) or
        "recreated" (the topic was deleted, and created again with the same name).
    lost: offsets of records that were deleted before they were scored; 0 if that cannot be known.
    first: offset at which scoring can go on.
    text: what was found, for people.
    """

    partition: Partition
    kind: str
    lost: int
    first: int
    text: str
