"""Transactions that hang on a real broker: made on purpose in each kind of topic, and ended by the service."""

from __future__ import annotations

import json
import re
import time
import urllib.request

import pytest

from stream_scorer.kafka.changelog import changelog_name
from stream_scorer.kafka.config import consumer
from stream_scorer.kafka.hanging import find_hanging, hanging_offsets
from stream_scorer.records import Partition
from support.brokers import free_ports
from tests.support.faults import Job
from tests.support.late import LateProducer

pytestmark = [pytest.mark.broker, pytest.mark.slow]

PARTS, ROUND = 2, 150
KINDS = ("output", "changelog", "dead letters", "offsets")


@pytest.fixture
def lax_kafka(own_kafka):
    """The broker takes writes into transactions that it knows nothing of, as before Kafka 3.6 all did."""
    with own_kafka.configured("transaction.partition.verification.enable", "false"):
        yield own_kafka


class Rounds:
    """A job whose records come in rounds."""

    def __init__(self, kafka, name, rounds):
        self.job = Job(kafka, name, records=rounds * ROUND, partitions=PARTS, keys=4)
        self._all, self._sent = self.job.sent, 0

    def send(self):
        self.job.sent = self._all[self._sent : self._sent + ROUND]
        self.job.start()
        self._sent += ROUND

    def finish(self, service):
        service.wait_for("assigned ")
        self.job.sent = self._all[: self._sent]
        self.job.finish(30)

    def topic(self, kind):
        job = self.job
        return {
            "output": job.output,
            "dead letters": f"{job.input}.dead-letters",
            "changelog": changelog_name(job.group, job.input),
        }[kind]


def test_what_hung_before_the_start_is_ended(lax_kafka, name, tmp_path):
    """In all four kinds of topic at once; a stale record or position published would be found by the judge."""
    rounds = Rounds(lax_kafka, name("start"), 2)
    with rounds.job.service(tmp_path) as first:
        rounds.send()
        rounds.finish(first)
        assert first.stop() == 0
    late = LateProducer(lax_kafka.servers, transactional_id(first))
    hung = {kind: hang(late, rounds, kind) for kind in KINDS}
    rounds.send()
    (port,) = free_ports(1)
    with rounds.job.service(tmp_path, http=port) as second:
        rounds.finish(second)
        text = second.text()
        for kind in KINDS[:3]:
            assert f"{rounds.topic(kind)}[1]@{hung[kind]}: ended a transaction that hung" in text
        assert "TXNERR" not in text  # the probe's refused position is no error to tell
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/status", timeout=5) as answer:
            assert json.load(answer)["hanging_transactions_ended"] == 3
        assert second.stop() == 0
    nothing_of_it(rounds)
    rounds.job.judge(first, second)


def test_what_hangs_while_it_runs_is_ended_when_the_producer_is_opened_again(lax_kafka, name, tmp_path):
    """One kind after the other; the late producer fences the service's own, which is so opened again."""
    rounds = Rounds(lax_kafka, name("running"), 1 + len(KINDS))
    with rounds.job.service(tmp_path) as service:
        rounds.send()
        rounds.finish(service)
        for kind in KINDS:
            hung = hang(LateProducer(lax_kafka.servers, transactional_id(service)), rounds, kind)
            rounds.send()
            rounds.finish(service)
            if kind != "offsets":
                assert f"{rounds.topic(kind)}[1]@{hung}: ended a transaction that hung" in service.text()
        assert service.stop() == 0
    nothing_of_it(rounds)
    rounds.job.judge(service)


def test_what_hangs_under_another_id_is_told_and_nobody_waits(lax_kafka, name, tmp_path):
    rounds = Rounds(lax_kafka, name("other"), 2)
    with rounds.job.service(tmp_path) as first:
        rounds.send()
        rounds.finish(first)
        assert first.stop() == 0
    late = LateProducer(lax_kafka.servers, name("somebody"))
    hung = hang(late, rounds, "output")
    rounds.send()
    with rounds.job.service(tmp_path) as second:
        rounds.finish(second)
        topic = rounds.job.output
        for part in (
            f"{topic}[1]@{hung}: a transaction of producer id {late.producer_id}, transactional id {late.transactional_id!r}",
            f"--bootstrap-server {lax_kafka.servers} describe-producers --topic {topic} --partition 1",
            f"--bootstrap-server {lax_kafka.servers} abort --topic {topic} --partition 1 --start-offset {hung}",
            "it hangs, and nobody will end it by itself",
        ):
            assert part in second.text()
        asked = time.monotonic()
        assert second.stop() == 0
        assert time.monotonic() - asked < 10


@pytest.mark.soak
@pytest.mark.parametrize("kind", ["changelog", "offsets"])
def test_what_hangs_under_another_id_and_keeps_state_back_stops_the_service_with_a_text(
    kind, lax_kafka, name, tmp_path
):
    """After 90 s: a living transaction may take as long as its own timeout."""
    rounds = Rounds(lax_kafka, name(kind), 2)
    with rounds.job.service(tmp_path) as first:
        rounds.send()
        rounds.finish(first)
        late = LateProducer(lax_kafka.servers, name("somebody"))
        hang(late, rounds, kind)
        if kind == "changelog":
            rounds.send()  # what the service now writes to the changelog lies behind it
            rounds.finish(first)
        assert first.stop() == 0
    with rounds.job.service(tmp_path) as second:
        assert second.wait(200) == 4
        text = second.text()
    assert f"producer id {late.producer_id}, transactional id {late.transactional_id!r}" in text
    assert "kafka-transactions.sh" in text.rstrip().splitlines()[-1]


def test_anybody_may_ask_what_hangs_where(lax_kafka, name):
    topic, group = lax_kafka.create(name("in"), 3), name("group")
    properties = consumer(lax_kafka.servers, group, {})
    places = [Partition(topic, number) for number in range(3)]
    assert find_hanging(properties, places) == []
    late = LateProducer(lax_kafka.servers, name("somebody"))
    offset = late.produce(topic, 2, (b"k", b"v"))
    (found,) = find_hanging(properties, places, settle_s=0.1)
    assert (found.partition, found.offset, found.producer_id) == (places[2], offset, late.producer_id)
    assert not found.in_use
    late.commit_offset(group, topic, 0, 7)
    text = hanging_offsets(properties)
    assert "__consumer_offsets[" in text
    assert f"producer id {late.producer_id}, transactional id {late.transactional_id!r}" in text
    late.end(Partition(topic, 2), group)
    assert find_hanging(properties, places) == []
    assert late.transactional_id not in hanging_offsets(properties)


def hang(late, rounds, kind):
    """A transaction of old records, or an old position, that hangs; the offset it hangs at."""
    job = rounds.job
    if kind == "offsets":
        late.commit_offset(job.group, job.input, 1, 3)
        return None
    return late.produce(rounds.topic(kind), 1, (b"key-1", b"stale"), (b"key-3", b"stale"))


def nothing_of_it(rounds):
    for kind in KINDS[:3]:
        visible = [message.value() for message in rounds.job.kafka.read(rounds.topic(kind))]
        assert b"stale" not in visible
        assert not [message for message in rounds.job.kafka.read(rounds.topic(kind)) if message.key() == b"@probe"]


def transactional_id(service):
    return re.findall(r"transactional id (stream-scorer\S+)", service.text())[-1]
