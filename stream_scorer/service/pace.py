"""How many records a batch may hold."""

from __future__ import annotations

import math

FIRST_BATCH = 16
SLOWEST_RECORD_S = 1.0
"""What a record is held to cost before one is measured."""
GROWTH = 4
"""A batch so many times as large as one that was measured costs about so many times as much: no surprise."""
FADE = 0.9


class Pace:
    """The size of the next batch, from what the batches before have cost, those that failed too.

    Args:
        max_records: of any batch.
        max_batch_s: seconds no batch may be scored, or the group expels the worker: well within `max.poll.interval.ms`.
        aim_s: seconds a full batch should be scored. A longer one delays scores, a shorter one spends more on commits.
        max_commit_s: seconds no batch may take to be sent and committed: well within `transaction.timeout.ms`.
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
        """A batch that was committed."""
        room = self._room(scoring_s, commit_s)
        # Of a small batch most is overhead that a larger one would share: it tells nothing of a larger one.
        if room < 1 or 2 * records > self.limit():
            fits = min(records * room, GROWTH * self._size, self._max_records)
            self._size = max(1, records // 2, int(fits))
        # The slowest seen counts, fading slowly, as one quick batch says little about the next.
        self._slowest_s = max(scoring_s / records, self._slowest_s * FADE)

    def failed(self, records: int, scoring_s: float, commit_s: float) -> None:
        """A batch that was not: had it been too large, one of that size would fail again, and again."""
        room = max(1 / GROWTH**2, min(1 / 2, self._room(scoring_s, commit_s)))
        self._size = max(1, min(self._size, int(records * room)))
        self._slowest_s = max(scoring_s / records, self._slowest_s)

    def _room(self, scoring_s: float, commit_s: float) -> float:
        """How many times as long as these a batch may take."""
        return min(self._aim_s / max(scoring_s, 1e-9), self._max_commit_s / max(commit_s, 1e-9))
