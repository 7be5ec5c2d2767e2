"""Settings as librdkafka's properties, and what may not be set. No broker is asked."""

from __future__ import annotations

import logging

import pytest

from stream_scorer.errors import SettingsError, StreamScorerError
from stream_scorer.kafka import client_log
from stream_scorer.kafka import config as kafka_config
from stream_scorer.kafka.admin import Cluster
from stream_scorer.kafka.client_log import RateLimitedLog
from stream_scorer.kafka.config import GUARDED, check_extra
from stream_scorer.kafka.sink import AckingSink, Routes


@pytest.mark.parametrize("key", GUARDED)
def test_what_the_guarantees_rest_on_is_guarded(key):
    with pytest.raises(SettingsError, match=rf"^--kafka {key}: not yours to set: "):
        check_extra({key: "x"})


def test_other_names_of_guarded_properties_are_guarded():
    with pytest.raises(SettingsError, match="not yours to set"):
        check_extra({"metadata.broker.list": "elsewhere:9092"})


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("lingr.ms", r"^--kafka lingr\.ms: No such configuration property.*Did you mean linger\.ms\?$"),
        ("zzz", r"^--kafka: No such configuration property\. Its name is not shown"),
    ],
)
def test_a_name_librdkafka_does_not_know_is_told_with_the_nearest(key, message):
    with pytest.raises(SettingsError, match=message):
        check_extra({key: "1"})


def test_a_value_librdkafka_does_not_take_is_told():
    with pytest.raises(SettingsError, match=r"--kafka session\.timeout\.ms: Invalid value"):
        check_extra({"session.timeout.ms": "soon"})


def test_a_right_name_is_not_corrected_to_itself():
    with pytest.raises(SettingsError) as caught:
        check_extra({"session.timeout.ms": "soon"})
    assert "Did you mean" not in str(caught.value)


def test_properties_of_either_client_pass():
    check_extra({"fetch.min.bytes": "1", "linger.ms": "1", "sasl.username": "u", "ssl.ca.location": "/nowhere"})


@pytest.mark.parametrize(
    "opens",
    [
        lambda: Cluster(kafka_config.common("b:1", {"security.protocol": "ssl", "ssl.ca.location": "/nowhere"})),
        lambda: AckingSink(kafka_config.producer("b:1", {"acks": "1"}), Routes({}, "m@s"), None, lambda _: None),
    ],
    ids=["admin", "producer"],
)
def test_what_librdkafka_refuses_in_company_is_told_as_a_setting(opens):
    with pytest.raises(StreamScorerError):
        opens()


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ({"security.protocol": "ssl", "ssl.ca.location": "/nowhere"}, r"ssl\.ca\.location"),
        ({"acks": "1"}, "`acks` must be set to `all`"),
        ({"group.protocol": "consumer", "session.timeout.ms": "9000"}, r"`session\.timeout\.ms` is not supported"),
    ],
    ids=str,
)
def test_and_before_a_socket_opens(extra, message):
    with pytest.raises(SettingsError, match=rf"^--kafka: .*{message}"):
        check_extra(extra)


def test_a_secret_under_a_wrong_name_is_not_shown():
    with pytest.raises(SettingsError) as caught:
        check_extra({"sasl.pasword": "s3cret"})
    assert "Did you mean sasl.password?" in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_tokens_need_somebody_who_gives_them():
    bearer = {"security.protocol": "sasl_plaintext", "sasl.mechanisms": "OAUTHBEARER"}
    with pytest.raises(SettingsError, match=r"no source of tokens is set. Give --kafka sasl\.oauthbearer\.method=oidc"):
        check_extra(bearer)
    check_extra(bearer | {"enable.sasl.oauthbearer.unsecure.jwt": "true"})


def test_transactions_take_less():
    extra = {"message.timeout.ms": "60000"}
    check_extra(extra)
    with pytest.raises(SettingsError, match=r"`message\.timeout\.ms` must be set <= `transaction\.timeout\.ms`"):
        check_extra(extra, transactional=True)
    check_extra({**extra, "transaction.timeout.ms": "60000"}, transactional=True)


EXTRA = {
    "fetch.min.bytes": "7",
    "session.timeout.ms": "9000",
    "linger.ms": "1",
    "compression.type": "zstd",
    "transaction.timeout.ms": "20000",
    "sasl.username": "u",
    "client.id": "mine",
}


def test_each_client_gets_its_own():
    consumer = kafka_config.consumer("b:1", "g", EXTRA)
    producer = kafka_config.producer("b:1", EXTRA)
    common = kafka_config.common("b:1", EXTRA)
    for properties in (consumer, producer, common):
        assert properties["bootstrap.servers"] == "b:1"
        assert (properties["sasl.username"], properties["client.id"]) == ("u", "mine")
    assert {key for key in EXTRA if key in consumer} == {*EXTRA} - {
        "linger.ms",
        "compression.type",
        "transaction.timeout.ms",
    }
    assert {key for key in EXTRA if key in producer} == {*EXTRA} - {"fetch.min.bytes", "session.timeout.ms"}
    assert {key for key in EXTRA if key in common} == {"sasl.username", "client.id"}


def test_the_guarantees_are_there():
    consumer = kafka_config.consumer("b:1", "g", {})
    assert (consumer["enable.auto.commit"], consumer["isolation.level"]) == (False, "read_committed")
    assert consumer["group.id"] == "g"
    producer = kafka_config.transactional_producer("b:1", "id", {})
    assert (producer["acks"], producer["enable.idempotence"], producer["transactional.id"]) == ("all", True, "id")
    assert producer["metadata.recovery.strategy"] == "none", "librdkafka would drop its coordinator, and hang"


def test_what_the_user_gives_wins():
    assert kafka_config.producer("b:1", {"linger.ms": "50"})["linger.ms"] == "50"
    producer = kafka_config.transactional_producer("b:1", "id", {"linger.ms": "50", "retry.backoff.ms": "30"})
    assert (producer["linger.ms"], producer["retry.backoff.ms"]) == ("50", "30")
    assert kafka_config.transactional_producer("b:1", "id", {})["linger.ms"] == 5


def test_partitions_move_one_by_one_unless_the_user_says_otherwise():
    strategy = "partition.assignment.strategy"
    assert kafka_config.consumer("b:1", "g", {})[strategy] == "cooperative-sticky"
    assert kafka_config.consumer("b:1", "g", {strategy: "range"})[strategy] == "range"
    assert strategy not in kafka_config.consumer("b:1", "g", {"group.protocol": "consumer"})


def test_the_same_line_is_logged_once_in_ten_seconds(monkeypatch):
    now = 100.0
    monkeypatch.setattr(client_log.time, "monotonic", lambda: now)
    limited = RateLimitedLog()

    def passes(text):
        return limited.filter(logging.LogRecord("rdkafka", logging.ERROR, "", 0, text, (), None))

    assert passes("refused (after 3ms in state CONNECT)")
    assert not passes("refused (after 4ms in state CONNECT)")
    assert passes("another")
    now = 109.9
    assert not passes("another")
    now = 110.0
    assert passes("refused (after 5ms in state CONNECT)")
