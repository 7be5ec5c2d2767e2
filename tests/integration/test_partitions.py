"""Partitions that are added to the input while the service runs: taken up, or refused in one line, now and at each start."""

from __future__ import annotations

import re
import struct
import time

import pytest
from confluent_kafka.admin import NewPartitions

from stream_scorer.errors import BrokerError
from stream_scorer.kafka import config as kafka_config
from stream_scorer.kafka.changelog import changelog_name
from stream_scorer.kafka.routes import Routes
from stream_scorer.kafka.sink import AckingSink
from stream_scorer.records import Outgoing, Partition, Record
from support.service import MODELS, Service, run, score_topic

pytestmark = pytest.mark.broker
ECHO, COUNTER = str(MODELS / "echo_positive.py"), str(MODELS / "counter.py")
SOON = "topic.metadata.refresh.interval.ms=500"


def _send(kafka, topic, *values, partition):
    errors = []
    record = {"key": b"k", "partition": partition, "on_delivery": lambda error, _: error and errors.append(error)}
    kafka.send(topic, [{"value": struct.pack("<d", at), **record} for at in values])
    assert errors == []


def _scores(kafka, topic):
    return [(one.partition(), struct.unpack("<d", one.value())[0]) for one in kafka.read(topic)]


def _add(kafka, topic, count):
    kafka.admin.create_partitions([NewPartitions(topic, count)])[topic].result(30)
    deadline = time.monotonic() + 60
    while (
        sum(one.leader >= 0 for one in kafka.admin.list_topics(topic, timeout=5).topics[topic].partitions.values())
        < count
    ):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_sessions_of_partitions_go_on_and_the_topics_grow(kafka, topics, tmp_path):
    source, scores = topics["input_topic"], topics["output_topic"]
    options = {"session": "partition", "create_topics": True, "kafka": SOON, **topics}
    with Service(tmp_path, COUNTER, kafka.servers, **options) as service:
        _send(kafka, source, 1, 2, partition=0)
        kafka.wait_for(scores, 2)
        _add(kafka, source, 3)
        _send(kafka, source, 3, partition=0)
        _send(kafka, source, 1, 2, partition=2)
        kafka.wait_for(scores, 5)
        service.wait_for(f"topic '{source}' has 3 partitions now, and had 2")
        assert service.stop() == 0
        assert "Traceback" not in service.text()
    _send(kafka, source, 3, partition=2)
    score_topic(COUNTER, kafka.servers, **options)
    assert _scores(kafka, scores) == [(0, 1.0), (0, 2.0), (0, 3.0), (2, 1.0), (2, 2.0), (2, 3.0)]
    counts = kafka.admin.list_topics(timeout=10).topics
    for topic in (scores, changelog_name(topics["group"], source)):
        assert len(counts[topic].partitions) == 3


def _says_and_stops(service, text):
    assert service.wait() == 2
    assert text in service.text()
    assert "Traceback" not in service.text()


def test_an_output_with_too_few_partitions_stops_the_service_and_its_next_start(kafka, topics, tmp_path):
    source, scores = topics["input_topic"], topics["output_topic"]
    _send(kafka, source, 1, 2, partition=1)
    text = f"topic '{scores}' has 2 partitions and '{source}' has 3: scores keep their input's partition number."
    with Service(tmp_path, ECHO, kafka.servers, kafka=SOON, **topics) as service:
        kafka.wait_for(scores, 2)
        _add(kafka, source, 3)
        _says_and_stops(service, text)
    _send(kafka, source, 3, partition=2)
    again = run("run", ECHO, bootstrap_servers=kafka.servers, until_end=True, **topics)
    assert (again.returncode, text in again.stderr) == (2, True)
    _add(kafka, scores, 3)
    score_topic(ECHO, kafka.servers, **topics)
    assert _scores(kafka, scores) == [(1, 1.0), (1, 2.0), (2, 3.0)]


