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
