"""Calls of the transactional sink: tried again while that may help, and not for long once a stop was asked for."""

import pytest
from confluent_kafka import KafkaError, KafkaException

from stream_scorer.errors import Unavailable
from stream_scorer.kafka import errors as kafka_errors
from stream_scorer.kafka import sink as kafka_sink
from stream_scorer.kafka.fences import Fences
from stream_scorer.kafka.sink import TransactionalSink


class Retriable(KafkaError):
    def retriable(self):
        return True


def sink(stopping):
    made = TransactionalSink.__new__(TransactionalSink)
    made._stopping = stopping
    made._fences = Fences("id", 15.0)
    return made


class Clock:
    def __init__(self):
        self.now = 0.0

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


@pytest.mark.parametrize(("stop_at", "ends_within"), [(None, kafka_sink.TIMEOUT_S), (0, kafka_sink.STOP_S), (20, 20)])
def test_a_call_that_gets_no_answer_ends(stop_at, ends_within, monkeypatch):
    clock = Clock()
    monkeypatch.setattr(kafka_errors, "time", clock)

    def no_answer(seconds):
        clock.now += seconds
        raise KafkaException(Retriable(KafkaError._TIMED_OUT))

    with pytest.raises(Unavailable):
        sink(lambda: stop_at is not None and clock.now >= stop_at)._call(no_answer)
    assert ends_within <= clock.now <= ends_within + 2
