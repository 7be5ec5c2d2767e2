"""A step that hangs is told of while it hangs."""

from __future__ import annotations

import time

import pytest

from stream_scorer.service import watchdog
from stream_scorer.service.watchdog import Watchdog


class FakeLoop:
    def __init__(self):
        self.beat = time.monotonic()
        self.stopping = False

    def stop(self):
        self.stopping = True


@pytest.fixture
def loop(monkeypatch):
    monkeypatch.setattr(watchdog, "CHECK_S", 0.005)
    loop = FakeLoop()
    yield loop
    loop.stop()


def _until(what, seconds=5.0):
    deadline = time.monotonic() + seconds
    while not what() and time.monotonic() < deadline:
        time.sleep(0.005)
    assert what()


def a_model_that_hangs(caplog):
    _until(lambda: caplog.records)


def test_a_hung_step_is_told_with_its_line_once(loop, caplog):
    Watchdog(loop, limit_s=0.03, expelled_s=300)
    a_model_that_hangs(caplog)
    time.sleep(0.05)
    (record,) = caplog.records
    assert "At 300 s the group gives the partitions to another worker" in record.getMessage()
    assert "in a_model_that_hangs" in record.getMessage()
    assert "max.poll.interval.ms" in record.getMessage()


def test_the_next_hung_step_is_told_again(loop, caplog):
    Watchdog(loop, limit_s=0.03, expelled_s=300)
    _until(lambda: len(caplog.records) == 1)
    loop.beat = time.monotonic()
    _until(lambda: len(caplog.records) == 2)


def test_a_loop_that_goes_round_is_left_alone(loop, caplog):
    Watchdog(loop, limit_s=0.5, expelled_s=300)
    for _ in range(10):
        time.sleep(0.005)
        loop.beat = time.monotonic()
    assert caplog.records == []
