"""What every transport does; and what one declares that it lacks (`Features`), it does lack."""

from __future__ import annotations

from collections import Counter

import pytest

from stream_scorer.errors import EndOfInput
from stream_scorer.records import Outgoing, Reject
from tests.contract.transports import KafkaTopics, Memory, Seen, record, take

KAFKA = [pytest.param(name, marks=pytest.mark.broker) for name in ("kafka", "kafka-at-least-once")]


@pytest.fixture(params=["memory", *KAFKA])
def transport(request, tmp_path):
    if request.param == "memory":
        found = Memory()
    else:
        kafka, name = (request.getfixturevalue(fixture) for fixture in ("kafka", "name"))
        found = KafkaTopics(kafka, name, exactly_once=request.param == "kafka")
    found.name = request.param
    yield found
    found.close()


def _records(transport, count=9):
    """Numbers as text; on two partitions where there are such."""
    if not transport.features.keyed:
        return [record(0, offset, b"%d" % offset) for offset in range(count)]
    return [record(number, offset, b"%d" % offset) for offset in range(count) for number in (0, 1)]


def _by_partition(records):
    found = {}
    for one in records:
        found.setdefault(one.partition.number, []).append((one.offset, one.value))
    return found


def _send(sink, records):
    sink.begin()
    for one in records:
        sink.send([Outgoing(1, one, b"score of " + one.value)])


def _scored(records):
    return Counter(b"score of " + one.value for one in records)


def _values(seen):
    return Counter(one.value for one in seen)


def test_records_come_in_the_order_of_their_partition(transport):
    records = _records(transport)
    source, _ = transport.open(records)
    assert _by_partition(take(source, len(records), limit=4)) == _by_partition(records)


@pytest.mark.parametrize("limit", [1, 2, 5])
def test_a_poll_gives_no_more_than_it_is_asked_for(transport, limit):
    source, _ = transport.open(_records(transport))
    take(source, 9, limit=limit)


def test_positions_are_those_after_what_was_polled(transport):
    records = _records(transport)
    source, _ = transport.open(records)
    polled = take(source, 5)
    after = {number: found[-1][0] + 1 for number, found in _by_partition(polled).items()}
    assert {partition.number: offset for partition, offset in source.positions().items()} == after


def test_what_is_settled_has_not_moved_since(transport):
    source, sink = transport.open(_records(transport))
    polled = take(source, 5)
    _send(sink, polled)
    sink.commit(source.positions())
    source.settle()
    assert not source.positions()


def test_keys_timestamps_and_null_values_survive(transport):
    records = [record(0, 0, b"1"), record(0, 1, None), record(0, 2, b""), record(0, 3, b"3", timestamp=-86_400_000)]
    source, _ = transport.open(records)
    if not transport.features.keyed:
        assert [(one.key, one.value, one.timestamp) for one in take(source, 2)] == [
            (None, b"1", None),
            (None, b"3", None),
        ]
        return
    assert [one[1:5] for one in take(source, 4)] == [one[1:5] for one in records]


def test_the_end_is_told_when_all_was_given(transport):
    records = _records(transport)
    source, _ = transport.open(records)
    take(source, len(records))
    assert transport.features.finite
    with pytest.raises(EndOfInput):
        take(source, 1)


@pytest.mark.parametrize("back", ["rewind", "reload"])
def test_what_was_not_committed_comes_again(transport, back):
    records = _records(transport)
    source, sink = transport.open(records)
    if not transport.features.replayable:
        take(source, 3)
        with pytest.raises(NotImplementedError):
            getattr(source, back)()
        return
    committed = take(source, 6)
    _send(sink, committed)
    sink.commit(source.positions())
    source.settle()
    take(source, 7)
    getattr(source, back)()
    assert not source.positions()
    rest = take(source, len(records) - 6)
    assert _by_partition(committed + rest) == _by_partition(records)


def test_committed_outputs_are_seen_in_the_order_of_their_partition(transport):
    records = _records(transport)
    source, sink = transport.open(records)
    for count in (4, 1, len(records) - 5):
        _send(sink, take(source, count))
        sink.commit(source.positions())
        source.settle()
    expected = sorted(records, key=lambda one: one.partition)
    if transport.features.keyed:
        assert transport.outputs() == [Seen(one.key, b"score of " + one.value, one.timestamp) for one in expected]
    else:
        assert [one.value for one in transport.outputs()] == [b"score of " + one.value for one in expected]


def test_a_null_score_is_a_score(transport):
    source, sink = transport.open(_records(transport))
    (first,) = take(source, 1)
    sink.begin()
    sink.send([Outgoing(1, first, None)])
    sink.commit(source.positions())
    assert [one.value for one in transport.outputs()] == [None if transport.features.keyed else b"null"]


def test_what_is_aborted_is_never_seen(transport):
    source, sink = transport.open(_records(transport))
    first, second = take(source, 1), take(source, 1)
    positions = source.positions()
    _send(sink, first)
    sink.abort()
    _send(sink, second)
    sink.commit(positions)
    assert _values(transport.outputs()) == _scored(second if transport.features.transactional else first + second)


def test_nothing_is_seen_before_the_commit(transport):
    source, sink = transport.open(_records(transport))
    polled = take(source, 3)
    positions = source.positions()
    _send(sink, polled)
    if transport.features.transactional:
        assert transport.outputs() == []
    sink.commit(positions)
    assert _values(transport.outputs()) == _scored(polled)


def test_what_was_open_at_a_reopen_is_never_seen(transport):
    source, sink = transport.open(_records(transport))
    first, second = take(source, 1), take(source, 1)
    positions = source.positions()
    _send(sink, first)
    sink.reopen()
    _send(sink, second)
    sink.commit(positions)
    seen = _values(transport.outputs())
    assert seen == _scored(second) or (not transport.features.transactional and seen == _scored(first + second))


def test_a_reject_keeps_bytes_key_and_timestamp(transport):
    source, sink = transport.open([record(0, 0, b"\0\xffraw"), record(0, 1, b"2")])
    bad, good = take(source, 2)
    sink.begin()
    sink.reject(Reject(bad, "decode", "DecodeError", "no JSON.", "Traceback"))
    sink.send([Outgoing(1, good, b"2")])
    sink.commit(source.positions())
    (seen,) = transport.rejects()
    if transport.features.keyed:
        assert seen == Seen(b"k0", b"\0\xffraw", bad.timestamp)
    else:
        assert seen.value == "in:1: decode: no JSON. The line: \0\ufffdraw".encode()


def test_closing_twice_does_no_harm(transport):
    source, sink = transport.open(_records(transport))
    take(source, 1)
    for _ in range(2):
        sink.close()
        source.close()
