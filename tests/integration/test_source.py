"""A consumer that has lost its way: told from a broker that is away and from a position that is not certain."""

from __future__ import annotations

import time

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from stream_scorer.errors import BrokerError
from stream_scorer.kafka import config as kafka_config
from stream_scorer.kafka import health as kafka_health
from stream_scorer.kafka.health import Finding, Health
from stream_scorer.records import Partition
from tests.contract.transports import KafkaTopics, record, take

pytestmark = pytest.mark.broker


def test_a_source_that_joins_its_group_anew_goes_on_where_it_has_committed(kafka, name):
    transport = KafkaTopics(kafka, name, exactly_once=True)
    try:
        source, sink = transport.open([record(number, at, b"%d" % at) for at in range(10) for number in range(2)])
        seen = {(one.partition, one.offset) for one in take(source, 7)}
        sink.begin()
        sink.commit(source.positions())
        source.settle()
        not_committed = take(source, 4)
        source._member.open_anew()
        again = take(source, 13)
        assert {(one.partition, one.offset) for one in again} >= {(one.partition, one.offset) for one in not_committed}
        assert not seen & {(one.partition, one.offset) for one in again}
        sink.begin()
        sink.commit(source.positions())
        assert kafka.committed(transport._group, transport._in, (0, 1)) == [10, 10]
    finally:
        transport.close()


def test_why_a_position_does_not_come(kafka, name, monkeypatch):
    topic, group = kafka.create(name("in")), name("group")
    place = Partition(topic, 0)
    health = Health(kafka_config.consumer(kafka.servers, group, {}))
    assert health.look(place) is Finding.STALE, "a new consumer is answered"
    member = Consumer({"bootstrap.servers": kafka.servers, "group.id": group})
    producer = Producer({"bootstrap.servers": kafka.servers, "transactional.id": name("id")})
    producer.init_transactions(30)
    producer.begin_transaction()
    producer.send_offsets_to_transaction([TopicPartition(topic, 0, 3)], member.consumer_group_metadata(), 30)
    assert health.look(place) is Finding.UNSTABLE
    health.check_unstable(place)
    monkeypatch.setattr(kafka_health, "STUCK_S", 0.0)
    with pytest.raises(BrokerError, match=r"the group's position is not certain: .*__consumer_offsets"):
        health.check_unstable(place)
    producer.abort_transaction(30)
    _until(lambda: health.look(place) is Finding.STALE)
    member.close()
    assert Health(kafka_config.consumer("127.0.0.1:1", group, {})).look(place) is Finding.AWAY


def _until(true, seconds=30):
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
