"""What an operator sees of partitions that are being restored or fed."""

from __future__ import annotations

import logging

import pytest

from stream_scorer.records import Partition
from stream_scorer.service import progress as progress_module
from stream_scorer.service.progress import LOG_EVERY_S, Progress

PLACE, OTHER = Partition("in", 0), Partition("in", 1)


@pytest.fixture
def clock(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(progress_module.time, "monotonic", lambda: now[0])
    return now


def test_a_line_comes_after_a_while_and_not_more_often(clock, caplog):
    caplog.set_level(logging.INFO, progress_module.__name__)
    progress = Progress()
    for later, lines in [(0, 0), (LOG_EVERY_S, 0), (0.5, 1), (LOG_EVERY_S, 1), (0.5, 2)]:
        clock[0] += later
        progress.fed(PLACE, 10, 40)
        assert len(caplog.messages) == lines
    assert caplog.messages[0] == "in[0]: feeding inputs, offset 10 of 40"


def test_the_share_done_is_there_until_the_partition_is(clock):
    progress = Progress()
    progress.fed(PLACE, 10, 40)
    progress.reading(OTHER, 3, 4, 7)
    assert progress.under_way == {PLACE: 0.25, OTHER: 0.75}
    progress.fed(PLACE, 40, 40)
    assert progress.under_way == {OTHER: 0.75}


def test_who_draws_it_gets_each_step_and_no_line_is_logged(clock, caplog):
    caplog.set_level(logging.INFO, progress_module.__name__)
    steps = []
    progress = Progress(lambda *step: steps.append(step))
    for done in (1, 2):
        clock[0] += 10 * LOG_EVERY_S
        progress.fed(PLACE, done, 2)
    assert [(done, end) for _, done, end in steps] == [(1, 2), (2, 2)]
    assert caplog.messages == []
