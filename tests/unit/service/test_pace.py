"""How many records a batch may hold."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_scorer.service.pace import Pace


def test_before_anything_is_measured_the_setting_holds():
    assert Pace(1000, max_batch_s=60).limit() == 1000


def test_a_batch_must_be_done_in_time():
    pace = Pace(1000, max_batch_s=60)
    pace.took(10, 1.0)
    assert pace.limit() == 600
    pace.took(1, 30.0)
    assert pace.limit() == 2


def test_one_record_is_always_taken():
    pace = Pace(1000, max_batch_s=60)
    pace.took(1, 3600.0)
    assert pace.limit() == 1


def test_quick_models_are_not_held_back():
    pace = Pace(1000, max_batch_s=60)
    pace.took(1000, 0.01)
    assert pace.limit() == 1000


def test_a_slow_batch_is_forgotten_slowly():
    pace = Pace(1000, max_batch_s=60)
    pace.took(1, 60.0)
    limits = []
    for _ in range(400):
        pace.took(1, 0.001)
        limits.append(pace.limit())
    assert limits == sorted(limits)
    assert limits[0] == 1
    assert limits[5] == 1, "half is forgotten after 7 batches"
    assert limits[6] == 2
    assert limits[-1] == 1000


def test_without_a_group_there_is_no_hurry():
    pace = Pace(1000, max_batch_s=float("inf"))
    pace.took(1, 1e6)
    assert pace.limit() == 1000


def test_a_full_batch_aims_at_its_time():
    pace = Pace(10_000, max_batch_s=60, aim_s=0.2)
    limits = []
    for _ in range(7):
        limits.append(pace.limit())
        pace.took(pace.limit(), pace.limit() * 50e-6)
    assert limits == [16, 64, 256, 1024, 4000, 4000, 4000]


def test_and_comes_down_when_records_cost_more():
    pace = Pace(10_000, max_batch_s=60, aim_s=0.2)
    for cost in (50e-6, 1e-3):
        for _ in range(8):
            pace.took(pace.limit(), pace.limit() * cost)
    assert pace.limit() == 200


def test_small_batches_say_nothing_of_full_ones():
    pace = Pace(10_000, max_batch_s=60, aim_s=0.2)
    pace.took(1, 0.01)
    assert pace.limit() == 16


def test_however_dear_a_record_is_one_is_taken():
    pace = Pace(10_000, max_batch_s=600, aim_s=0.2)
    for _ in range(20):
        pace.took(pace.limit(), pace.limit() * 3.0)
    assert pace.limit() == 1


@pytest.mark.parametrize(("max_batch_s", "first"), [(75, 16), (1.5, 1), (0.1, 1)])
def test_the_first_batch_is_small_enough_for_a_model_that_nobody_has_measured(max_batch_s, first):
    assert Pace(10_000, max_batch_s=max_batch_s, aim_s=0.2).limit() == first


def test_no_commit_takes_longer_than_its_transaction_may():
    """A producer that is throttled to 100 kB/s, scores of 150 bytes: what takes longer than 15 s is fenced."""
    pace = Pace(10_000, max_batch_s=75, aim_s=0.2, max_commit_s=3.75)
    seconds = []
    for _ in range(30):
        seconds.append(pace.limit() * 150 / 100_000)
        (pace.took if seconds[-1] < 15 else pace.failed)(pace.limit(), pace.limit() * 1e-5, seconds[-1])
    assert max(seconds) < 15
    assert 3 < seconds[-1] <= 3.75


def test_a_batch_that_failed_is_not_tried_at_its_size_again():
    pace = Pace(10_000, max_batch_s=75, aim_s=0.2, max_commit_s=3.75)
    for _ in range(8):
        pace.took(pace.limit(), pace.limit() * 1e-5, 0.1)
    assert pace.limit() == 10_000
    pace.failed(10_000, 0.1, 16.0)
    assert pace.limit() == 2343
    pace.failed(2343, 0.01, 0.01)
    assert pace.limit() == 1171
    for _ in range(20):
        pace.failed(pace.limit(), 0.01, 30.0)
    assert pace.limit() == 1


def test_a_slow_model_with_a_backlog_is_never_expelled():
    """40 ms a record, max.poll.interval.ms 6 s."""
    pace = Pace(10_000, max_batch_s=1.5, aim_s=0.2)
    for _ in range(30):
        assert pace.limit() * 0.04 < 6
        pace.took(pace.limit(), pace.limit() * 0.04, 0.01)
    assert pace.limit() == 5


@given(
    batches=st.lists(st.tuples(st.floats(0, 1e3), st.floats(0, 1e3), st.booleans()), max_size=60),
    most=st.integers(1, 20_000),
)
def test_there_is_always_a_batch_and_it_grows_back(batches, most):
    pace = Pace(most, max_batch_s=75, aim_s=0.2, max_commit_s=3.75)
    for scoring_s, commit_s, good in batches:
        before = pace.limit()
        (pace.took if good else pace.failed)(before, scoring_s, commit_s)
        assert 1 <= pace.limit() <= most
        assert good or before == 1 or pace.limit() < before
    for _ in range(200):
        pace.took(pace.limit(), 1e-6, 0.001)
    assert pace.limit() == most
