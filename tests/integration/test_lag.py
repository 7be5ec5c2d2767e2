"""How far behind the service says it is, beside what a consumer of our own is told by the broker."""

from __future__ import annotations

import contextlib
import json
import logging
import struct
import time
import urllib.error
import urllib.request

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from stream_scorer.kafka import config as kafka_config
from stream_scorer.kafka import lag as kafka_lag
from stream_scorer.kafka.lag import Backlog
from stream_scorer.records import Partition
from support.brokers import free_ports
from support.service import MODELS, Service

pytestmark = pytest.mark.broker
ECHO = str(MODELS / "echo_positive.py")
ONE = struct.pack("<d", 1.0)


def test_lag_is_true_for_every_partition_at_every_time(kafka, name, tmp_path):
    """Partition 0 has more than the model can do, 1 begins behind an open transaction, 2 is empty."""
    source = kafka.create(name("in"), 3)
    topics = {"input_topic": source, "output_topic": kafka.create(name("out"), 3), "group": name("group")}
    model = tmp_path / "slow.py"
    model.write_text(
        "# fastscore.schema.0: double\n# fastscore.schema.1: double\n"
        "import time\ndef action(x):\n    time.sleep(0.002)\n    yield x\n"
    )
    (port,) = free_ports(1)
    full = ["queued.min.messages=100", "queued.max.messages.kbytes=1", "fetch.message.max.bytes=10000"]
    options = {"http": port, "kafka": full, **topics}
    sent = 30_000
    kafka.send(source, [{"value": ONE, "partition": 0}] * sent)
    producer = _transaction(kafka, name("id"), source, 1, 3)
    with Service(tmp_path, str(model), kafka.servers, **options) as service:
        service.wait_for("assigned ")
        for _ in range(2):
            _until(lambda end=sent: _is_true(kafka, port, topics, end))
            assert _status(port)["lag"] | {f"{source}[0]": 0} == _lag(source, 0, 3, 0)
            kafka.send(source, [{"value": ONE, "partition": 0}] * 20_000)
            sent += 20_000
        _until(lambda: _status(port)["held_seconds"].get(f"{source}[1]", 0) >= 3)
        assert _status(port)["ready"] is True
        assert f'stream_scorer_held_seconds{{partition="1",topic="{source}"}} 0.0' not in _metrics(port)
    with Service(tmp_path, ECHO, kafka.servers, **options) as service:
        service.wait_for("assigned ")
        _until(lambda: _status(port)["lag"] == _lag(source, 0, 3, 0))
        _until(lambda: _status(port)["held_seconds"].keys() == {f"{source}[1]"})
        producer.commit_transaction(30)
        _until(lambda: _status(port)["lag"] == _lag(source, 0, 0, 0))
        assert _status(port)["held_seconds"] == {}
        for line in ("lag_records", "held_seconds"):
            assert f'stream_scorer_{line}{{partition="1",topic="{source}"}} 0.0' in _metrics(port)


def test_a_worker_without_partitions_is_ready_and_behind_in_nothing(kafka, name, tmp_path):
    topics = {
        "input_topic": kafka.create(name("in")),
        "output_topic": kafka.create(name("out")),
        "group": name("group"),
    }
    ports = free_ports(2)
    with contextlib.ExitStack() as stack:
        for port in ports:
            stack.enter_context(Service(tmp_path, ECHO, kafka.servers, http=port, **topics))
        _until(lambda: all(_answers(port) and _status(port)["ready"] for port in ports))
        _until(lambda: sorted(len(_status(port)["lag"]) for port in ports) == [0, 1])


def test_the_lag_of_a_partition_that_is_being_set_up_counts_from_where_it_will_begin(kafka, name):
    topic, group = kafka.create(name("in"), 2), name("group")
    kafka.send(topic, [{"value": ONE, "partition": number} for number in (0, 1) for _ in range(10)])
    consumer = Consumer({"bootstrap.servers": kafka.servers, "group.id": group})
    consumer.commit(offsets=[TopicPartition(topic, 0, 4)], asynchronous=False)
    consumer.close()
    coming = dict.fromkeys((Partition(topic, 0), Partition(topic, 1)))
    for start, lag in (("earliest", 10), ("latest", 0), ("1970-01-02", 10)):
        with contextlib.closing(Backlog(kafka_config.consumer(kafka.servers, group, {}), start)) as backlog:
            backlog.note(coming)
            _until(lambda: [one.records for one in backlog.now().values()] == [6, lag])  # noqa: B023


def test_a_broker_that_is_away_and_a_transaction_that_stays_open(own_kafka, own_broker, name, monkeypatch, caplog):
    caplog.set_level(logging.INFO, kafka_lag.__name__)
    monkeypatch.setattr(kafka_lag, "LOG_HELD_S", 0.5)
    topic = own_kafka.create(name("in"))
    place = Partition(topic, 0)
    properties = kafka_config.consumer(own_kafka.servers, name("group"), {})
    with contextlib.closing(Backlog(properties)) as backlog:
        producer = _transaction(own_kafka, "a-name", topic, 0, 5)
        backlog.note({place: 0})
        _until(lambda: f"{topic}[0]@0: a transaction of producer id" in caplog.text)
        assert "transactional id 'a-name'" in caplog.text
        assert backlog.now()[place].records == 5
        own_broker.pause()
        try:
            _until(lambda: backlog.now()[place].age_s > 4)
            assert backlog.now()[place].records == 5
        finally:
            own_broker.resume()
        _until(lambda: backlog.now()[place].age_s < 2)
        producer.abort_transaction(30)
        backlog.note({place: 6})
        _until(lambda: backlog.now()[place][::2] == (0, 0.0))
        _until(lambda: f"{topic}[0]: the transaction that held it back has ended" in caplog.text)
        assert caplog.text.count("waits") == 1


def _transaction(kafka, transactional_id, topic, partition, count):
    """A producer with an open transaction of so many records, which are on the broker."""
    properties = {"transactional.id": transactional_id, "transaction.timeout.ms": 600_000, "linger.ms": 0}
    producer = Producer({"bootstrap.servers": kafka.servers, **properties})
    producer.init_transactions(30)
    producer.begin_transaction()
    for _ in range(count):
        producer.produce(topic, ONE, partition=partition)
    assert producer.flush(30) == 0
    return producer


def _is_true(kafka, port, topics, end):
    """The figure lies between the truth a second ago and the truth now. `end`: of partition 0, where nothing is sent now."""
    source = topics["input_topic"]
    before = end - max(0, kafka.committed(topics["group"], source)[0])
    time.sleep(1)
    told = _status(port)["lag"][f"{source}[0]"]
    return end - max(0, kafka.committed(topics["group"], source)[0]) <= told <= before


def _lag(topic, *records):
    return {f"{topic}[{number}]": count for number, count in enumerate(records)}


def _status(port):
    return json.loads(_get(port, "status"))


def _metrics(port):
    return _get(port, "metrics")


def _get(port, path):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/{path}", timeout=5) as answer:
        return answer.read().decode()


def _answers(port):
    try:
        return bool(_get(port, "status"))
    except urllib.error.URLError:
        return False


def _until(true, seconds=60):
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)
