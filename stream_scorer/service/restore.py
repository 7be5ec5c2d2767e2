"""Sets up a partition that comes: where to begin, and with which sessions.

The position record of the changelog is written in the same transaction as the group's committed offset, so the two agree
unless one of them was changed otherwise. If they agree, and every session was saved by this model, sessions are restored.
If not, saved sessions are never used without a log line:

* the group has no committed offset (it expired, or the group was deleted) and no start was asked for: go on at the offset
  of the position record;
* the topic does not have the records at the position any more, or is another topic of the same name: a gap, and
  `--on-gap` says what to do;
* otherwise (the offset was moved by hand, the changelog is gone, another model saved the state) `--on-state-mismatch`
  says what to do: rebuild the sessions from the inputs before the position, begin them anew, or stop.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence

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
from stream_scorer.service.policies import RestorePolicy
from stream_scorer.state.sessions import Sessions

log = logging.getLogger(__name__)

FEED_S = 0.3
"""Seconds that one part of a feed should take: meanwhile no heartbeat is sent, and no stop request is noticed."""


class Restorer:
    """Sets up the sessions of an assigned partition.

    Args:
        store: None if no state is kept: the model has none, or --no-changelog.
        model: the identity of the model that runs.
        origin: the group and session mode that run; its topic id is not used.
        watch: called with the progress of each restore.
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
        self._feed_size = 16

    def begin(
        self, partition: Partition, committed: CommittedPosition | None, holds: PartitionLog, keep_alive: KeepAlive
    ) -> StartPosition:
        """Returns the offset of the first record to score. The partition's sessions are as they were before it.

        Blocks for as long as a restore takes, and calls `keep_alive` meanwhile, which may raise to end it.
        Raises ModelError: the state does not fit. BrokerError: a gap. TransportError.

        Args:
            holds: what the partition's log has now.
        """
        started = time.perf_counter()
        self._sessions.drop(partition)  # an earlier try may have ended halfway, as the broker was away
        saved = self._read(partition, committed, keep_alive)
        position = next((record for record in saved if record.snapshot is None), None)
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
            self._resolve_mismatch(partition, committed.offset, saved, problem, keep_alive)
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
        """Why the saved state is not that before the committed offset, in words; None if it is."""
        if self._store is None:
            return None
        if position is None:
            return f"the group is at offset {committed.offset}, but no state was ever saved"
        if position.offset != committed.offset:
            return f"the group is at offset {committed.offset}, the saved state at {position.offset}"
        if position.origin.topic_id and committed.topic_id and position.origin.topic_id != committed.topic_id:
            return "the state is of an earlier topic of the same name"
        others = [record for record in saved if not self._is_of_this_model(record.model)]
        if others:
            part = "the state was" if position in others else f"{len(others)} of {len(saved) - 1} sessions were"
            return f"{part} saved by another model (sha256 {others[0].model[:12]}...)"
        beyond = [record for record in saved if record.offset > position.offset]
        if beyond:
            return f"{len(beyond)} sessions were saved after the position, the first at offset {beyond[0].offset}"
        for name in ("group", "session"):
            saved_with, here = getattr(position.origin, name), getattr(self._origin, name)
            if saved_with and here and saved_with != here:
                return f"the state was saved with {name} {saved_with!r}, and this service has {name} {here!r}"
        return None

    def _is_of_this_model(self, model: str) -> bool:
        """Earlier versions saved the sha256 of the module alone, without that of the attachment."""
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
            text = f"the group is at offset {at}, and the log ends at {holds.end} (was it truncated?)"
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
            self._resolve_mismatch(partition, gap.first, saved, problem, keep_alive)
        else:
            # A session that was saved at offset 90 of the old log may lie behind the new position, which is lower.
            moved = [_at_most(record, gap.first) for record in saved]
            if self._restore(partition, moved, position, gap.first, time.perf_counter(), keep_alive):
                self._sessions.carry(
                    partition, [record.snapshot.key for record in saved if record.snapshot is not None]
                )
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
        """Returns False if the saved state has another shape, as an earlier version may have saved fewer values. Then it was
        done as `--on-state-mismatch` says."""
        snapshots = (record.snapshot for record in saved if record.snapshot is not None)
        try:
            count = self._sessions.restore(partition, snapshots, position.stream_time if position else None)
        except ModelError as error:
            self._sessions.drop(partition)
            self._resolve_mismatch(
                partition, first, saved, str(error).removeprefix(f"{partition}: ").rstrip("."), keep_alive
            )
            return False
        seconds = time.perf_counter() - started
        log.info("%s: restored %d sessions in %.2f s, going on at %d", partition, count, seconds, first)
        self._watch.restored(partition, count, seconds)
        return True

    def _resolve_mismatch(
        self, partition: Partition, first: int, saved: Sequence[StateRecord], problem: str, keep_alive: KeepAlive
    ) -> None:
        choice = self._policy.on_mismatch
        if choice == "auto":
            choice = "rebuild" if self._policy.window else "fail"
        if choice == "fail":
            raise ModelError(
                f"{partition}: {problem}. Going on would give scores that depend on this. Choose: --on-state-mismatch "
                "rebuild (feed all inputs still on the topic, outputs dropped), or restart (begin sessions anew)."
            )
        if choice == "rebuild":
            log.warning("%s: %s; rebuilding sessions from the inputs before %d", partition, problem, first)
            self._rebuild(partition, first, saved, keep_alive)
        else:
            log.warning("%s: %s; sessions begin anew", partition, problem)
            self._forget(partition, saved)

    def _rebuild(self, partition: Partition, before: int, saved: Sequence[StateRecord], keep_alive: KeepAlive) -> None:
        self._forget(partition, saved)
        self._feed(partition, self._inputs.start(partition, "earliest", keep_alive), before, keep_alive, published=True)

    def _forget(self, partition: Partition, saved: Sequence[StateRecord]) -> None:
        """Overwrite what was saved, so that it does not come back at the next restore."""
        self._sessions.carry(partition, [record.snapshot.key for record in saved if record.snapshot is not None])

    def _feed(self, partition: Partition, first: int, before: int, keep_alive: KeepAlive, *, published: bool) -> None:
        """Inputs through the model with outputs dropped. `published`: the outputs were published once, before state was lost."""
        if first >= before or not self._sessions.stateful:
            return
        started, count = time.perf_counter(), 0
        for records in self._inputs.read(partition, first, before):
            keep_alive()
            while records:
                part, records = records[: self._feed_size], records[self._feed_size :]
                self._feed_part(partition, part, published=published)
                count += len(part)
                self._watch.fed(partition, part[-1].offset + 1 - first, before - first)
                keep_alive()
        log.info(
            "%s: fed %d inputs before offset %d in %.1f s", partition, count, before, time.perf_counter() - started
        )

    def _feed_part(self, partition: Partition, records: Sequence[Record], *, published: bool) -> None:
        """Feeds one part, and sets the size of the next: with a slow model, a long one would cost the worker its membership."""
        started = time.perf_counter()
        self._scorer.feed(records, published=published)
        self._sessions.carry(partition)
        took = max(time.perf_counter() - started, 1e-6)
        self._feed_size = max(1, min(4 * self._feed_size, int(len(records) * FEED_S / took), 10_000))


def _at_most(saved: StateRecord, offset: int) -> StateRecord:
    snapshot: Snapshot | None = saved.snapshot
    if snapshot is None or snapshot.offset <= offset:
        return saved
    return saved._replace(snapshot=snapshot._replace(offset=offset))
