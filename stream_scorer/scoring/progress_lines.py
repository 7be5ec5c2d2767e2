"""Lines of progress for the log."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Mapping

from stream_scorer.records import Lag, Partition
from stream_scorer.scoring.totals import Totals

log = logging.getLogger(__name__)

LOG_EVERY_S = 10.0
STALE_S = 5.0


class ProgressLog:
    """Logs a line of progress every 10 s while there is work. To be called with the totals after each commit.

    Args:
        lag: of every assigned partition.
    """

    def __init__(self, lag: Callable[[], Mapping[Partition, Lag]] = dict) -> None:
        self._lag = lag
        self._logged_at = time.perf_counter()
        self._records = 0  # when it was logged last

    def __call__(self, totals: Totals) -> None:
        now = time.perf_counter()
        if now - self._logged_at >= LOG_EVERY_S:
            progress = summary(totals, now - self._logged_at, totals.records - self._records)
            log.info("%s; %s", progress, behind(self._lag().values()))
            self._logged_at, self._records = now, totals.records


def behind(lags: Collection[Lag]) -> str:
    """How far partitions are from their end, in words."""
    records = sum(lag.records or 0 for lag in lags)
    unknown = sum(lag.records is None for lag in lags)
    age_s = max((lag.age_s for lag in lags), default=0.0)
    text = f"{records:,} records behind"
    if unknown:
        text += f", {unknown} partitions not known"
    return text + (f" as of {age_s:.0f} s ago" if age_s > STALE_S else "")


def all_rejected(totals: Totals) -> str | None:
    """A text if there were records, and all of them were rejected; else None."""
    if not totals.records or totals.scores or totals.rejects < totals.records:
        return None
    return all_rejected_text("records", totals.records, totals.first_reject)


def all_rejected_text(items: str, count: int, first: str) -> str:
    """The text if all "records", or all "outputs", were rejected. `first`: place and reason of the first."""
    return f"all {count:,} {items} were rejected; the first at {first}"


def summary(totals: Totals, seconds: float, recent: int | None = None) -> str:
    """What a worker has done. `recent`: records of the last `seconds` seconds; None: all of them."""
    recent = totals.records if recent is None else recent
    busy = totals.scoring_s + totals.commit_s
    return (
        f"{totals.records:,} records, {totals.scores:,} scores, {totals.rejects:,} rejects, "
        f"{totals.commits:,} commits, {totals.aborts:,} aborts, {totals.recoveries:,} recoveries; "
        f"{recent / max(seconds, 1e-9):,.0f} records/s, {totals.scoring_s / max(busy, 1e-9):.0%} of work in scoring"
    )
