"""Services of one group and their transactional ids: on one host they never meet, and a twin elsewhere is noticed."""

from __future__ import annotations

import itertools
import json
import re
import struct
import threading
import time
import urllib.request

import pytest
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition

from stream_scorer.errors import EXIT_BROKER
from support.brokers import free_ports
from support.service import MODELS, Service

pytestmark = [pytest.mark.broker, pytest.mark.slow]
ECHO = str(MODELS / "echo_positive.py")


class Feed(threading.Thread):
    """A record every 20 ms into two partitions, for as long as the block lasts."""

    def __init__(self, kafka, topic):
        super().__init__(daemon=True)
        self._producer = Producer({"bootstrap.servers": kafka.servers, "linger.ms": 0, "log_level": 0})
        self._topic, self._end = topic, threading.Event()
        self.sent = 0

    def run(self):
        for number in itertools.count():
            if self._end.wait(0.02):
                break
            self._producer.produce(self._topic, struct.pack("<d", number), b"k", number % 2)
            self._producer.poll(0)
            self.sent += 1

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self._end.set()
        self.join()
        assert self._producer.flush(60) == 0


def _transactional_id(service):
    service.wait_for("transactional id ")
    return re.search(r"transactional id (\S+)", service.text()).group(1)


def _twin(kafka, transactional_id, end):
    """Takes the id whenever it has lost it, as another service does: how often."""
    for taken in itertools.count():
        if end.wait(0.3):
            return taken
        settings = {"bootstrap.servers": kafka.servers, "transactional.id": transactional_id, "log_level": 0}
        producer = Producer(settings)
        try:
            producer.init_transactions(10)
        except KafkaException:  # the service was faster
            continue
    return None


def test_services_of_one_host_never_fence_each_other(kafka, topics, tmp_path, monkeypatch):
    """Each with a temporary folder of its own, and another spelling of the brokers' address."""
    ids, services = [], []
    with Feed(kafka, topics["input_topic"]) as feed:
        for number, host in enumerate(("127.0.0.1", "localhost")):
            folder = tmp_path / f"{number}"
            monkeypatch.setenv("TMPDIR", str(folder))
            monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))
            service = Service(folder, ECHO, kafka.servers.replace("127.0.0.1", host), **topics)
            services.append(service)
            ids.append(_transactional_id(service))
        for service in services:
            service.wait_for(f"assigned {topics['input_topic']}[")
        before = len(kafka.read(topics["output_topic"]))
        kafka.wait_for(topics["output_topic"], before + 100)
    kafka.wait_for(topics["output_topic"], feed.sent)
    for service in services:
        assert service.stop() == 0
        assert "starting over" not in service.text()
    assert [one.rsplit(".", 1)[1] for one in ids] == ["0", "1"]
    assert len(kafka.read(topics["output_topic"])) == feed.sent


def test_a_living_twin_that_no_lock_can_tell_ends_the_service(kafka, topics, tmp_path):
    end = threading.Event()
    with (
        Feed(kafka, topics["input_topic"]),
        Service(tmp_path, ECHO, kafka.servers, instance="same", **topics) as service,
    ):
        transactional_id = _transactional_id(service)
        service.wait_for("assigned ")
        twin = threading.Thread(target=_twin, args=(kafka, transactional_id, end), daemon=True)
        twin.start()
        try:
            assert service.wait(120) == EXIT_BROKER
        finally:
            end.set()

    last = service.text().splitlines()[-1]
    assert last.startswith(
        f"stream-scorer run: another living producer has taken the transactional id {transactional_id!r}"
    )
    assert "--instance of its own" in last


def test_it_is_told_whose_open_transaction_a_start_waits_for(kafka, topics, tmp_path):
    """A predecessor that died in the midst of a transaction, under the name of a container that is no more."""
    topic, group = topics["input_topic"], topics["group"]
    kafka.send(topic, [{"value": struct.pack("<d", 1.0), "partition": 0}])
    died = f"stream-scorer.{group}.pod-x7f.0"
    producer = Producer({"bootstrap.servers": kafka.servers, "transactional.id": died, "log_level": 0})
    producer.init_transactions(30)
    producer.begin_transaction()
    producer.produce(topics["output_topic"], b"half", partition=0)
    nobody = Consumer({"bootstrap.servers": kafka.servers, "group.id": group}).consumer_group_metadata()
    producer.send_offsets_to_transaction([TopicPartition(topic, 0, 1)], nobody, 30)
    (port,) = free_ports(1)
    with Service(tmp_path, ECHO, kafka.servers, instance="pod-q2z", http=port, **topics) as service:
        service.wait_for("waiting for the group's position")
        status = _in_phase(port, "waiting")
        assert not status["ready"]
        for told in (status["waiting_for"], service.text()):
            assert f"transactional id {died!r}" in told
            assert "give --instance a name that stays" in told
        producer.abort_transaction(30)  # as the broker does, sooner
        service.wait_for("the group's position is certain")
        (score,) = kafka.wait_for(topics["output_topic"], 1)
        assert score.value() == struct.pack("<d", 1.0)
        assert _in_phase(port, "running")["waiting_for"] == ""
        assert service.stop() == 0


def _in_phase(port, phase):
    """The status, once the phase is this one."""
    deadline = time.monotonic() + 60
    while (status := _status(port))["phase"] != phase:
        assert time.monotonic() < deadline, status
        time.sleep(0.1)
    return status


def _status(port):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/status", timeout=30) as answer:
        return json.load(answer)
