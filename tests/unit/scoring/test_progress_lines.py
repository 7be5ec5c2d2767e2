"""Progress lines."""

from __future__ import annotations

import logging

import pytest

from stream_scorer.records import Lag, Partition
from stream_scorer.scoring import progress_lines as report
from stream_scorer.scoring.progress_lines import ProgressLog, all_rejected, summary
from stream_scorer.scoring.totals import Totals


def _totals():
    totals = Totals()
    totals.add(records=2_000, outcomes=1_971, rejects=3, scoring_s=3.0, commit_s=1.0)
    return totals


def test_a_summary():
    assert summary(_totals(), 4.0) == (
        "2,000 records, 1,968 scores, 3 rejects, 1 commits, 0 aborts, 0 recoveries; 500 records/s, 75% of work in scoring"
    )


def test_a_summary_of_nothing():
    assert summary(Totals(), 0.0).endswith("0 records/s, 0% of work in scoring")


@pytest.mark.parametrize(
    ("records", "outcomes", "rejects", "text"),
    [
        (2, 2, 2, "all 2 records were rejected; the first at t[0]@0: decode: no"),
        (2, 2, 1, None),
        (29, 0, 0, None),  # a model that still gathers its window
        (30, 1, 1, None),  # it, and one bad record
        (0, 0, 0, None),
    ],
)
def test_what_is_said_where_every_record_was_rejected(records, outcomes, rejects, text):
    totals = Totals()
    totals.first_reject = "t[0]@0: decode: no"
    totals.add(records, outcomes, rejects, scoring_s=0.0, commit_s=0.0)
    assert all_rejected(totals) == text


@pytest.fixture
def clock(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(report.time, "perf_counter", lambda: now[0])
    return now


def test_a_line_every_ten_seconds_with_the_rate_since_the_last(clock, caplog):
    caplog.set_level(logging.INFO)
    lag = {Partition("in", 0): Lag(1_000, age_s=0.5), Partition("in", 1): Lag(234, age_s=0.5)}
    reporter, totals = ProgressLog(lambda: lag), Totals()
    for second in range(1, 26):
        clock[0] = 100.0 + second
        totals.add(100 if second <= 10 else 300, 0, 0, 0.1, 0.1)
        reporter(totals)
        if second == 10:
            lag[Partition("in", 1)] = Lag(7, age_s=12.2)
            lag[Partition("in", 2)] = Lag(None)
    assert [record.getMessage().split("; ")[2] for record in caplog.records] == [
        "1,234 records behind",
        "1,007 records behind, 1 partitions not known as of 12 s ago",
    ]
    assert [record.getMessage().split("; ")[1].split(",")[0] for record in caplog.records] == [
        "100 records/s",
        "300 records/s",
    ]
