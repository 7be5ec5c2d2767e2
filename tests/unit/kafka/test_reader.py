"""Partitions read apart from any group: what is given, when it ends, and what is an error."""

from __future__ import annotations

import pytest
from confluent_kafka import KafkaError, KafkaException
from hypothesis import given
from hypothesis import strategies as st

from stream_scorer.errors import BrokerError, Unavailable
from stream_scorer.kafka import reader as kafka_reader
from stream_scorer.kafka.follow import Follower
from stream_scorer.kafka.reader import Reader, Stalled
from stream_scorer.records import Partition
from tests.support.messages import Fetched, Script, eof

ONE, TWO = Partition("prices", 0), Partition("prices", 1)


@pytest.fixture
def opened(monkeypatch):
    """A reader of what a script gives; `opened.consumer` is the script."""

    def open_reader(*batches, clock=None, **more):
        consumer = Script(*batches, clock=clock)
        monkeypatch.setattr(kafka_reader, "open_outside_group", lambda *_, **__: consumer)
        if clock is not None:
            monkeypatch.setattr(kafka_reader, "time", clock)
        return Reader({}, "test", **more)

    return open_reader


class Clock:
    def __init__(self):
        self.now = 0.0

    def monotonic(self):
        return self.now


def given_by(batches):
    return [(record.partition, record.offset) for batch in batches for record in batch]


@given(st.data())
def test_each_record_between_is_given_once_and_in_order_however_it_comes(data):
    logs = {at: sorted(data.draw(st.sets(st.integers(0, 30)))) for at in (ONE, TWO)}
    bounds = {at: tuple(sorted(data.draw(st.tuples(st.integers(0, 32), st.integers(0, 32))))) for at in (ONE, TWO)}
    coming = {at: [Fetched(at, offset) for offset in logs[at] if offset >= bounds[at][0]] for at in (ONE, TWO)}
    # Wherever nothing more is at hand, a consumer says that the partition ends: also at a replica that lags.
    for at, messages in coming.items():
        for place in sorted(data.draw(st.sets(st.integers(0, len(messages)))), reverse=True):
            offset = messages[place - 1].offset() + 1 if place else bounds[at][0]
            messages.insert(place, eof(at, offset))
        messages.append(eof(at, 33))
    order = data.draw(st.permutations([at for at, messages in coming.items() for _ in messages]))
    mixed = [coming[at].pop(0) for at in order]
    cuts = sorted(data.draw(st.sets(st.integers(0, len(mixed)))))
    batches = [mixed[a:b] for a, b in zip([0, *cuts], [*cuts, len(mixed)], strict=True)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kafka_reader, "open_outside_group", lambda *_, **__: Script(*batches))
        found = given_by(Reader({}, "test").between(bounds))
    for at in (ONE, TWO):
        first, end = bounds[at]
        assert [offset for one, offset in found if one == at] == [one for one in logs[at] if first <= one < end]


def test_a_partition_that_ends_too_soon_is_waited_for(opened):
    reader = opened([Fetched(ONE, 0), eof(ONE, 1)], [], [Fetched(ONE, 1), Fetched(ONE, 2), eof(ONE, 4)])
    assert given_by(reader.between({ONE: (0, 4)})) == [(ONE, 0), (ONE, 1), (ONE, 2)]


def test_what_does_not_come_is_no_end(opened):
    clock = Clock()
    reader = opened([Fetched(ONE, 0), eof(ONE, 1)], clock=clock, prefix="changelog ", stalled_s=5)
    with pytest.raises(Stalled, match=r"^changelog prices\[0\]@1: nothing heard for 5 s, and it does not end there\. "):
        list(reader.between({ONE: (0, 4)}))
    assert 5 < clock.now < 6


def test_a_partition_that_is_busy_does_not_hide_one_that_is_stuck(opened):
    clock = Clock()
    reader = opened(*([Fetched(TWO, offset)] for offset in range(2000)), clock=clock, stalled_s=5)
    with pytest.raises(Stalled, match=r"^prices\[0\]@0: nothing heard"):
        list(reader.between({ONE: (0, 4), TWO: (0, 2)}))
    assert clock.now < 6


