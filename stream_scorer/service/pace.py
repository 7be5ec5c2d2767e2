"""How many records the next batch may have."""

from __future__ import annotations

import math

FIRST_BATCH = 16
SLOWEST_RECORD_S = 1.0
"""What scoring one record is assumed to cost before it was measured."""
GROWTH = 4
"""A batch may grow to this many times the last one: its cost can still be told from that of the last one."""
FADE = 0.9


class Pace:
    """The size of the next batch, from the cost of the batches before, also of those that failed.

    Args:
        max_records: of any batch.
        max_batch_s: longest scoring time of a batch, in seconds, well below `max.poll.interval.ms`: else the group would
            expel the worker.
        aim_s: scoring time of a full batch, in seconds. A longer one delays scores, a shorter one spends more on commits.
        max_commit_s: longest time to send and commit a batch, in seconds, well below `transaction.timeout.ms`.
    """

    def __init__(
        self, max_records: int, *, max_batch_s: float, aim_s: float = math.inf, max_commit_s: float = math.inf
    ) -> None:
        self._max_records = max_records
        self.max_batch_s = max_batch_s
        self._aim_s = aim_s
        self._max_commit_s = max_commit_s
        self._size = max_records
        if aim_s < math.inf:
            first = min(FIRST_BATCH, max_batch_s / SLOWEST_RECORD_S)
            self._size = max(1, int(min(first, max_records)))
        self._slowest_s = 0.0

    def limit(self) -> int:
        """Most records of the next batch."""
        if self._slowest_s * self._size <= self.max_batch_s:
            return self._size
        return max(1, int(self.max_batch_s / self._slowest_s))

    def took(self, records: int, scoring_s: float, commit_s: float = 0.0) -> None:
        """A batch was committed, after so many seconds of scoring and so many of sending and committing."""
        room = self._room(scoring_s, commit_s)
        # Most of a small batch's cost is overhead, which a larger one would share: it says nothing about a larger one.
        if room < 1 or 2 * records > self.limit():
            fits = min(records * room, GROWTH * self._size, self._max_records)
            self._size = max(1, records // 2, int(fits))
        # The slowest batch counts, fading slowly, as one quick batch says little about the next.
        self._slowest_s = max(scoring_s / records, self._slowest_s * FADE)

    def failed(self, records: int, scoring_s: float, commit_s: float) -> None:
        """A batch was not committed. If it was too large, one of the same size would fail again and again."""
        room = max(1 / GROWTH**2, min(1 / 2, self._room(scoring_s, commit_s)))
        self._size = max(1, min(self._size, int(records * room)))
        self._slowest_s = max(scoring_s / records, self._slowest_s)

    def _room(self, scoring_s: float, commit_s: float) -> float:
        """How many times as long a batch may take."""
        return min(self._aim_s / max(scoring_s, 1e-9), self._max_commit_s / max(commit_s, 1e-9))
