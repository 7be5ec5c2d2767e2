"""The loop of one worker: a step is committed or undone before the next poll.

The group rebalances inside `poll` only, so no transaction is ever open while partitions move, and none has to be saved
from a rebalance.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable

from stream_scorer.errors import (
    BrokerError,
    CommitAborted,
    EndOfInput,
    Fenced,
    Refused,
    TransportError,
    Unanswered,
    Unavailable,
)
from stream_scorer.ports import Sink, Source
from stream_scorer.records import Outgoing, Record, Reject
from stream_scorer.scoring.scorer import Scored, Scorer
from stream_scorer.scoring.totals import Totals
from stream_scorer.service.bisection import Bisection, positions_before
from stream_scorer.service.pace import Pace
from stream_scorer.service.policies import FailurePolicy
from stream_scorer.state.sessions import Sessions

log = logging.getLogger(__name__)

LAST_PAUSE_S = 5.0
POLL_S = 0.2
"""Longest wait for a record, and so the longest time until the loop notices a stop request."""


class Loop:
    """Polls, scores, sends and commits.

    Args:
        policy: when rejects and failures end the loop.
        on_commit: called after each commit. It must return soon.
        answers: raises Unanswered as long as something that scoring asks, such as a schema registry, does not answer.
    """

    def __init__(
        self,
        source: Source,
        scorer: Scorer,
        sessions: Sessions,
        sink: Sink,
        *,
        pace: Pace,
        policy: FailurePolicy,
        on_commit: Callable[[Totals], None] | None = None,
        answers: Callable[[], None] = lambda: None,
    ) -> None:
        self._source, self._scorer, self._sessions, self._sink = source, scorer, sessions, sink
        self._pace = pace
        self._policy = policy
        self._on_commit = on_commit
        self._answers = answers
        self._bisection = Bisection()
        self._held: list[Record] = []
        """Polled and not yet committed: more than the batch in hand only while a refused record is sought."""
        self._held_since, self._hold_s = 0.0, pace.max_batch_s
        self._began = self._scored_at = 0.0
        self._rejects_in_row = 0
        self._failures_in_row = 0
        self._stop = threading.Event()
        self.totals = Totals()
        self.phase = "starting"
        self.waits_for = ""
        """What does not answer, in words; empty while the loop waits for nothing, or for brokers."""
        self.beat = time.monotonic()
        """When the last step ended, on the monotonic clock."""

    @property
    def stopping(self) -> bool:
        return self._stop.is_set()

    def idle_s(self) -> float:
        """Seconds since the last step ended. Safe from any thread."""
        return time.monotonic() - self.beat

    def stop(self) -> None:
        """Have `run` finish the step in hand and return. Does not block. Safe from any thread and from signal handlers."""
        self._stop.set()

    def alive(self, phase: str) -> bool:
        """To be called all along by what takes long within a step: it does not hang. The worker is not ready meanwhile.

        Returns whether to go on with it.
        """
        self.phase = phase
        self.beat = time.monotonic()
        return not self._stop.is_set()

    def run(self) -> Totals:
        """Blocks until stopped, or until the source ends. Raises StreamScorerError where trying again does not help."""
        try:
            while not self._stop.is_set():
                self.step()
                self.beat = time.monotonic()
        except EndOfInput:
            log.info("end of input")
        finally:
            self._stop.set()
            self.phase = "stopped"
        return self.totals

    def step(self) -> None:
        """Poll, score, send, commit; or undo all of it. Raises EndOfInput, StreamScorerError."""
        try:
            records = self._next()
        except Unanswered as error:
            self._wait(error)
            return
        except Unavailable as error:
            self._recover(error)
            return
        self.phase = "running"
        if not records and not self._source.unsaved:
            return
        try:
            self._settle(records)
        except Refused as error:
            self._refused(error, records)
        except Unanswered as error:
            if self._undo():
                self._wait(error)
        except (CommitAborted, Fenced, Unavailable) as error:
            self._fail(error, records)
        except BaseException:
            # Left open, the transaction would hide later scores from readers until it times out.
            with contextlib.suppress(TransportError):
                self._sink.abort()
            raise

    def _next(self) -> list[Record]:
        """The batch: polled, or a part of what was polled and is not committed yet."""
        if self._held and time.monotonic() - self._held_since > self._hold_s:
            # The group would expel a worker that does not poll.
            self._held = []
            self._source.rewind()
        if not self._held:
            self._held = self._source.poll(min(self._pace.limit(), self._bisection.limit), POLL_S)
            self._held_since = time.monotonic()
        return self._held[: self._bisection.limit]

    def _settle(self, records: list[Record]) -> None:
        """Score, send and commit a batch."""
        self._began, self._scored_at = time.perf_counter(), 0.0
        self._sink.begin()
        scored = self._bisection.with_refusals(self._scorer.score(records, self._bisection.refused))
        self._scored_at = time.perf_counter()
        rejects = self._send(scored)
        rest = self._held[len(records) :]
        self._sink.commit(positions_before(rest, self._source.positions()))
        self._held = rest
        if not rest:
            self._source.settle()
        self._sessions.settle()
        self._scorer.settle()
        self._failures_in_row = 0
        self._bisection.settle(records)
        spent = self._spent()
        if records:
            self._pace.took(len(records), *spent)
        self.totals.add(len(records), len(scored), rejects, *spent)
        if self._on_commit:
            self._on_commit(self.totals)
        self._rejects_in_row = self._policy.count_rejects(self._rejects_in_row, records, scored)

    def _spent(self) -> tuple[float, float]:
        """Seconds that scoring of the batch in hand has taken, and seconds that sending and committing it have."""
        now = time.perf_counter()
        scored_at = self._scored_at or now
        return scored_at - self._began, now - scored_at

    def _send(self, scored: list[Scored]) -> int:
        """Everything of the step into the transaction. Returns the number of rejects."""
        outputs = [result for result in scored if type(result) is Outgoing]
        rejects = [result for result in scored if type(result) is Reject] if len(outputs) < len(scored) else []
        self._policy.check_rejects(rejects)
        # State first: an at-least-once sink cannot take back what it has sent, so a state that is too large is refused
        # before any score is out.
        for snapshot in self._sessions.unsettled():
            self._sink.save(snapshot)
        self._sink.send(outputs)
        for reject in rejects:
            self.totals.first_reject = self.totals.first_reject or reject.line
            self._sink.reject(reject)
        if evaluations := self._scorer.evaluations():
            self._sink.send(evaluations)
        return len(rejects)

    def _refused(self, error: Refused, records: list[Record]) -> None:
        """A record is the reason: the batch is tried again in parts."""
        log.debug("transaction aborted: %s", error)
        if self._undo():
            self._bisection.narrow(records, error)

    def _fail(self, error: TransportError, records: list[Record]) -> None:
        """No record is the reason, but the size of the batch may be."""
        if isinstance(error, CommitAborted) and self._bisection.expects_abort():
            log.debug("transaction aborted, as expected after one that was refused: %s", error)
            self._undo()
            return
        if records:
            self._pace.failed(len(records), *self._spent())
        if not isinstance(error, CommitAborted):
            self._recover(error)
            return
        log.warning("transaction aborted: %s", error)
        self._held = []
        if self._undo(self._source.rewind):
            self._count_failure(error)

    def _undo(self, rewind: Callable[[], None] = lambda: None) -> bool:
        """Abort the transaction, roll the sessions back and rewind: nothing of the step has happened.

        Returns whether that has worked; if not, positions and state were read anew from the broker. No transaction is
        open afterwards, so that there is time to count and to pause.
        """
        self.totals.aborts += 1
        try:
            self._sink.abort()
            self._sessions.roll_back()
            rewind()
        except (CommitAborted, Fenced, Unavailable) as worse:
            self._recover(worse)
            return False
        return True

    def _recover(self, error: TransportError) -> None:
        """A new producer, and positions and state read anew: what is committed is known to the broker only.

        Blocks while the broker is unreachable.
        """
        self.totals.recoveries += 1
        log.warning("starting over from what is committed: %s", error)
        self._count_failure(error)
        self._held = []
        self._bisection.reset()
        self._until("recovering", self._answers, self._sink.reopen, self._source.reload)

    def _wait(self, error: Unanswered) -> None:
        """Until `answers` returns. Nothing of the step has happened: the same records are tried again afterwards."""
        log.warning("waiting: %s", error)
        self.waits_for = str(error)
        self._until("waiting", self._answers)
        self.waits_for = ""

    def _until(self, phase: str, *calls: Callable[[], None]) -> None:
        """All of these calls, again and again until they succeed, with growing pauses. A stop request ends that too."""
        pause_s = self._policy.first_pause_s
        self.phase = phase
        while not self._stop.is_set():
            self.beat = time.monotonic()  # a loop that waits does not hang
            try:
                for call in calls:
                    call()
            except (Unavailable, CommitAborted, Fenced) as still:
                log.warning("not yet: %s; trying again in %.1f s", still, pause_s)
                self._stop.wait(pause_s)
                pause_s = min(2 * pause_s, LAST_PAUSE_S)
            else:
                log.info("going on")
                self.phase = "running"
                return

    def _count_failure(self, error: TransportError) -> None:
        """Pauses from the second failure in a row on. Raises BrokerError after too many."""
        self._failures_in_row += 1
        if self._failures_in_row >= self._policy.max_failures:
            raise BrokerError(
                f"{self._failures_in_row} failures without one commit between them; the last: {error}"
            ) from error
        if self._failures_in_row > 1:
            self._stop.wait(min(self._policy.first_pause_s * 2**self._failures_in_row, LAST_PAUSE_S))