def test_time_that_passes_elsewhere_is_not_waited(opened):
    clock = Clock()
    reader = opened([], [Fetched(ONE, 0)], [], [Fetched(ONE, 1)], clock=clock, stalled_s=5)
    found = []
    for batch in reader.between({ONE: (0, 2)}):
        clock.now += 100  # a model that is slow
        found += batch
    assert [record.offset for record in found] == [0, 1]


@pytest.mark.parametrize("code", [KafkaError._BAD_COMPRESSION, KafkaError._TRANSPORT, KafkaError.UNKNOWN])
def test_a_reader_to_an_end_gives_up_on_any_error_and_a_follower_goes_on(opened, code):
    batches = [[Fetched(ONE, 7)], [Fetched(ONE, 8, KafkaError(code, "broken"))], [Fetched(ONE, 9), eof(ONE, 10)]]
    with pytest.raises(Unavailable, match=r"^prices\[0\]@8: broken \(\w+\)\. "):
        list(opened(*batches).between({ONE: (7, 10)}))
    follower = opened(*batches, follows=True)
    follower.begin({ONE: 7})
    assert [record.offset for _ in range(3) for record in follower.poll(0)] == [7, 9]


@pytest.mark.parametrize(
    ("code", "then"),
    [
        (KafkaError.UNKNOWN_TOPIC_OR_PART, r"\. Correct its name, or create it\."),
        (KafkaError.TOPIC_AUTHORIZATION_FAILED, ""),  # explained by who knows the user and the rights
    ],
)
@pytest.mark.parametrize("follows", [True, False])
def test_what_only_a_person_can_mend_ends_both(opened, code, then, follows):
    reader = opened([Fetched(ONE, 0, KafkaError(code, "no"))], follows=follows)
    reader.begin({ONE: 0})
    with pytest.raises(BrokerError, match=rf"^prices\[0\]@0: no \(\w+\){then}$"):
        reader.poll(0)


def test_a_group_that_it_does_not_join_need_not_be_allowed(opened):
    reader = opened(
        [Fetched(ONE, 0), Fetched(ONE, 1, KafkaError(KafkaError.GROUP_AUTHORIZATION_FAILED, "no")), Fetched(ONE, 1)]
    )
    reader.begin({ONE: 0})
    assert [record.offset for record in reader.poll(0)] == [0, 1]


def test_a_log_that_was_cut_is_not_read_twice(opened):
    reader = opened([Fetched(ONE, 5), Fetched(ONE, 6)], [Fetched(ONE, 0), Fetched(ONE, 1)])
    with pytest.raises(Unavailable, match=r"^prices\[0\]@7: offset 0 came\. The log was truncated"):
        list(reader.between({ONE: (5, 9)}))


def test_an_error_of_a_question_says_why_no_broker_is_connected(opened):
    def no_answer(_):
        reader._connection_errors.add(KafkaError(KafkaError._RESOLVE, "b:1/bootstrap: Failed to resolve 'b:1'"))

    reader = opened()
    reader._consumer.on_poll = no_answer
    reader._consumer.bounds = KafkaException(KafkaError(KafkaError._TIMED_OUT, "no answer"))
    with pytest.raises(Unavailable, match=r"^prices\[0\]: no answer \(_TIMED_OUT\)\. b:1: .* Correct the host name"):
        reader.bounds(ONE)


def test_a_topic_is_followed_from_where_each_partition_begins(monkeypatch):
    consumer = Script([Fetched(ONE, 3, timestamp=99), Fetched(ONE, 4, timestamp=100)], [eof(ONE, 5), eof(TWO, 6)])
    consumer.partitions, consumer.times = {"prices": [0, 1]}, 3
    monkeypatch.setattr(kafka_reader, "open_outside_group", lambda *_, **__: consumer)
    followed = Follower({}, {"prices": "100"})
    assert [at.offset for at in consumer.assigned] == [3, 3]
    assert given_by(followed.records(until_end=True)) == [(ONE, 4)], "what is older comes with it, and is left out"
