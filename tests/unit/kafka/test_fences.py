"""A living twin is told from fences that pass."""

from __future__ import annotations

import pytest
from confluent_kafka import KafkaError
from hypothesis import given
from hypothesis import strategies as st

from stream_scorer.errors import BrokerError
from stream_scorer.kafka import fences as kafka_fences
from stream_scorer.kafka.fences import MAX_FENCES, WINDOW_S, Fences

TIMEOUT_S = 15.0
FENCED = KafkaError(KafkaError.PRODUCER_FENCED)


class Clock:
    now = 1000.0

    def monotonic(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    found = Clock()
    monkeypatch.setattr(kafka_fences, "time", found)
    return found


def _fence(fences, clock, after_s=0.1, error=FENCED):
    """A producer that is opened, and a transaction of it that fails."""
    fences.opened()
    fences.begun()
    clock.now += after_s
    fences.count(error)


@pytest.mark.parametrize(
    "code", [KafkaError.PRODUCER_FENCED, KafkaError.INVALID_PRODUCER_EPOCH, KafkaError._FENCED], ids=str
)
def test_a_twin_that_takes_the_id_again_and_again_ends_the_service(clock, code):
    fences = Fences("stream-scorer.g.h.0", TIMEOUT_S)
    for _ in range(MAX_FENCES - 1):
        _fence(fences, clock, error=KafkaError(code))
    with pytest.raises(BrokerError, match=r"'stream-scorer\.g\.h\.0' from this one 6 times in .*--instance of its own"):
        _fence(fences, clock, error=KafkaError(code))


def test_a_twin_that_starts_while_this_one_begins_is_one_too(clock):
    fences = Fences("id", TIMEOUT_S)
    with pytest.raises(BrokerError):  # noqa: PT012
        for _ in range(MAX_FENCES):
            fences.opened()
            fences.count(FENCED)


def test_what_took_longer_than_its_transaction_may_was_fenced_for_that(clock):
    fences = Fences("id", TIMEOUT_S)
    for _ in range(10 * MAX_FENCES):
        _fence(fences, clock, after_s=TIMEOUT_S)


def test_several_calls_that_fail_by_one_fence_count_once(clock):
    fences = Fences("id", TIMEOUT_S)
    fences.opened()
    fences.begun()
    for _ in range(10 * MAX_FENCES):
        fences.count(FENCED)


def test_other_failures_are_no_fences(clock):
    fences = Fences("id", TIMEOUT_S)
    for code in (KafkaError._TIMED_OUT, KafkaError._TRANSPORT, KafkaError.NOT_COORDINATOR, KafkaError._FATAL):
        for _ in range(MAX_FENCES):
            _fence(fences, clock, error=KafkaError(code))


@given(st.lists(st.floats(0.1, 40), max_size=40))
def test_it_ends_at_the_first_six_within_a_minute_and_never_else(gaps):
    clock = Clock()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kafka_fences, "time", clock)
        fences, times = Fences("id", TIMEOUT_S), []
        for gap in gaps:
            fences.opened()
            clock.now += gap
            times.append(clock.now)
            close = len(times) >= MAX_FENCES and times[-1] - times[-MAX_FENCES] <= WINDOW_S
            try:
                fences.count(FENCED)
            except BrokerError:
                assert close
                return
            assert not close
