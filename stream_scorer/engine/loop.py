"""The loop of one worker: settle before you poll.

Whatever a step begins, it finishes or undoes before the next poll. The group rebalances inside `poll`
only, so no transaction is ever open while partitions move, and none has to be saved from a rebalance.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from stream_scorer.engine.scoring import Scorer
from stream_scorer.errors import CommitAborted, EndOfInput
from stream_scorer.ports import Sink, Source
from stream_scorer.records import Outgoing, Record
from stream_scorer.state.sessions import Sessions

log = logging.getLogger(__name__)

POLL_S = 0.2
"""Longest wait for a record: also the longest a stop request waits for the loop to notice."""


class Pace:
    """How many records a batch may hold, from the measured cost of a record.

    A batch must be done well within `max.poll.interval.ms`, or the group expels the worker.
    """

    def __init__(self, max_records: int, budget_s: float) -> None:
        self._max_records = max_records
        self._budget_s = budget_s
        self._slowest_s = 0.0

    def limit(self) -> int:
        if self._slowest_s * self._max_records <= self._budget_s:
            return self._max_records
        return max(1, int(self._budget_s / self._slowest_s))

    def took(self, records: int, seconds: float) -> None:
        """The slowest seen counts, fading slowly, as one quick batch says little about the next."""
        self._slowest_s = max(seconds / records, self._slowest_s * 0.98)


class Totals:
    """What this worker has done since it started."""

    def __init__(self) -> None:
        self.records = self.scores = self.rejects = self.commits = self.aborts = 0
        self.scoring_s = self.commit_s = 0.0


class Loop:
    def __init__(
        self,
        source: Source,
        scorer: Scorer,
        sessions: Sessions,
        sink: Sink,
        *,
        pace: Pace,
        max_aborts: int = 10,
        on_commit: Callable[[Totals], None] | None = None,
    ) -> None:
        self._source, self._scorer, self._sessions, self._sink = source, scorer, sessions, sink
        self._pace = pace
        self._max_aborts = max_aborts
        self._aborts_in_row = 0
        self._on_commit = on_commit
        self._stop = threading.Event()
        self.totals = Totals()

    def stop(self) -> None:
        """Finish the step in hand and return from `run`. Safe from any thread and from signal handlers."""
        self._stop.set()

    def run(self) -> Totals:
        """Step until stopped or the source ends. Raises what a step cannot mend."""
        try:
            while not self._stop.is_set():
                self.step()
        except EndOfInput:
            log.info("end of input")
        return self.totals

    def step(self) -> None:
        """Poll, score, send, commit; or undo all of it."""
        records = self._source.poll(self._pace.limit(), POLL_S)
        if not records:
            return
        self._sink.begin()
        try:
            self._score_and_send(records)
            started = time.perf_counter()
            self._sink.commit(self._source.positions())
            self.totals.commit_s += time.perf_counter() - started
        except CommitAborted as error:
            self._undo(error)
            return
        except BaseException:
            self._sink.abort()
            raise
        self._sessions.settle()
        self._aborts_in_row = 0
        self.totals.commits += 1
        if self._on_commit:
            self._on_commit(self.totals)

    def _score_and_send(self, records: list[Record]) -> None:
        started = time.perf_counter()
        scored = self._scorer.score(records)
        took = time.perf_counter() - started
        self._pace.took(len(records), took)
        for one in scored:
            if isinstance(one, Outgoing):
                self._sink.send(one)
                self.totals.scores += 1
            else:
                self._sink.reject(one)
                self.totals.rejects += 1
        for snapshot in self._sessions.unsettled():
            self._sink.save(snapshot)
        self.totals.records += len(records)
        self.totals.scoring_s += took

    def _undo(self, error: CommitAborted) -> None:
        """Nothing of the step happened: not on the topic, not in the sessions, not in the position."""
        self._aborts_in_row += 1
        self.totals.aborts += 1
        log.warning("transaction aborted (%d in a row): %s", self._aborts_in_row, error)
        self._sink.abort()
        self._sessions.roll_back()
        self._source.rewind()
        if self._aborts_in_row >= self._max_aborts:
            raise error
