"""How many records a batch may hold."""

from __future__ import annotations

from stream_scorer.engine.loop import Pace


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
    assert limits[33] == 1, "half is forgotten after 34 batches"
    assert limits[34] == 2
    assert limits[-1] == 1000


def test_without_a_group_there_is_no_hurry():
    pace = Pace(1000, max_batch_s=float("inf"))
    pace.took(1, 1e6)
    assert pace.limit() == 1000


def test_a_full_batch_aims_at_its_time():
    pace = Pace(10_000, max_batch_s=60, aim_s=0.2)
    limits = []
    for _ in range(6):
        limits.append(pace.limit())
        pace.took(pace.limit(), pace.limit() * 50e-6)
    assert limits == [1024, 2048, 4000, 4000, 4000, 4000]


def test_and_comes_down_when_records_cost_more():
    pace = Pace(10_000, max_batch_s=60, aim_s=0.2)
    for _ in range(6):
        pace.took(pace.limit(), pace.limit() * 1e-3)
    assert pace.limit() == 200


def test_small_batches_say_nothing_of_full_ones():
    pace = Pace(10_000, max_batch_s=60, aim_s=0.2)
    pace.took(1, 0.01)
    assert pace.limit() == 1024


def test_however_dear_a_record_is_one_is_taken():
    pace = Pace(10_000, max_batch_s=600, aim_s=0.2)
    for _ in range(20):
        pace.took(pace.limit(), pace.limit() * 3.0)
    assert pace.limit() == 1
