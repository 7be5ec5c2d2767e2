"""Snapshots <-> records of a changelog topic.

Key: `=` and the record's key, or `-` for the session of records without a key, or `@` for the position of the partition.
Value: Avro of `schemas/state_snapshot.avsc`; null drops the session.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable

import fastavro

from stream_scorer.codec.avro_long import avro_long, avro_sized
from stream_scorer.codec.schema_files import shipped_schema
from stream_scorer.records import Origin, Partition, Snapshot, StateRecord

POSITION_KEY = b"@"
_SCHEMA = fastavro.parse_schema(shipped_schema("state_snapshot"))


class ForeignState(ValueError):
    """The state belongs to another input partition."""

    def __init__(self, source: Partition) -> None:
        super().__init__(f"state of {source}")
        self.source = source


class SnapshotWriter:
    """Encodes snapshots of one model.

    Args:
        model: its identity.
        stream_time: returns the stream time of a partition, as `Sessions.stream_time` does; called at each commit.
        origin: returns the origin of the state of a partition; called at each commit.
    """

    def __init__(
        self,
        model: str,
        stream_time: Callable[[Partition], int | None] = lambda _: None,
        origin: Callable[[Partition], Origin] = lambda _: Origin(),
    ) -> None:
        self._model = model
        self._stream_time = stream_time
        self._origin = origin
        self._heads: dict[Partition, bytes] = {}

    def key(self, snapshot: Snapshot) -> bytes:
        return b"-" if snapshot.key is None else b"=" + snapshot.key

    def value(self, snapshot: Snapshot) -> bytes | None:
        """Avro, written by hand: only the last four fields differ between the sessions of a partition."""
        if snapshot.state is None:
            return None
        return self._encode(snapshot.partition, snapshot.offset, snapshot.timestamp, snapshot.state)

    def position(self, partition: Partition, offset: int) -> bytes:
        """Value of the position record, which says that the state has all records before `offset`."""
        origin = self._origin(partition)
        text = json.dumps(origin._asdict()).encode() if any(origin) else b""
        return self._encode(partition, offset, self._stream_time(partition), text)

    def _encode(self, partition: Partition, offset: int, timestamp: int | None, state: bytes) -> bytes:
        head = self._heads.get(partition)
        if head is None:
            names = avro_sized(self._model.encode()) + avro_sized(partition.topic.encode())
            head = self._heads[partition] = names + avro_long(partition.number)
        when = b"\x00" if timestamp is None else b"\x02" + avro_long(timestamp)
        return b"".join((head, avro_long(offset), when, avro_long(len(state)), state))


def read_saved(partition: Partition, key: bytes, value: bytes | None) -> StateRecord:
    """A record of the changelog. Raises ForeignState; ValueError: no SnapshotWriter wrote the record."""
    record_key = key[1:] if key[:1] == b"=" else None
    if value is None:
        return StateRecord("", 0, Snapshot(partition, record_key, 0, None, None))
    try:
        fields = fastavro.schemaless_reader(io.BytesIO(value), _SCHEMA, None)
    except (EOFError, ValueError, IndexError, OverflowError, MemoryError) as error:
        raise ValueError(f"not a state snapshot: {error}") from error
    assert isinstance(fields, dict)
    offset, state = fields["offset"], fields["state"]
    source = Partition(fields["topic"], fields["partition"])
    if source != partition:
        raise ForeignState(source)
    if key == POSITION_KEY:
        return StateRecord(fields["model"], offset, None, fields["timestamp"], _read_origin(state))
    return StateRecord(fields["model"], offset, Snapshot(partition, record_key, offset, fields["timestamp"], state))


def _read_origin(state: bytes) -> Origin:
    """The origin in a position record. Early versions left it empty."""
    if not state:
        return Origin()
    try:
        origin = json.loads(state)
    except RecursionError as error:
        raise ValueError(f"not the origin of a state: {state[:40]!r}") from error
    if not isinstance(origin, dict):
        raise ValueError(f"not the origin of a state: {state[:40]!r}")
    return Origin(*(str(origin.get(name, "")) for name in Origin._fields))
