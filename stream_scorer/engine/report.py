"""Lines of progress for the log."""

from __future__ import annotations

import logging
import time

from stream_scorer.engine.loop import Totals

log = logging.getLogger(__name__)

REPORT_EVERY_S = 10.0


class Reporter:
    """A line of progress every 10 s while there is work."""

    def __init__(self) -> None:
        self._at = time.perf_counter()
        self._records = 0

    def __call__(self, totals: Totals) -> None:
        now = time.perf_counter()
        if now - self._at >= REPORT_EVERY_S:
            log.info("%s", summary(totals, now - self._at, totals.records - self._records))
            self._at, self._records = now, totals.records


def all_rejected(totals: Totals) -> str | None:
    """A text if there were records, and every one was rejected."""
    if not totals.records or totals.scores or totals.rejects < totals.records:
        return None
    return f"all {totals.records:,} records were rejected; the first at {totals.first_reject}"


def summary(totals: Totals, seconds: float, recent: int | None = None) -> str:
    recent = totals.records if recent is None else recent
    busy = totals.scoring_s + totals.commit_s
    return (
        f"{totals.records:,} records, {totals.scores:,} scores, {totals.rejects:,} rejects, "
        f"{totals.commits:,} commits, {totals.aborts:,} aborts, {totals.recoveries:,} recoveries; "
        f"{recent / max(seconds, 1e-9):,.0f} records/s, {totals.scoring_s / max(busy, 1e-9):.0%} of work in scoring"
    )
