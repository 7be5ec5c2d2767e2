"""What librdkafka says of a connection that does not come about, made a reason with the setting to change."""

from __future__ import annotations

import logging

import pytest
from confluent_kafka import KafkaError

from stream_scorer.kafka.connection_errors import ConnectionErrors

# As librdkafka 2.16 writes them, on brokers of Kafka 4.3.
SAID = {
    "sasl_plaintext://b:1/bootstrap: SASL authentication error: Authentication failed (after 359ms in state AUTH_REQ)": (
        "b:1: SASL authentication error: Authentication failed. Correct --kafka sasl.username and sasl.password"
    ),
    "sasl_ssl://b:1/3: SASL PLAIN mechanism handshake failed: Broker: Unsupported SASL mechanism: broker's supported "
    "mechanisms: SCRAM-SHA-256 (after 1ms in state AUTH_HANDSHAKE)": "supported mechanisms: SCRAM-SHA-256. Give one that",
    "ssl://b:1/bootstrap: SSL handshake failed: Disconnected: SSL connection closed by peer: connecting to a PLAINTEXT "
    "broker listener? (after 9ms in state SSL_HANDSHAKE)": "PLAINTEXT broker listener. This listener speaks no TLS",
    "ssl://b:1/bootstrap: Receive failed: error:0A000412:SSL routines::ssl/tls alert bad certificate: SSL alert number 42 "
    "(after 2ms in state APIVERSION_QUERY)": "The broker does not take our certificate",
    "ssl://b:1/bootstrap: error:0A000086:SSL routines::certificate verify failed (after 9ms in state SSL_HANDSHAKE)": (
        "Give the CA of the brokers by --kafka ssl.ca.location=FILE"
    ),
    "b:1/bootstrap: Connect to ipv4#127.0.0.1:9 failed: Connection refused (after 0ms in state CONNECT)": (
        "b:1: Connect to ipv4#127.0.0.1:9 failed: Connection refused. Start the broker, or correct --bootstrap-servers."
    ),
}


@pytest.mark.parametrize("said", SAID)
def test_what_is_said_leads_to_a_setting(said):
    errors = ConnectionErrors()
    assert errors.add(KafkaError(KafkaError._TRANSPORT, said))
    assert SAID[said] in errors.text()
    assert "after" not in errors.text()


def test_the_reason_that_a_person_can_mend_is_told_before_others():
    errors = ConnectionErrors()
    assert errors.text().startswith("nothing is heard.")
    assert errors.add(KafkaError(KafkaError._TRANSPORT, "b:1/1: Connect to x failed: Connection refused"))
    assert errors.add(KafkaError(KafkaError._AUTHENTICATION, "b:1/1: SASL authentication error: no"))
    assert not errors.add(KafkaError(KafkaError._TRANSPORT, "b:1/1: Disconnected"))
    assert not errors.add(KafkaError(KafkaError._ALL_BROKERS_DOWN, "1/1 brokers are down"))
    assert errors.reason is not None
    assert errors.reason.permanent
    errors.clear()
    assert errors.reason is None


def test_what_only_the_log_says_counts_too(caplog):
    """Of plaintext to a listener with TLS there is no error at all."""
    errors = ConnectionErrors()
    line = (
        "FAIL [x#producer-1] [thrd:b:1/bootstrap]: b:1/bootstrap: Disconnected: closed by peer (after 1ms in state UP)"
    )
    with caplog.at_level(logging.INFO, "librdkafka"):
        errors.log.info(line)
    assert "Does this listener want TLS or SASL?" in errors.text()
    assert not errors.reason.permanent
    assert caplog.messages == [line]
