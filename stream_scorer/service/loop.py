"""The loop of one worker: settle before you poll.

Whatever a step begins, it finishes or undoes before the next poll. The group rebalances inside `poll`
only, so no transaction is ever open while partitions move, and none has to be saved from a rebalance.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable

from stream_scorer.errors import (
    ActionError,
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
from stream_scorer.service.bisection import Hunt, before
from stream_scorer.service.pace import Pace
from stream_scorer.state.sessions import Sessions

log = logging.getLogger(__name__)

LAST_PAUSE_S = 5.0
POLL_S = 0.2
"""Longest wait for a record: also the longest a stop request waits for the loop to notice."""


class Loop:
    def __init__(
        self,
        source: Source,
        scorer: Scorer,
        sessions: Sessions,
        sink: Sink,
        *,
        pace: Pace,
        fail_on_reject: bool = False,
        max_rejects_in_row: int | None = None,
        max_failures: int = 20,
        first_pause_s: float = 0.1,
        on_commit: Callable[[Totals], None] | None = None,
        answers: Callable[[], None] = lambda: None,
    ) -> None:
        """`answers` raises Unanswered as long as something that scoring has asked for does not answer."""
        self._source, self._scorer, self._sessions, self._sink = source, scorer, sessions, sink
        self._pace = pace
        self._hunt = Hunt()
        self._held: list[Record] = []
        """Polled and not yet committed: more than the batch in hand only while a refused record is sought."""
        self._held_since, self._hold_s = 0.0, pace.max_batch_s
        self._began = self._scored_at = 0.0
        self._fail_on_reject = fail_on_reject
        self._max_rejects_in_row = max_rejects_in_row
        self._rejects_in_row = 0
        self._max_failures = max_failures
        self._first_pause_s = first_pause_s
        self._failures_in_row = 0
        self._on_commit = on_commit
        self._answers = answers
        self._stop = threading.Event()
        self.totals = Totals()
        self.phase = "starting"
        self.waits_for = ""
        """What does not answer, in words; empty while nothing is waited for, or the brokers are."""
        self.beat = time.monotonic()
        """When the last step ended, on the monotonic clock."""

    @property
    def stopping(self) -> bool:
        return self._stop.is_set()

    def idle_s(self) -> float:
        """Seconds since the loop went round last. Safe from any thread."""
        return time.monotonic() - self.beat

    def stop(self) -> None:
        """Finish the step in hand and return from `run`. Safe from any thread and from signal handlers."""
        self._stop.set()

    def alive(self, phase: str) -> bool:
        """Told by what takes long within a step, which is no hang; whether to go on with it. Not ready meanwhile."""
        self.phase = phase
        self.beat = time.monotonic()
        return not self._stop.is_set()

    def run(self) -> Totals:
        """Step until stopped or the source ends. Raises what a step cannot mend."""
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
        """Poll, score, send, commit; or undo all of it."""
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
        """The batch: polled, or of what was polled and is not committed yet."""
        if self._held and time.monotonic() - self._held_since > self._hold_s:
            # The group wants a poll.
            self._held = []
            self._source.rewind()
        if not self._held:
            self._held = self._source.poll(min(self._pace.limit(), self._hunt.limit), POLL_S)
            self._held_since = time.monotonic()
        return self._held[: self._hunt.limit]

    def _settle(self, records: list[Record]) -> None:
        self._began, self._scored_at = time.perf_counter(), 0.0
        self._sink.begin()
        scored = self._hunt.mark(self._scorer.score(records, self._hunt.refused))
        self._scored_at = time.perf_counter()
        rejects = self._send(scored)
        rest = self._held[len(records) :]
        self._sink.commit(before(rest, self._source.positions()))
        self._held = rest
        if not rest:
            self._source.settle()
        self._sessions.settle()
        self._scorer.settle()
        self._failures_in_row = 0
        self._hunt.settle(records)
        spent = self._spent()
        if records:
            self._pace.took(len(records), *spent)
        self.totals.add(len(records), len(scored), rejects, *spent)
        if self._on_commit:
            self._on_commit(self.totals)
        if self._max_rejects_in_row is not None:
            self._check_rejects_in_row(records, scored, self._max_rejects_in_row)

    def _spent(self) -> tuple[float, float]:
        """Seconds that the batch in hand has been scored, and that it has been sent and committed since."""
        now = time.perf_counter()
        scored_at = self._scored_at or now
        return scored_at - self._began, now - scored_at

    def _send(self, scored: list[Scored]) -> int:
        """Everything of the step into the transaction; the number of rejects among it."""
        outs = [one for one in scored if type(one) is Outgoing]
        rejects = [one for one in scored if type(one) is Reject] if len(outs) < len(scored) else []
        if rejects and self._fail_on_reject:
            raise ActionError(
                f"{rejects[0].source.where}: {rejects[0].message} Nothing of this batch was published. Mend the record "
                "or the model, or let such records pass by --on-bad-record dead-letter."
            )
        # State first: where nothing hides what was sent, a state too large to be kept costs no score of it.
        for snapshot in self._sessions.unsettled():
            self._sink.save(snapshot)
        self._sink.send(outs)
        for reject in rejects:
            self.totals.first_reject = (
                self.totals.first_reject or f"{reject.source.where}: {reject.stage}: {reject.message}"
            )
            self._sink.reject(reject)
        if evaluations := self._scorer.evaluations():
            self._sink.send(evaluations)
        return len(rejects)

    def _check_rejects_in_row(self, records: list[Record], scored: list[Scored], limit: int) -> None:
        """After the commit: the rejects that stop the service are kept where rejects are kept."""
        rejected = {one.source.where for one in scored if isinstance(one, Reject)}
        for record in records:
            self._rejects_in_row = self._rejects_in_row + 1 if record.where in rejected else 0
            if self._rejects_in_row >= limit:
                raise ActionError(
                    f"{record.where}: {limit} records in a row were rejected (--max-rejects-in-row). They are kept as "
                    "--on-bad-record says. Has a producer or its schema changed?"
                )

    def _refused(self, error: Refused, records: list[Record]) -> None:
        """A record is the reason: the batch is tried again in parts."""
        log.debug("transaction aborted: %s", error)
        if self._undo():
            self._hunt.narrow(records, error)

    def _fail(self, error: TransportError, records: list[Record]) -> None:
        """No record is the reason, but the size of the batch may be."""
        if isinstance(error, CommitAborted) and self._hunt.stumbles():
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
        """Nothing of the step happened: not on the topic, not in the sessions, not in the position.

        Whether that has worked; if not, all is as it is committed. After it no transaction is open, so that there is
        time to count and to pause.
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
        """The truth is on the broker, not in memory: a new sink, and positions and state read anew.

        Waits for a broker that is away for as long as that lasts.
        """
        self.totals.recoveries += 1
        log.warning("starting over from what is committed: %s", error)
        self._count_failure(error)
        self._held = []
        self._hunt.forget()
        self._until("recovering", self._answers, self._sink.reopen, self._source.reload)

    def _wait(self, error: Unanswered) -> None:
        """Nothing of the step has happened, and no broker is the reason: the same records are tried again afterwards."""
        log.warning("waiting: %s", error)
        self.waits_for = str(error)
        self._until("waiting", self._answers)
        self.waits_for = ""

    def _until(self, phase: str, *calls: Callable[[], None]) -> None:
        """All of these, again and again until they succeed, with growing pauses. A stop request ends that too."""
        pause_s = self._first_pause_s
        self.phase = phase
        while not self._stop.is_set():
            self.beat = time.monotonic()  # waiting is no hang
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
        self._failures_in_row += 1
        if self._failures_in_row >= self._max_failures:
            raise BrokerError(
                f"{self._failures_in_row} failures without one commit between them; the last: {error}"
            ) from error
        if self._failures_in_row > 1:
            self._stop.wait(min(self._first_pause_s * 2**self._failures_in_row, LAST_PAUSE_S))
