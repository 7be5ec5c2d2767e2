"""Snapshots on the wire: written by hand, and just what Avro's own writer writes."""

from __future__ import annotations

import io

import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_scorer.codec.schema_files import shipped_schema
from stream_scorer.records import Origin, Partition, Snapshot, StateRecord
from stream_scorer.state.snapshots import POSITION_KEY, ForeignState, SnapshotWriter, read_saved

SCHEMA = fastavro.parse_schema(shipped_schema("state_snapshot"))
IN = Partition("in", 1)
LONGS = st.integers(-(2**63), 2**63 - 1)
PARTITIONS = st.builds(Partition, st.text(max_size=200), st.integers(0, 2**31 - 1))
SNAPSHOTS = st.builds(
    Snapshot, PARTITIONS, st.none() | st.binary(max_size=20), LONGS, st.none() | LONGS, st.binary(max_size=300)
)


def _avro(model, partition, offset, timestamp, state):
    out = io.BytesIO()
    topic, number = partition
    value = {"model": model, "topic": topic, "partition": number}
    fastavro.schemaless_writer(out, SCHEMA, {**value, "offset": offset, "timestamp": timestamp, "state": state})
    return out.getvalue()


def test_golden_bytes():
    snapshot = Snapshot(Partition("in", 1), b"SPX", 300, 7, b"\1\2")
    assert SnapshotWriter("ab").value(snapshot).hex() == "04616204696e02d804020e040102"
    assert SnapshotWriter("ab").position(Partition("in", 1), 300).hex() == "04616204696e02d8040000"


@given(model=st.text(max_size=70), snapshots=st.lists(SNAPSHOTS, min_size=1, max_size=4))
def test_values_are_what_fastavro_writes(model, snapshots):
    writer = SnapshotWriter(model)
    for snapshot in snapshots:
        partition, _, offset, timestamp, state = snapshot
        assert writer.value(snapshot) == _avro(model, partition, offset, timestamp, state)
        assert writer.position(partition, offset) == _avro(model, partition, offset, None, b"")


@given(SNAPSHOTS)
def test_snapshots_come_back(snapshot):
    writer = SnapshotWriter("ab")
    saved = read_saved(snapshot.partition, writer.key(snapshot), writer.value(snapshot))
    assert saved == StateRecord("ab", snapshot.offset, snapshot)


def test_the_position_comes_back_as_no_session():
    value = SnapshotWriter("ab").position(Partition("in", 1), 41)
    assert read_saved(Partition("in", 1), POSITION_KEY, value) == StateRecord("ab", 41, None)


def test_the_position_carries_the_stream_time():
    value = SnapshotWriter("ab", {IN: -7}.get).position(IN, 41)
    assert value == _avro("ab", IN, 41, -7, b"")
    assert read_saved(IN, POSITION_KEY, value) == StateRecord("ab", 41, None, -7)


def test_the_position_carries_where_its_state_is_from():
    origin = Origin("BgxNvPS3Qfqb3mAr1lb+fQ", "grüppe", "partition")
    value = SnapshotWriter("ab", origin={IN: origin}.get).position(IN, 41)
    assert read_saved(IN, POSITION_KEY, value) == StateRecord("ab", 41, None, None, origin)


@pytest.mark.parametrize("other", [Partition("in", 2), Partition("other", 1)])
def test_state_of_another_partition_is_not_taken_for_ours(other):
    writer = SnapshotWriter("ab")
    snapshot = Snapshot(other, b"k", 1, None, b"")
    for key, value in [(b"=k", writer.value(snapshot)), (POSITION_KEY, writer.position(other, 1))]:
        with pytest.raises(ForeignState, match=f"state of {other.topic}"):
            read_saved(IN, key, value)


@pytest.mark.parametrize("key", [None, b"", b"@", b"-", b"=@", b"k"])
def test_no_two_keys_meet(key):
    snapshot = Snapshot(Partition("in", 0), key, 1, None, b"")
    wire = SnapshotWriter("ab").key(snapshot)
    assert wire != POSITION_KEY
    assert read_saved(snapshot.partition, wire, SnapshotWriter("ab").value(snapshot)).snapshot.key == key


def test_a_session_dropped_is_a_tombstone():
    snapshot = Snapshot(Partition("in", 0), b"k", 0, None, None)
    writer = SnapshotWriter("ab")
    assert writer.value(snapshot) is None
    assert read_saved(snapshot.partition, writer.key(snapshot), None).snapshot == snapshot


_ENDLESS = b"\xfe" + b"\xff" * 8 + b"\1"
"""A length of 2^63 - 1."""
_POSITION = _avro("ab", IN, 41, -7, b"")[:-1]


@pytest.mark.parametrize(
    "value",
    [
        *(b"", b"\xff", b"\x04ab", b"\x02\xff" + b"\0" * 10, b"\x01", b"\xff" * 40, _ENDLESS),
        *(_POSITION, _POSITION + _ENDLESS, _POSITION + b"\1"),
    ],
)
def test_foreign_bytes_are_told(value):
    with pytest.raises(ValueError, match="not a state snapshot"):
        read_saved(Partition("in", 0), b"=k", value)
