"""A partition comes: where to begin, and with which sessions.

The position record of the changelog is written in the same transaction as the group's offset, so the
two agree unless somebody moved one of them. If they agree, sessions are restored. If not, they are
never used in silence:

* the group's offset is gone (expired, or the group deleted) and no start was asked for: the position
  record is the newer truth, go on from there;
* otherwise (offset moved by hand, changelog gone, saved by another module) the sessions are rebuilt
  from the inputs before the position, begun anew, or the service stops and names the choices.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from stream_scorer.engine.scoring import Scorer
from stream_scorer.errors import ModelError
from stream_scorer.ports import Inputs, StateStore
from stream_scorer.records import Partition, Saved
from stream_scorer.state.sessions import Sessions

log = logging.getLogger(__name__)

MISMATCH_CHOICES = ("auto", "rebuild", "restart", "fail")


class Restorer:
    """Sets up the sessions of an assigned partition.

    Args:
        store: None when nothing keeps state (no state, or not asked to).
        start: where a group without a position begins: "committed" (as "earliest"), "earliest",
            "latest" or a timestamp.
        window: N of the module's `stream-scorer.window`, or None.
        warm_up: inputs to feed before a start that is no continuation; 0: none. A window of N needs N - 1 for its first score.
        on_mismatch: "auto" (rebuild a window model, else fail), "rebuild", "restart" or "fail".
    """

    def __init__(
        self,
        sessions: Sessions,
        scorer: Scorer,
        store: StateStore | None,
        inputs: Inputs,
        *,
        model: str,
        start: str = "committed",
        window: int | None = None,
        warm_up: int = 0,
        on_mismatch: str = "auto",
        on_restored: Callable[[Partition, int, float], None] = lambda *_: None,
    ) -> None:
        self._sessions, self._scorer, self._store, self._inputs = sessions, scorer, store, inputs
        self._model = model
        self._start = start
        self._window = window
        self._warm_up = warm_up
        self._on_mismatch = on_mismatch
        self._on_restored = on_restored

    def begin(self, partition: Partition, committed: int | None) -> int:
        """Offset of the first record to score; the partition's sessions are as they were before it.

        Raises ModelError on state that fits neither, TransportError.
        """
        started = time.perf_counter()
        self._sessions.drop(partition)  # a try before this one may have ended halfway: the broker was away
        saved = list(self._store.read(partition)) if self._store else []
        position = next((one for one in saved if one.snapshot is None), None)
        if committed is None and position is not None and self._start == "committed":
            log.warning(
                "%s: the group has no committed offset (expired?); going on at %d, where its saved state is",
                partition,
                position.offset,
            )
            committed = position.offset
        if committed is None:
            first = self._inputs.start(partition, "earliest" if self._start == "committed" else self._start)
            self._forget(partition, saved)
            if self._warm_up:
                first_fed = self._inputs.back(partition, first, self._warm_up)
                self._feed(partition, first_fed, first, published=False)
            return first
        problem = self._problem(position, committed)
        if problem:
            self._mend(partition, committed, saved, problem)
        else:
            self._restore(partition, saved, position, committed, started)
        return committed

    def _problem(self, position: Saved | None, committed: int) -> str | None:
        if self._store is None:
            return None
        if position is None:
            return f"the group is at offset {committed}, but no state was ever saved"
        if position.offset != committed:
            return f"the group is at offset {committed}, the saved state at {position.offset}"
        if position.model != self._model:
            return f"the state was saved by another module (sha256 {position.model[:12]}...)"
        return None

    def _restore(
        self, partition: Partition, saved: list[Saved], position: Saved | None, committed: int, started: float
    ) -> None:
        snapshots = (one.snapshot for one in saved if one.snapshot is not None)
        count = self._sessions.restore(partition, snapshots, position.stream_time if position else None)
        seconds = time.perf_counter() - started
        log.info("%s: restored %d sessions in %.2f s, going on at %d", partition, count, seconds, committed)
        self._on_restored(partition, count, seconds)

    def _mend(self, partition: Partition, committed: int, saved: list[Saved], problem: str) -> None:
        how = self._on_mismatch
        if how == "auto":
            how = "rebuild" if self._window else "fail"
        if how == "fail":
            raise ModelError(
                f"{partition}: {problem}. Going on would give scores that depend on this. Choose: --on-state-mismatch "
                "rebuild (feed all inputs still on the topic, outputs dropped), or restart (begin sessions anew)."
            )
        self._forget(partition, saved)
        if how == "rebuild":
            log.warning("%s: %s; rebuilding sessions from the inputs before %d", partition, problem, committed)
            self._feed(partition, self._inputs.start(partition, "earliest"), committed, published=True)
        else:
            log.warning("%s: %s; sessions begin anew", partition, problem)

    def _forget(self, partition: Partition, saved: list[Saved]) -> None:
        """What was saved must not come back at the next restore."""
        self._sessions.carry(partition, [one.snapshot.key for one in saved if one.snapshot is not None])

    def _feed(self, partition: Partition, first: int, before: int, *, published: bool) -> None:
        """Inputs through the model with outputs dropped; `published`: they were once, before state was lost."""
        if first >= before or not self._sessions.stateful:
            return
        started, count = time.perf_counter(), 0
        for records in self._inputs.read(partition, first, before):
            self._scorer.feed(records, published=published)
            self._sessions.carry(partition)
            count += len(records)
        log.info(
            "%s: fed %d inputs before offset %d in %.1f s", partition, count, before, time.perf_counter() - started
        )
