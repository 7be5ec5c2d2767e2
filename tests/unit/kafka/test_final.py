"""Errors after which a consumer never reads again end the worker, rather than leave it idle."""

from __future__ import annotations

import pytest
from confluent_kafka import KafkaError

from stream_scorer.errors import BrokerError, Unavailable
from stream_scorer.kafka.errors import MISSING, NOT_A_MEMBER, is_fatal, unreachable
from stream_scorer.kafka.member import Member
from stream_scorer.records import Partition

FENCED = "Fatal error: Broker: Static consumer fenced by other consumer with same group.instance.id"


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (KafkaError(KafkaError._FATAL, FENCED), "Give each service one of its own"),  # as librdkafka gives it: no flag
        (KafkaError(KafkaError._FATAL, "Fatal error: broken"), r"cannot go on: Fatal error: broken \(_FATAL\)\.$"),
        (KafkaError(KafkaError.UNKNOWN_MEMBER_ID, "with the flag", fatal=True), "cannot go on: with the flag"),
        *((KafkaError(code), "cannot go on: ") for code in NOT_A_MEMBER),
    ],
)
def test_such_an_error_ends_the_worker(error, said):
    member = Member.__new__(Member)
    with pytest.raises(BrokerError, match=said):
        member.on_error(error, Partition("prices", 0))


def test_one_that_passes_is_told(caplog):
    member = Member.__new__(Member)
    member.on_error(KafkaError(KafkaError._ALL_BROKERS_DOWN), None)
    assert "_ALL_BROKERS_DOWN" in caplog.text


def test_who_reads_beside_the_group_is_told_too():
    fatal = KafkaError(KafkaError._FATAL, FENCED)
    assert is_fatal(fatal)
    assert isinstance(unreachable("prices[0]", fatal), BrokerError)
    assert isinstance(unreachable("prices[0]", KafkaError(KafkaError._TRANSPORT)), Unavailable)


def test_a_partition_that_a_reader_does_not_find_may_come_back():
    """A broker that was paused names topics without their partitions until it is back in its cluster."""
    absent = KafkaError(KafkaError._UNKNOWN_PARTITION)
    assert isinstance(unreachable("changelog prices[0]", absent), Unavailable)
    assert isinstance(unreachable("a record was not written", absent, MISSING), BrokerError)
    assert isinstance(unreachable("prices[0]", KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART)), BrokerError)
