"""What only Kafka streams have: places to begin, groups and their offsets, an end by silence."""

from __future__ import annotations

import time

import pytest

from stream_scorer.errors import BrokerError, TransportError, Unavailable
from stream_scorer.modelop.streams.opening import open_inlet, open_outlet
from tests.contract.stream_transports import closing
from tests.contract.test_streams import has_end, records_of, stream, until

pytestmark = pytest.mark.broker


@pytest.fixture
def topic(kafka, name):
    return kafka.create(name("in"), 2)


@pytest.fixture
def transport(kafka, topic):
    return {"Type": "Kafka", "BootstrapServers": [kafka.servers], "Topic": topic}


def send(kafka, topic, *values, partition=0):
    kafka.send(topic, [{"value": value, "partition": partition} for value in values])


def read(transport, count, settle=True, **more):
    """So many records, as they come; asked once more if they are dealt with."""
    inlet = open_inlet(stream(transport, Batching={"Watermark": 1, "NagleTime": None}, **more))
    with closing(inlet):
        found = until(inlet, lambda found: len(found) >= count)
        if settle:
            inlet.next(0.01)
        return records_of(found)


@pytest.mark.parametrize(
    ("place", "expected"),
    [("earliest", [b"1", b"2", b"3", b"4"]), (1, [b"2", b"3", b"4"]), ("latest", [b"4"]), (99, [b"4"])],
)
def test_a_place_to_begin(kafka, topic, transport, place, expected):
    send(kafka, topic, b"1", b"2", b"3")
    inlet = open_inlet(stream(transport, SkipToRecord=place))
    with closing(inlet):
        send(kafka, topic, b"4")  # "latest" means the moment of opening, not of the first read
        assert records_of(until(inlet, lambda found: b"4" in records_of(found))) == expected


def test_without_a_group_one_partition_is_read(kafka, topic, transport):
    send(kafka, topic, b"0")
    send(kafka, topic, b"1", partition=1)
    assert read({**transport, "Partition": 1}, 1) == [b"1"]


def test_silence_is_the_end_when_it_lasts(kafka, topic, transport):
    send(kafka, topic, b"1")
    inlet = open_inlet(stream({**transport, "MaxWaitTime": 300}))
    with closing(inlet):
        began = time.monotonic()
        assert records_of(until(inlet, has_end)) == [b"1"]
        assert time.monotonic() - began > 0.3
        assert inlet.next(0.01) is None


def test_a_group_reads_all_partitions_and_goes_on_where_it_was(kafka, topic, transport, name):
    grouped = {**transport, "Group": name("group")}
    send(kafka, topic, b"0")
    send(kafka, topic, b"1", partition=1)
    assert sorted(read(grouped, 2)) == [b"0", b"1"]
    assert sorted(kafka.committed(grouped["Group"], topic, (0, 1))) == [1, 1]
    send(kafka, topic, b"2")
    assert read(grouped, 1, SkipToRecord="earliest") == [b"2"], "committed offsets come before SkipToRecord"


def test_what_has_not_been_dealt_with_comes_again(kafka, topic, transport, name):
    grouped = {**transport, "Group": name("group")}
    send(kafka, topic, b"1", b"2", b"3")
    assert read(grouped, 2, settle=False) == [b"1", b"2"]
    assert kafka.committed(grouped["Group"], topic) == [1]
    assert read(grouped, 2) == [b"2", b"3"]


def test_a_group_need_not_commit(kafka, topic, transport, name):
    grouped = {**transport, "Group": name("group"), "CommitOffset": False}
    send(kafka, topic, b"1")
    assert read(grouped, 1) == [b"1"]
    assert read(grouped, 1) == [b"1"]


def test_an_output_goes_to_its_partition(kafka, topic, transport):
    outlet = open_outlet(stream({**transport, "Partition": 1}, 1))
    with closing(outlet):
        outlet.write([b"1", b"2"])
        outlet.finish()
    assert [(one.partition(), one.value()) for one in kafka.read(topic)] == [(1, b"1"), (1, b"2")]


def test_a_partition_that_is_not_there_is_told(kafka, transport):
    with pytest.raises(BrokerError, match="no partition 7; it has 2"):
        open_inlet(stream({**transport, "Partition": 7}))
    outlet = open_outlet(stream({**transport, "Partition": 7}, 1))
    with closing(outlet), pytest.raises(TransportError):  # noqa: PT012 - told as soon as the client knows
        outlet.write([b"1"])
        outlet.finish()


def test_a_broker_that_is_not_there_is_told(monkeypatch):
    monkeypatch.setattr("stream_scorer.modelop.endpoints.kafka.TIMEOUT_S", 0.5)
    gone = {"Type": "Kafka", "BootstrapServers": ["127.0.0.1:1"], "Topic": "t"}
    with pytest.raises(Unavailable, match="topic 't'"):
        open_inlet(stream(gone))
    with pytest.raises(Unavailable, match="topic 't'"):
        open_outlet(stream(gone, 1))
