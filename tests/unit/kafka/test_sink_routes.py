"""Where outputs go, what their headers say, and what librdkafka's errors mean."""

from __future__ import annotations

import pytest
from confluent_kafka import KafkaError

from stream_scorer.errors import BrokerError, CommitAborted, Fenced, Refused, Unavailable
from stream_scorer.kafka.errors import classify
from stream_scorer.kafka.rights import NotAllowed
from stream_scorer.kafka.routes import Routes
from stream_scorer.records import Outgoing, Partition, Record, Reject

SHA = "ab" * 32
TRACE = ("traceparent", b"00-1-2-01")
MINE = ("mine", b"\xff")


def _routes(**how):
    return Routes({1: "scores"}, f"tf_sp500_lstm@{SHA}", **how)


def _addressed(routes, *records):
    return list(routes.address([Outgoing(1, record, b"value") for record in records]))


def _headers(routes, record):
    return _addressed(routes, record)[0][-1]


def _record(headers=None):
    return Record(Partition("prices", 2), 1041, b"SPX", b"\0raw", 7, headers)


def test_the_headers_of_a_score_say_its_input_and_model():
    assert _headers(_routes(), _record()) == [
        ("scorer-source", b"prices/2/1041"),
        ("scorer-model", b"tf_sp500_lstm@" + SHA.encode()),
    ]


def test_a_trace_is_handed_on_and_the_rest_if_asked():
    ours = _headers(_routes(), _record())
    assert _headers(_routes(), _record([MINE, TRACE])) == [TRACE, *ours]
    assert _headers(_routes(pass_headers=True), _record([MINE, TRACE, MINE])) == [MINE, TRACE, MINE, *ours]


def test_a_score_keeps_its_partition_or_lets_its_key_choose():
    assert _addressed(_routes(), _record())[0][:5] == ("scores", b"value", b"SPX", 2, 7)
    assert _addressed(_routes(keep_partition=False), _record())[0][3] == -1


def test_each_score_of_several_partitions_says_its_own_input():
    records = [_record(), _record()._replace(partition=Partition("other", 0), offset=5, timestamp=None), _record()]
    assert [(one[4], one[5][0][1]) for one in _addressed(_routes(), *records)] == [
        (7, b"prices/2/1041"),
        (0, b"other/0/5"),
        (7, b"prices/2/1041"),
    ]


def test_a_dead_letter_says_all_of_it():
    reject = Reject(_record([MINE]), "action", "KeyError", "toy.py:3: é", "Traceback\n")
    assert _routes(group="g").letter(reject, 1_000_000).headers == [
        MINE,
        ("__streams.errors.exception", b"KeyError"),
        ("__streams.errors.message", "toy.py:3: é".encode()),
        ("__streams.errors.stacktrace", b"Traceback\n"),
        ("__streams.errors.topic", b"prices"),
        ("__streams.errors.partition", b"2"),
        ("__streams.errors.offset", b"1041"),
        ("__scorer.stage", b"action"),
        ("__scorer.model", b"tf_sp500_lstm@" + SHA.encode()),
        ("__scorer.group", b"g"),
    ]


def test_a_message_that_is_no_utf8_is_handed_on_all_the_same():
    r"""JSON may carry "\ud800", and a model may raise with it in the text: the service would stop at it for ever."""
    _routes().letter(Reject(_record(), "action", "ValueError", "bad \ud800", ""), 1_000_000)


def _error(code, *, fatal=False, retriable=False, abort=False):
    return KafkaError(code, "what the broker said", fatal, retriable, abort)


K = KafkaError
MEANINGS = [
    (_error(K.TRANSACTIONAL_ID_AUTHORIZATION_FAILED, fatal=True), NotAllowed, "TRANSACTIONAL_ID"),
    (_error(K.TOPIC_AUTHORIZATION_FAILED, abort=True), NotAllowed, "TOPIC"),
    (_error(K.GROUP_AUTHORIZATION_FAILED, abort=True), NotAllowed, "GROUP"),
    (_error(K.CLUSTER_AUTHORIZATION_FAILED, fatal=True), NotAllowed, "CLUSTER"),
    (_error(K.KAFKA_STORAGE_ERROR, retriable=True), BrokerError, "disk"),
    (_error(K._UNKNOWN_PARTITION), BrokerError, "gone or has too few partitions"),
    (_error(K.UNKNOWN_TOPIC_OR_PART, retriable=True), BrokerError, "gone"),
    (_error(K._FENCED, fatal=True), Fenced, "--instance"),
    (_error(K.PRODUCER_FENCED, abort=True), Fenced, r"transaction\.timeout\.ms"),
    (_error(K.INVALID_PRODUCER_EPOCH, abort=True), Fenced, "--instance"),
    (_error(K.ILLEGAL_GENERATION, abort=True), CommitAborted, "what the broker said"),
    (_error(K._TIMED_OUT, abort=True), CommitAborted, "_TIMED_OUT"),
    (_error(K.UNKNOWN_PRODUCER_ID, fatal=True), Fenced, "UNKNOWN_PRODUCER_ID"),
    (_error(K.COORDINATOR_LOAD_IN_PROGRESS, retriable=True), Unavailable, "what the broker said"),
    (_error(K._TIMED_OUT), Unavailable, "_TIMED_OUT"),
    (_error(K._ALL_BROKERS_DOWN), Unavailable, "what the broker said"),
    (_error(K._STATE), Unavailable, "_STATE"),
    (_error(K._FATAL), Fenced, "_FATAL"),
    (_error(K.MSG_SIZE_TOO_LARGE), Refused, r"max\.message\.bytes"),
    (_error(K.MSG_SIZE_TOO_LARGE, abort=True), Refused, r"--kafka message\.max\.bytes=N"),
    (_error(K.RECORD_LIST_TOO_LARGE, abort=True), Refused, r"max\.message\.bytes"),
    (_error(K.INVALID_TIMESTAMP, abort=True), Refused, r"message\.timestamp\.after\.max\.ms"),
    (_error(K.INVALID_RECORD, abort=True), Refused, "record without a key"),
    (_error(K.INVALID_RECORD, fatal=True), Fenced, "INVALID_RECORD"),
    (_error(K.UNSUPPORTED_FOR_MESSAGE_FORMAT), BrokerError, "Does the broker allow this"),
]


@pytest.mark.parametrize(
    ("error", "means", "text"), MEANINGS, ids=lambda one: one.name() if isinstance(one, K) else None
)
def test_what_librdkafka_says_means(error, means, text):
    found = classify(error)
    assert type(found) is means
    assert str(found).startswith(f"what the broker said ({error.name()})")
    with pytest.raises(means, match=text):
        raise found
