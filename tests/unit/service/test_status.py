"""The figures of a worker, under the names that dashboards use."""

from __future__ import annotations

from types import SimpleNamespace

from stream_scorer.records import Gap, Lag, Partition, SourceStatus
from stream_scorer.service.progress import Progress
from stream_scorer.service.status import Status

PLACE, OTHER = Partition("in", 0), Partition("in", 1)
TOTALS = {"records": 1, "scores": 2, "rejects": 3, "commits": 4, "aborts": 5, "recoveries": 6}


class Sessions(list):
    def state_bytes(self):
        return 700


def _status():
    progress = Progress()
    progress.restored(PLACE, 11, 1.5)
    progress.gap(Gap(PLACE, "deleted", 12, 30, "gone"))
    progress.fed(OTHER, 1, 4)
    source = SourceStatus({PLACE: Lag(5, 2.0, 0.0), OTHER: Lag(6, 3.0, 0.0)}, rebalances=9)
    loop = SimpleNamespace(totals=SimpleNamespace(**TOTALS, scoring_s=7.0, commit_s=8.0))
    model = SimpleNamespace(name="toy", sha256="aa")
    return Status(model, loop, Sessions("xy"), lambda: source, progress, alive_s=10.0, ended_hanging=lambda: 10)


def test_counters():
    assert dict(_status().counters()) == TOTALS | {
        "rebalances": 9,
        "hanging_transactions_ended": 10,
        "restored_sessions": 11,
        "restore_seconds": 1.5,
        "gaps": 1,
        "gap_lost_records": 12,
        "scoring_seconds": 7.0,
        "commit_seconds": 8.0,
    }


def test_gauges():
    assert dict(_status().gauges()) == {
        "assigned_partitions": 2,
        "lag_age_seconds": 3.0,
        "sessions": 2,
        "session_state_bytes": 700,
        "restoring_partitions": 1,
        "restore_progress_ratio": 0.25,
    }