def test_a_user_who_adds_partitions_to_the_output_first_notices_nothing(kafka, topics, tmp_path):
    source, scores = topics["input_topic"], topics["output_topic"]
    with Service(tmp_path, ECHO, kafka.servers, kafka=SOON, **topics) as service:
        _send(kafka, source, 1, partition=0)
        kafka.wait_for(scores, 1)
        _add(kafka, scores, 3)
        _add(kafka, source, 3)
        _send(kafka, source, 2, partition=2)
        kafka.wait_for(scores, 2)
        assert service.stop() == 0
    assert _scores(kafka, scores) == [(0, 1.0), (2, 2.0)]


def test_keys_that_move_away_from_their_state_stop_the_service_and_its_next_start(kafka, topics, tmp_path):
    source, scores = topics["input_topic"], topics["output_topic"]
    _send(kafka, source, 1, 2, partition=0)
    changelog = changelog_name(topics["group"], source)
    text = f"changelog '{changelog}' has 2 partitions and '{source}' has 3: keys have moved"
    options = {"kafka": SOON, "create_topics": True, **topics}
    with Service(tmp_path, COUNTER, kafka.servers, workers=2, **options) as service:
        kafka.wait_for(scores, 2)
        _add(kafka, source, 3)
        _send(kafka, source, 3, partition=0)
        _says_and_stops(service, text)
    _send(kafka, source, 1, partition=2)
    again = run("run", COUNTER, bootstrap_servers=kafka.servers, until_end=True, **options)
    assert (again.returncode, text in again.stderr) == (2, True)
    done = score_topic(COUNTER, kafka.servers, changelog_topic=f"{changelog}.2", on_state_mismatch="rebuild", **options)
    # The third record may come to a worker before the news of the added partition does.
    assert re.search("rebuilding sessions from the inputs before [23]", done.stderr)
    assert _scores(kafka, scores) == [(0, 1.0), (0, 2.0), (0, 3.0), (2, 1.0)]


@pytest.mark.parametrize("while_running", [True, False])
def test_what_comes_to_an_added_partition_is_scored_wherever_the_group_was_told_to_start(
    while_running, kafka, topics, tmp_path
):
    source, scores = topics["input_topic"], topics["output_topic"]
    _send(kafka, source, 9, partition=1)
    options = {"start": "latest", "create_topics": True, "kafka": SOON, **topics}
    with Service(tmp_path, ECHO, kafka.servers, **options) as service:
        service.wait_for("assigned ")
        _send(kafka, source, 1, partition=0)
        kafka.wait_for(scores, 1)
        if while_running:
            _add(kafka, source, 3)
            _send(kafka, source, 2, partition=2)
            service.wait_for("was added after the group had begun: from its first record")
            kafka.wait_for(scores, 2)
    if not while_running:
        _add(kafka, source, 3)
        _send(kafka, source, 2, partition=2)
    score_topic(ECHO, kafka.servers, **options)
    assert _scores(kafka, scores) == [(0, 1.0), (2, 2.0)]


def test_a_producer_learns_of_new_partitions_when_it_is_told_to_look(kafka, name):
    topic = kafka.create(name("out"), 1)
    sink = AckingSink(kafka_config.producer(kafka.servers, {}), Routes({1: topic}, "toy@00"), None, lambda _: None)
    sink.send([_out(0)])
    sink.commit({})
    _add(kafka, topic, 2)
    with pytest.raises(BrokerError, match="too few partitions"):
        sink.send([_out(1)])
    sink.look_again([topic])
    sink.send([_out(1)])
    sink.commit({})
    assert [(one.partition(), one.value()) for one in kafka.read(topic)] == [(0, b"0"), (1, b"1")]
    sink.close()


def _out(number):
    now = time.time_ns() // 1_000_000  # an older one is deleted at the next look: the topic keeps 7 days
    return Outgoing(1, Record(Partition("in", number), 0, None, b"", now, None), b"%d" % number)
