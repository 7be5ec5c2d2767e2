"""What does not need a broker: texts, the group's partition, and that a probe leaves no transaction open."""

import logging

import pytest

from stream_scorer.errors import BrokerError, CommitAborted, Fenced, Unavailable
from stream_scorer.kafka.clients import librdkafka_log
from stream_scorer.kafka.end_offsets import OpenTransaction
from stream_scorer.kafka.hanging import Probe, coordinator_hash
from stream_scorer.records import Partition

PLACE = Partition("scores", 3)
READER = {"bootstrap.servers": "broker:9092", "group.id": "g"}


@pytest.mark.parametrize(
    ("group", "found"),
    [("", 0), ("stream-scorer", 816365811), ("t1796075850g", 1328322581), ("gruppe-ü\U0001f600", 1282760755)],
)
def test_the_partition_of_a_group_is_chosen_as_by_its_coordinator(group, found):
    """By java.lang.Math.abs(group.hashCode())."""
    assert coordinator_hash(group) == found


def test_the_one_hash_that_java_has_no_absolute_value_of():
    assert coordinator_hash("polygenelubricants") == 0


@pytest.mark.parametrize(
    ("state", "then"), [("Ongoing", "at the latest"), ("Empty", "it hangs, and nobody"), ("", "If it stays")]
)
def test_the_text_says_where_whose_since_when_and_what_to_do(state, then):
    name = "their-id" if state else ""
    text = OpenTransaction(PLACE, 41, 2.0, "broker:9092", 77, name, state).text()
    assert text.startswith("scores[3]@41: a transaction of producer id 77")
    assert "for 2 s at least" in text
    assert then in text
    tool = "kafka-transactions.sh --bootstrap-server broker:9092"
    assert f"{tool} describe-producers --topic scores --partition 3" in text
    assert f"{tool} abort --topic scores --partition 3 --start-offset 41" in text
    assert (
        OpenTransaction(PLACE, 41, 2.0, "broker:9092")
        .text()
        .startswith("scores[3]@41: a transaction of another producer is open")
    )


class FakeProducer:
    """Keeps what it was called for. `fails`: the error of a call by its name."""

    def __init__(self, left=0, **fails):
        self.calls, self._fails, self._left = [], fails, left

    def __getattr__(self, name):
        def call(*_, **__):
            self.calls.append(name)
            if name in self._fails:
                raise self._fails[name]
            return self._left

        return call


def at_once(call):
    call(1.0)


@pytest.mark.parametrize("where", ["produce", "flush", "send_offsets_to_transaction"])
@pytest.mark.parametrize("error", [Fenced, Unavailable, BrokerError])
def test_a_probe_that_fails_leaves_no_transaction_open(where, error):
    producer = FakeProducer(**{where: error("as asked")})
    with pytest.raises(error):
        Probe(READER, [], "in").touch(producer, at_once, [PLACE])
    assert producer.calls[0] == "begin_transaction"
    assert "abort_transaction" in producer.calls


def test_the_refusal_of_the_probes_position_is_what_it_is_for():
    producer = FakeProducer(send_offsets_to_transaction=CommitAborted("too long"))
    Probe(READER, [], "in").touch(producer, at_once, [PLACE])
    assert producer.calls == [
        "begin_transaction",
        "produce",
        "flush",
        "send_offsets_to_transaction",
        "abort_transaction",
        "poll",
    ]


def test_a_stop_request_ends_the_wait_for_a_probe():
    producer = FakeProducer(left=1)
    with pytest.raises(Unavailable):
        Probe(READER, [], "in", stopping=lambda: True).touch(producer, at_once, [PLACE])
    assert producer.calls[-2:] == ["abort_transaction", "poll"]


def test_the_refused_position_is_not_logged_and_other_errors_are(caplog):
    class Telling(FakeProducer):
        def poll(self, _):
            librdkafka_log.error("TXNERR: Current transaction failed")
            librdkafka_log.error("FAIL: something else of %s", self)

    with caplog.at_level(logging.ERROR, "librdkafka"):
        Probe(READER, [], "in").touch(Telling(), at_once)
    assert [record.getMessage()[:4] for record in caplog.records] == ["FAIL"]
    librdkafka_log.error("TXNERR: later")
    assert "later" in caplog.text
