"""A record that nobody takes costs that record: it is found, rejected, and the others are scored as if alone."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_scorer.codec import codec_for
from stream_scorer.codec.schema_files import load_schema
from stream_scorer.errors import ActionError, BrokerError, EndOfInput, Refused
from stream_scorer.model.module import Module
from stream_scorer.records import Partition, Record
from stream_scorer.scoring.scorer import Scorer
from stream_scorer.service import bisection
from stream_scorer.service.loop import Loop
from stream_scorer.service.memory import MemoryLog, MemorySink
from stream_scorer.service.pace import Pace
from stream_scorer.service.policies import FailurePolicy
from stream_scorer.state.sessions import Sessions
from support.service import MODELS
from tests.support.examples import examples

PARTITIONS = [Partition("in", number) for number in range(4)]


class Source:
    """Several partitions, one after the other in an order that `order` chooses at each poll, as brokers do it."""

    def __init__(self, log, records, order):
        self._log, self._records, self._order = log, records, order
        self._at = dict.fromkeys(records, 0)
        self.polls = 0

    def poll(self, limit, timeout_s):
        self.polls += 1
        left = [partition for partition in self._records if self._at[partition] < len(self._records[partition])]
        if not left:
            raise EndOfInput
        found = []
        while left and len(found) < limit:
            partition = left.pop(self._order() % len(left))
            at = self._at[partition]
            found += self._records[partition][at : at + max(1, self._order() % limit)][: limit - len(found)]
            self._at[partition] = found[-1].offset + 1
        return found

    def positions(self):
        return {at: offset for at, offset in self._at.items() if offset != self._log.positions.get(at, 0)}

    def settle(self):
        pass

    def rewind(self):
        self._at = {at: self._log.positions.get(at, 0) for at in self._at}

    reload = rewind


class OneSink(MemorySink):
    """Names its culprits, as a client does that refuses before it sends."""

    def send(self, outs):
        culprits = {out.source.place: "no" for out in outs if out.source.place in self._log.refuses}
        if culprits:
            raise Refused("no", culprits)
        super().send(outs)


def _records(counts):
    return {
        partition: [
            Record(partition, offset, b"k%d" % (offset % 2), struct.pack("<d", offset + 1.0), 1000 + offset, None)
            for offset in range(count)
        ]
        for partition, count in zip(PARTITIONS, counts, strict=False)
    }


def _run(records, refuses, *, batch, order=lambda: -1, rejects=None, model="echo_positive", sink=MemorySink, **how):
    module = Module(MODELS / f"{model}.py")
    module.begin()
    sessions = Sessions(module, module.state_names)
    codec = codec_for("avro-binary", load_schema("double", {}, MODELS))
    log = MemoryLog()
    log.refuses, log.refuses_rejects = set(refuses), dict(rejects or {})
    source = Source(log, records, order)
    scorer = Scorer(module, sessions, codec, {1: codec})
    pace = Pace(batch, max_batch_s=60)
    loop = Loop(source, scorer, sessions, sink(log), pace=pace, policy=FailurePolicy(first_pause_s=0, **how))
    return loop, log, source


def _places(some):
    return sorted(one.source.place for one in some)


@pytest.mark.parametrize("sink", [MemorySink, OneSink])
@pytest.mark.parametrize("batch", [1, 2, 7, 1000])
def test_the_record_is_found_and_rejected_and_the_others_are_scored(batch, sink):
    place = (PARTITIONS[0], 61)
    loop, log, _ = _run(_records([100]), {place}, batch=batch, sink=sink)
    totals = loop.run()
    assert _places(log.rejects) == [place]
    assert len(log.outputs) == 99
    assert (log.rejects[0].stage, log.rejects[0].error) == ("publish", "PublishError")
    assert totals.recoveries == 0
    assert loop._bisection.refused == {}, "what is committed is forgotten"


def test_of_ten_thousand_it_is_found_in_few_tries_and_the_pace_is_normal_again():
    loop, log, source = _run(_records([30_000]), {(PARTITIONS[0], 6_543)}, batch=10_000)
    totals = loop.run()
    assert (len(log.outputs), len(log.rejects)) == (29_999, 1)
    assert (source.polls, totals.aborts) == (5, 7)
    assert loop._bisection.limit > 10_000


def test_a_topic_that_refuses_every_record_costs_a_few_tries_of_each():
    records = _records([300])
    loop, log, _ = _run(records, [one.place for one in records[PARTITIONS[0]]], batch=1000)
    totals = loop.run()
    assert len(log.rejects) == 300
    assert totals.aborts < 4 * 300


def test_refusals_are_no_failures_in_a_row():
    records = _records([200])
    loop, log, _ = _run(records, [one.place for one in records[PARTITIONS[0]]], batch=64, max_failures=2)
    loop.run()
    assert len(log.rejects) == 200


@pytest.mark.parametrize("model", ["rolling_mean", "rolling_mean_batched"])
def test_the_session_is_as_before_the_record(model):
    """As if the refused record had never been there, for each key."""
    records = _records([120])
    gone = (PARTITIONS[0], 70)
    loop, log, _ = _run(records, {gone}, batch=50, model=model)
    loop.run()
    without = {PARTITIONS[0]: [one._replace(offset=at) for at, one in enumerate(records[PARTITIONS[0]]) if at != 70]}
    without[PARTITIONS[0]] = [one._replace(offset=at) for at, one in enumerate(without[PARTITIONS[0]])]
    other, expected, _ = _run(without, (), batch=50, model=model)
    other.run()
    assert [out.value for out in log.outputs] == [out.value for out in expected.outputs]


@pytest.mark.parametrize("times", [1, 2])
def test_a_dead_letter_that_is_refused_is_made_plainer(times):
    """Of a record that is rejected for another reason: it cannot be decoded."""
    records = _records([50])
    records[PARTITIONS[0]][20] = records[PARTITIONS[0]][20]._replace(value=b"abc")
    loop, log, _ = _run(records, (), batch=50, rejects={(PARTITIONS[0], 20): times})
    loop.run()
    assert [(one.source.offset, one.stage, one.refusals) for one in log.rejects] == [(20, "decode", times)]
    assert len(log.outputs) == 49


def test_a_dead_letter_refused_in_every_form_stops_the_service_and_nothing_is_lost():
    place = (PARTITIONS[0], 20)
    loop, log, _ = _run(_records([50]), {place}, batch=50, rejects={place: 9})
    with pytest.raises(BrokerError, match=r"in\[0\]@20: rejected, and its dead letter.*8 bytes, sha256 [0-9a-f]{64}"):
        loop.run()
    assert log.positions[PARTITIONS[0]] == len(log.outputs) == 20


def test_on_bad_record_fail_stops_at_it():
    loop, log, _ = _run(_records([50]), {(PARTITIONS[0], 20)}, batch=50, fail_on_reject=True)
    with pytest.raises(ActionError, match=r"in\[0\]@20: as asked"):
        loop.run()
    assert log.positions[PARTITIONS[0]] == 20


def test_rejects_in_a_row_are_counted_as_others_are():
    refuses = [(PARTITIONS[0], at) for at in (3, 10, 11, 12, 13)]
    loop, log, _ = _run(_records([50]), refuses, batch=50, max_rejects_in_row=3)
    with pytest.raises(ActionError, match=r"in\[0\]@12: 3 records in a row"):
        loop.run()
    assert [one.source.offset for one in log.rejects] == [3, 10, 11, 12]


def test_what_is_refused_whatever_is_left_out_comes_to_an_end(monkeypatch):
    monkeypatch.setattr(bisection, "PLAINEST", 10**9)

    class No(MemorySink):
        def commit(self, positions):
            raise Refused("never")

    loop, _, _ = _run(_records([50]), (), batch=50, sink=No)
    with pytest.raises(BrokerError, match="1001 batches refused without one commit"):
        loop.run()


@examples(150)
@given(
    counts=st.lists(st.integers(0, 40), min_size=1, max_size=4),
    refused=st.sets(st.tuples(st.integers(0, 3), st.integers(0, 39)), max_size=30),
    again=st.dictionaries(st.tuples(st.integers(0, 3), st.integers(0, 39)), st.integers(1, 2), max_size=8),
    bad=st.sets(st.tuples(st.integers(0, 3), st.integers(0, 39)), max_size=5),
    batch=st.integers(1, 64),
    order=st.randoms(use_true_random=False),
    polls_again=st.booleans(),
    sink=st.sampled_from([MemorySink, OneSink]),
)
def test_any_culprits_any_partitions_any_interleaving(counts, refused, again, bad, batch, order, polls_again, sink):
    records = _records(counts)
    for number, offset in bad:
        if number < len(counts) and offset < counts[number]:
            one = records[PARTITIONS[number]]
            one[offset] = one[offset]._replace(value=b"abc")
    refuses = {(PARTITIONS[number], offset) for number, offset in refused}
    rejects = {(PARTITIONS[number], offset): times for (number, offset), times in again.items()}
    loop, log, _ = _run(records, refuses, batch=batch, order=lambda: order.randrange(1000), rejects=rejects, sink=sink)
    if polls_again:  # as after a hunt so long that the group wants a poll
        loop._hold_s = -1
    loop.run()
    places = {one.place: one for some in records.values() for one in some}
    wanted = {place for place, one in places.items() if place in refuses or one.value == b"abc"}
    assert _places(log.rejects) == sorted(wanted)
    assert _places(log.outputs) == sorted(places.keys() - wanted)
    for partition, some in records.items():
        found = [out.source.offset for out in log.outputs if out.source.partition == partition]
        assert found == sorted(found)
        assert log.positions.get(partition, 0) == len(some)
