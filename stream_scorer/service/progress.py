"""How far partitions are set up: log lines meanwhile, and counts for operators."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable

from stream_scorer.records import Gap, Partition

log = logging.getLogger(__name__)

LOG_EVERY_S = 2.0
Show = Callable[[str, int, int], None]
"""(what is being done, how far, of how much): draws it for a person who watches. Called often, from the loop's thread."""


class Progress:
    """The `Watch` port. Its counts are safe to read from any thread."""

    def __init__(self, show: Show | None = None) -> None:
        self._show = show
        self._logged_at = 0.0
        self.restored_sessions = 0
        self.restore_s = 0.0
        self.gaps: Counter[str] = Counter()
        """By kind of gap."""
        self.lost_records = 0
        """Records that were deleted before they were scored, by offsets."""
        self.under_way: dict[Partition, float] = {}
        """Of every partition that is being restored or fed: how much is done, 0 to 1."""

    def reading(self, partition: Partition, done: int, end: int, sessions: int) -> None:
        self._report(f"{partition}: restoring, {sessions:,} sessions so far, changelog offset", partition, done, end)

    def fed(self, partition: Partition, done: int, end: int) -> None:
        self._report(f"{partition}: feeding inputs, offset", partition, done, end)

    def restored(self, _: Partition, sessions: int, seconds: float) -> None:
        self.restored_sessions += sessions
        self.restore_s += seconds

    def gap(self, gap: Gap) -> None:
        self.gaps[gap.kind] += 1
        self.lost_records += gap.lost

    def _report(self, activity: str, partition: Partition, done: int, end: int) -> None:
        now = time.monotonic()
        if not self.under_way:
            self._logged_at = now
        if done >= end:
            self.under_way.pop(partition, None)
        else:
            self.under_way[partition] = done / end
        if self._show:  # instead of the line below
            self._show(activity, done, end)
        elif self.under_way and now - self._logged_at > LOG_EVERY_S:
            self._logged_at = now
            log.info("%s %d of %d", activity, done, end)
