"""A partition comes: where to begin, and with which sessions.

The position record of the changelog is written in the same transaction as the group's offset, so the
two agree unless somebody moved one of them. If they agree, and every session was saved by this model, sessions
are restored. If not, they are never used in silence:

* the group's offset is gone (expired, or the group deleted) and no start was asked for: the position
  record is the newer truth, go on from there;
* the topic does not have the records at the position any more, or is another topic of the same name: a gap,
  and `--on-gap` says what to do;
* otherwise (offset moved by hand, changelog gone, saved by another model) the sessions are rebuilt
  from the inputs before the position, begun anew, or the service stops and names the choices.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass

from stream_scorer.errors import BrokerError, ModelError
from stream_scorer.ports import Inputs, KeepAlive, StateStore, Watch
from stream_scorer.records import (
    UNKNOWN_ORIGIN,
    CommittedPosition,
    Gap,
    Origin,
    Partition,
    PartitionLog,
    Record,
    Snapshot,
    StartPosition,
    StateRecord,
)
from stream_scorer.scoring.scorer import Scorer
from stream_scorer.state.sessions import Sessions

log = logging.getLogger(__name__)

FEED_S = 0.3
"""Seconds that one part of a feed should take: as long as nothing else is heard."""


@dataclass(frozen=True, slots=True)
class RestorePolicy:
    """Where partitions begin, and what is done about state that does not fit.

    start: where a group without a committed offset begins: "committed" (as "earliest"), "earliest", "latest" or a
        timestamp. A partition that was added since the group began is read from its first record.
    window: N of the module's `stream-scorer.window`, or None.
    warm_up: inputs to feed before a start that is no continuation; 0: none. A window of N needs N - 1 for its first score.
    on_mismatch: "auto" (rebuild a window model, else fail), "rebuild", "restart" or "fail".
    on_gap: "fail", "rebuild" (go on at the first record that is left, with sessions from the inputs before it) or
        "continue" (go on there, with sessions as they were saved).
    """

    start: str = "committed"
    window: int | None = None
    warm_up: int = 0
    on_mismatch: str = "auto"
    on_gap: str = "fail"


class Restorer:
    """Sets up the sessions of an assigned partition.

    Args:
        store: None when nothing keeps state (no state, or not asked to).
        model: the identity of the model that runs.
        origin: the group and session mode that run; its topic id is not looked at.
    """

    def __init__(
        self,
        sessions: Sessions,
        scorer: Scorer,
        store: StateStore | None,
        inputs: Inputs,
        *,
        model: str,
        origin: Origin = UNKNOWN_ORIGIN,
        policy: RestorePolicy,
        watch: Watch,
    ) -> None:
        self._sessions, self._scorer, self._store, self._inputs = sessions, scorer, store, inputs
        self._model, self._origin = model, origin
        self._policy = policy
        self._watch = watch
        self._part = 16

    def begin(
        self, partition: Partition, committed: CommittedPosition | None, holds: PartitionLog, keep_alive: KeepAlive
    ) -> StartPosition:
        """The first record to score; the partition's sessions are as they were before it.

        Blocks for as long as a restore takes, and calls `keep_alive` all along, which may raise to end it.
        Raises ModelError on state that does not fit, BrokerError on a gap, TransportError.
        """
        started = time.perf_counter()
        self._sessions.drop(partition)  # a try before this one may have ended halfway: the broker was away
        saved = self._read(partition, committed, keep_alive)
        position = next((one for one in saved if one.snapshot is None), None)
        if committed is None and position is not None and self._policy.start == "committed":
            log.warning(
                "%s: the group has no committed offset (expired?); going on at %d, where its saved state is",
                partition,
                position.offset,
            )
            committed = CommittedPosition(position.offset, position.origin.topic_id)
        if committed is None:
            return self._begin_anew(partition, saved, holds.added, keep_alive)
        problem = self._problem(saved, position, committed)
        gap = self._gap(partition, committed, position, holds)
        if gap is not None:
            return self._pass_gap(gap, saved, position, problem, keep_alive)
        if problem:
            self._mend(partition, committed.offset, saved, problem, keep_alive)
            return StartPosition(committed.offset, saved=False)
        restored = self._restore(partition, saved, position, committed.offset, started, keep_alive)
        return StartPosition(committed.offset, saved=restored)

    def _read(
        self, partition: Partition, committed: CommittedPosition | None, keep_alive: KeepAlive
    ) -> Sequence[StateRecord]:
        if self._store is None:
            return []
        return self._store.read(partition, None if committed is None else committed.offset, keep_alive)

    def _begin_anew(
        self, partition: Partition, saved: Sequence[StateRecord], added: bool, keep_alive: KeepAlive
    ) -> StartPosition:
        start = "earliest" if self._policy.start == "committed" else self._policy.start
        if added and start != "earliest":
            log.info("%s was added after the group had begun: from its first record, whatever --start says", partition)
            start = "earliest"
        first = self._inputs.start(partition, start, keep_alive)
        self._forget(partition, saved)
        if self._policy.warm_up:
            first_fed = self._inputs.back(partition, first, self._policy.warm_up, keep_alive)
            self._feed(partition, first_fed, first, keep_alive, published=False)
        return StartPosition(first, saved=False)

    def _problem(
        self, saved: Sequence[StateRecord], position: StateRecord | None, committed: CommittedPosition
    ) -> str | None:
        """Why the saved state is not the state before the committed offset; None if it is."""
        if self._store is None:
            return None
        if position is None:
            return f"the group is at offset {committed.offset}, but no state was ever saved"
        if position.offset != committed.offset:
            return f"the group is at offset {committed.offset}, the saved state at {position.offset}"
        if position.origin.topic_id and committed.topic_id and position.origin.topic_id != committed.topic_id:
            return "the state is of an earlier topic of the same name"
        others = [one for one in saved if not self._is_mine(one.model)]
        if others:
            whole = "the state was" if position in others else f"{len(others)} of {len(saved) - 1} sessions were"
            return f"{whole} saved by another model (sha256 {others[0].model[:12]}...)"
        beyond = [one for one in saved if one.offset > position.offset]
        if beyond:
            return f"{len(beyond)} sessions were saved after the position, the first at offset {beyond[0].offset}"
        for name in ("group", "session"):
            found, mine = getattr(position.origin, name), getattr(self._origin, name)
            if found and mine and found != mine:
                return f"the state was saved with {name} {found!r}, and this service has {name} {mine!r}"
        return None

    def _is_mine(self, model: str) -> bool:
        """Versions before attachments were part of a model's identity saved the module's alone."""
        return model in (self._model, self._model.partition("+")[0])

    def _gap(
        self, partition: Partition, committed: CommittedPosition, position: StateRecord | None, holds: PartitionLog
    ) -> Gap | None:
        at, topic_id = committed.offset, committed.topic_id
        if not topic_id and position is not None and position.offset == at:
            topic_id = position.origin.topic_id
        if topic_id and holds.topic_id and topic_id != holds.topic_id:
            text = f"topic {partition.topic!r} was deleted and created again since offset {at} was committed"
            return Gap(partition, "recreated", 0, holds.first, text)
        if at < holds.first:
            text = f"records from offset {at} up to {holds.first} were deleted before they were scored (retention?)"
            return Gap(partition, "deleted", holds.first - at, holds.first, text)
        if at > holds.end:
            text = f"the group is at offset {at}, and the log ends at {holds.end} (was it cut short?)"
            return Gap(partition, "past-end", 0, holds.end, text)
        return None

    def _pass_gap(
        self,
        gap: Gap,
        saved: Sequence[StateRecord],
        position: StateRecord | None,
        problem: str | None,
        keep_alive: KeepAlive,
    ) -> StartPosition:
        partition = gap.partition
        if self._policy.on_gap == "fail":
            raise BrokerError(
                f"{partition}: {gap.text}. Choose: --on-gap rebuild (go on at offset {gap.first}, sessions made from the "
                "inputs before it) or continue (go on there, sessions as they were saved)."
            )
        log.warning("%s: %s; going on at offset %d (--on-gap %s)", partition, gap.text, gap.first, self._policy.on_gap)
        self._watch.gap(gap)
        if self._policy.on_gap == "rebuild":
            self._rebuild(partition, gap.first, saved, keep_alive)
        elif problem:
            self._mend(partition, gap.first, saved, problem, keep_alive)
        else:
            # A session that was at offset 90 of the old log is at most at the new position of this one.
            moved = [_at_most(one, gap.first) for one in saved]
            if self._restore(partition, moved, position, gap.first, time.perf_counter(), keep_alive):
                self._sessions.carry(partition, [one.snapshot.key for one in saved if one.snapshot is not None])
        return StartPosition(gap.first, saved=False)

    def _restore(
        self,
        partition: Partition,
        saved: Sequence[StateRecord],
        position: StateRecord | None,
        first: int,
        started: float,
        keep_alive: KeepAlive,
    ) -> bool:
        """False if the saved state has another shape, as an earlier version may have saved fewer values. Then
        `--on-state-mismatch` has decided."""
        snapshots = (one.snapshot for one in saved if one.snapshot is not None)
        try:
            count = self._sessions.restore(partition, snapshots, position.stream_time if position else None)
        except ModelError as error:
            self._sessions.drop(partition)
            self._mend(partition, first, saved, str(error).removeprefix(f"{partition}: ").rstrip("."), keep_alive)
            return False
        seconds = time.perf_counter() - started
        log.info("%s: restored %d sessions in %.2f s, going on at %d", partition, count, seconds, first)
        self._watch.restored(partition, count, seconds)
        return True

    def _mend(
        self, partition: Partition, first: int, saved: Sequence[StateRecord], problem: str, keep_alive: KeepAlive
    ) -> None:
        how = self._policy.on_mismatch
        if how == "auto":
            how = "rebuild" if self._policy.window else "fail"
        if how == "fail":
            raise ModelError(
                f"{partition}: {problem}. Going on would give scores that depend on this. Choose: --on-state-mismatch "
                "rebuild (feed all inputs still on the topic, outputs dropped), or restart (begin sessions anew)."
            )
        if how == "rebuild":
            log.warning("%s: %s; rebuilding sessions from the inputs before %d", partition, problem, first)
            self._rebuild(partition, first, saved, keep_alive)
        else:
            log.warning("%s: %s; sessions begin anew", partition, problem)
            self._forget(partition, saved)

    def _rebuild(self, partition: Partition, before: int, saved: Sequence[StateRecord], keep_alive: KeepAlive) -> None:
        self._forget(partition, saved)
        self._feed(partition, self._inputs.start(partition, "earliest", keep_alive), before, keep_alive, published=True)

    def _forget(self, partition: Partition, saved: Sequence[StateRecord]) -> None:
        """What was saved must not come back at the next restore."""
        self._sessions.carry(partition, [one.snapshot.key for one in saved if one.snapshot is not None])

    def _feed(self, partition: Partition, first: int, before: int, keep_alive: KeepAlive, *, published: bool) -> None:
        """Inputs through the model with outputs dropped; `published`: they were once, before state was lost."""
        if first >= before or not self._sessions.stateful:
            return
        started, count = time.perf_counter(), 0
        for records in self._inputs.read(partition, first, before):
            keep_alive()
            while records:
                part, records = records[: self._part], records[self._part :]
                self._feed_part(partition, part, published=published)
                count += len(part)
                self._watch.fed(partition, part[-1].offset + 1 - first, before - first)
                keep_alive()
        log.info(
            "%s: fed %d inputs before offset %d in %.1f s", partition, count, before, time.perf_counter() - started
        )

    def _feed_part(self, partition: Partition, records: Sequence[Record], *, published: bool) -> None:
        """A part as large as the cost of the last one allows: a slow model must not keep the worker from its group."""
        started = time.perf_counter()
        self._scorer.feed(records, published=published)
        self._sessions.carry(partition)
        took = max(time.perf_counter() - started, 1e-6)
        self._part = max(1, min(4 * self._part, int(len(records) * FEED_S / took), 10_000))


def _at_most(saved: StateRecord, offset: int) -> StateRecord:
    snapshot: Snapshot | None = saved.snapshot
    if snapshot is None or snapshot.offset <= offset:
        return saved
    return saved._replace(snapshot=snapshot._replace(offset=offset))
