"""What travels between the parts: bytes in, bytes out, and the state between."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

Headers = list[tuple[str, str | bytes | None]]
State = tuple[Any, ...]
"""Values of the model's state globals, in the order of their names."""


class Partition(NamedTuple):
    topic: str
    number: int

    def __str__(self) -> str:
        return f"{self.topic}[{self.number}]"


class Lag(NamedTuple):
    """How far the reader of a partition is behind its end.

    records: offsets from the reader's position to the end, open transactions included. Offsets count what is no record
        too: markers of transactions, aborted records. None: not known yet.
    age_s: since a broker told that end.
    held_s: for how long nothing could be read, as the next record belongs to an open transaction or lies behind one.
    """

    records: int | None
    age_s: float = 0.0
    held_s: float = 0.0


Place = tuple[Partition, int]
"""Of one record: partition and offset."""
UNREADABLE: Headers = []
"""In the place of headers that cannot be had: a name among them is not UTF-8. Told apart by `is`."""


class Record(NamedTuple):
    """One input record as the transport gave it. `timestamp` is in ms since 1970, None where there is none."""

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
"""In the place of an output slot: where evaluations go."""


class Outgoing(NamedTuple):
    """One record to send. `slot` is the model's output slot or EVALUATIONS; the sink knows where that leads."""

    slot: int
    source: Record
    value: bytes | None


class Reject(NamedTuple):
    """A record that could not be scored, with the reason; its session is as it was before the record.

    `refusals`: how often it was refused where rejects are kept. The sink gives it a plainer form each time.
    """

    source: Record
    stage: str
    error: str
    message: str
    stacktrace: str
    refusals: int = 0


class Snapshot(NamedTuple):
    """State of one session, as `state.values` writes it, after the record before `offset` of its partition.

    `timestamp` is of that record, in ms. `state` None drops the session.
    """

    partition: Partition
    key: bytes | None
    offset: int
    timestamp: int | None
    state: bytes | None


class Note(NamedTuple):
    """A forecast that waits in a session for the value it is of.

    `naive` is the value its session saw last: what a forecast of no change would say. `low` and `high` bound the
    interval, if there is one. `offset` and `timestamp` (ms) are of the input it was made at. `due` is the moment it
    is of, where forecasts say that; None: it is of the next record of its session.
    """

    forecast: float
    naive: float
    low: float | None
    high: float | None
    offset: int
    timestamp: int | None
    due: int | None = None


class Evaluation(NamedTuple):
    """A forecast, and the record of its session that it was of: what then happened is `actual`."""

    note: Note
    source: Record
    actual: float


@dataclass(frozen=True, slots=True)
class Control:
    """A control record of a ModelOp stream.

    kind: "end", "set" or "pig".
    id, timestamp, misc: its properties, None if it has none; `timestamp` is in ms since 1970.
    record, encoding: the bytes that it was read from and their encoding; b"" if it was not read.
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
    """What saved state was made of. Empty texts: not known.

    topic_id: the id that the broker gave to the input topic; a topic that is deleted and created again has another.
    group: the consumer group. session: what had a state of its own: "key", "partition" or "all".
    """

    topic_id: str = ""
    group: str = ""
    session: str = ""


NOWHERE = Origin()
"""Nothing is known of where a state is from."""


class Saved(NamedTuple):
    """One record of the state store. `snapshot` None: it is the partition's own position, `offset`.

    `model` is the identity of the model that saved it. With a position go `stream_time`, the latest record timestamp
    before it, in ms, if sessions have a time to live, and `origin`.
    """

    model: str
    offset: int
    snapshot: Snapshot | None
    stream_time: int | None = None
    origin: Origin = NOWHERE


class Committed(NamedTuple):
    """A position that a group has committed, and the id of the topic it is of ("" if that was not noted).

    began_with: partitions that the topic had when the group began with this one; 0 if that was not noted.
    """

    offset: int
    topic_id: str
    began_with: int = 0


class Log(NamedTuple):
    """What a partition holds now: its first offset, the offset after its last record, and the id of its topic.

    added: the group had begun with the topic before the partition was added to it.
    """

    first: int
    end: int
    topic_id: str
    added: bool = False


class Begun(NamedTuple):
    """Where a partition begins. `saved`: position and state are on the broker already, as they are here."""

    offset: int
    saved: bool


class Gap(NamedTuple):
    """The position and the log of a partition do not belong together.

    kind: "deleted" (records after the position are gone), "past-end" (the log ends before the position) or
    "recreated" (another topic of the same name). lost: records that were deleted unscored, by offsets; 0 where that
    cannot be known. first: where to go on. text: what was found.
    """

    partition: Partition
    kind: str
    lost: int
    first: int
    text: str
