"""Time streams: when timestamps come, and which."""

from __future__ import annotations

import time

import pytest

from stream_scorer.errors import EndOfInput
from stream_scorer.modelop.endpoints.time import TimeFeed

ZERO = 1519819200000


def feed(zero="2018-02-28T12:00:00Z", delay=0.0, period=0.05, count=None, skip=False):
    return TimeFeed(zero, delay, period, count, encode=lambda number: b"%d" % number, skip=skip)


def take(one, count, seconds=3):
    found = []
    deadline = time.monotonic() + seconds
    while len(found) < count and time.monotonic() < deadline:
        found += map(int, one.read(0.2))
    return found


def test_simulated_time_begins_at_its_zero_and_runs_on():
    one = feed(delay=0.1, count=3)
    began = time.monotonic()
    assert take(one, 3) == [ZERO + 100, ZERO + 150, ZERO + 200]
    assert time.monotonic() - began > 0.19
    with pytest.raises(EndOfInput):
        one.read(0)


def test_without_a_zero_it_is_the_true_time():
    (first,) = take(feed(zero=None), 1)
    assert abs(first - time.time() * 1000) < 1000


def test_a_time_without_a_zone_is_of_utc():
    assert take(feed("2018-02-28T12:00:00"), 1) == [ZERO]


def test_what_the_model_was_too_slow_for_comes_all_at_once_or_not_at_all():
    everything, latest = feed(), feed(skip=True)
    time.sleep(0.22)
    assert [int(record) - ZERO for record in everything.read(0)][:4] == [0, 50, 100, 150]
    found = [int(record) - ZERO for record in latest.read(0)]
    assert len(found) == 1
    assert found[0] >= 200


def test_no_period_gives_as_many_as_are_wanted():
    assert len(take(feed(period=0.0, count=2500), 2500)) == 2500


def test_a_count_of_nothing_is_the_end():
    with pytest.raises(EndOfInput):
        feed(count=0).read(0)


def test_nothing_comes_before_its_time():
    began = time.monotonic()
    assert feed(delay=5).read(0.05) == []
    assert time.monotonic() - began < 1
