"""Snapshots <-> records of a changelog topic.

Key: `=` and the record's key, or `-` for the session of records without key, or `@` for the position of
the partition itself. Value: Avro, `schemas/state_snapshot.avsc`; null drops the session.
"""

from __future__ import annotations

import io
from collections.abc import Callable

import fastavro

from stream_scorer.avro_long import avro_long
from stream_scorer.records import Partition, Saved, Snapshot
from stream_scorer.shipped_schemas import shipped_schema

POSITION_KEY = b"@"
_SCHEMA = fastavro.parse_schema(shipped_schema("state_snapshot"))


class SnapshotWriter:
    """Encodes snapshots of one model.

    Args:
        model: its sha256 in hex.
        stream_time: of a partition at the moment of the commit, as `Sessions.stream_time` tells it.
    """

    def __init__(self, model: str, stream_time: Callable[[Partition], int | None] = lambda _: None) -> None:
        self._model = model
        self._stream_time = stream_time
        self._heads: dict[Partition, bytes] = {}

    def key(self, snapshot: Snapshot) -> bytes:
        return b"-" if snapshot.key is None else b"=" + snapshot.key

    def value(self, snapshot: Snapshot) -> bytes | None:
        """Avro by hand: the fields one after the other, as all but three are the same for a whole partition."""
        if snapshot.state is None:
            return None
        return self._encode(snapshot.partition, snapshot.offset, snapshot.timestamp, snapshot.state)

    def position(self, partition: Partition, offset: int) -> bytes:
        """Value of the position record: all of the partition before `offset` is in the state."""
        return self._encode(partition, offset, self._stream_time(partition), b"")

    def _encode(self, partition: Partition, offset: int, timestamp: int | None, state: bytes) -> bytes:
        head = self._heads.get(partition)
        if head is None:
            head = self._heads[partition] = (
                _string(self._model) + _string(partition.topic) + avro_long(partition.number)
            )
        when = b"\x00" if timestamp is None else b"\x02" + avro_long(timestamp)
        return b"".join((head, avro_long(offset), when, avro_long(len(state)), state))


def read_saved(partition: Partition, key: bytes, value: bytes | None) -> Saved:
    """Raises ValueError on what no SnapshotWriter wrote."""
    record_key = key[1:] if key[:1] == b"=" else None
    if value is None:
        return Saved("", 0, Snapshot(partition, record_key, 0, None, None))
    try:
        found = fastavro.schemaless_reader(io.BytesIO(value), _SCHEMA, None)
    except (EOFError, ValueError, IndexError, UnicodeDecodeError) as error:
        raise ValueError(f"not a state snapshot: {error}") from error
    assert isinstance(found, dict)
    offset, state = found["offset"], found["state"]
    if key == POSITION_KEY:
        return Saved(found["model"], offset, None, found["timestamp"])
    return Saved(found["model"], offset, Snapshot(partition, record_key, offset, found["timestamp"], state))


def _string(text: str) -> bytes:
    data = text.encode()
    return avro_long(len(data)) + data
