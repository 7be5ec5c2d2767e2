"""Records of a Kafka topic, as a member of a consumer group."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from confluent_kafka import Message, TopicPartition

from stream_scorer.errors import EndOfInput, Interrupted, Unavailable
from stream_scorer.kafka.clients import Properties
from stream_scorer.kafka.commits import Commits
from stream_scorer.kafka.health import Finding
from stream_scorer.kafka.lag import Backlog
from stream_scorer.kafka.member import Member
from stream_scorer.kafka.record import to_record
from stream_scorer.kafka.topic_ids import TopicIds
from stream_scorer.ports import KeepAlive
from stream_scorer.records import CommittedPosition, Lag, Partition, PartitionLog, Record, SourceStatus, StartPosition

log = logging.getLogger(__name__)

POSITIONS_EVERY_S = 0.5
KEEP_ALIVE_EVERY_S = 0.1

Begin = Callable[[Partition, "CommittedPosition | None", PartitionLog, KeepAlive], StartPosition]


class _Left(Exception):
    """The partition that is being set up was given to another worker."""


class KafkaSource:
    """The `Source` port over one consumer.

    A partition that is assigned is set up by the next `poll`: outside the rebalance callback, so that a long restore
    neither stops the heartbeats nor runs into `max.poll.interval.ms`. It is read from then on.

    Args:
        properties: librdkafka's, from `kafka_config.consumer`.
        topics: to subscribe to.
        ids: looks up the ids of the topics.
        begin: (partition, its committed offset or None, what its log holds, `keep_alive`) -> where to begin. Called inside
            `poll` for every partition that comes, before its first record. It calls `keep_alive` at least every second.
        dropped: called inside `poll` for every partition that leaves.
        start: where a group without a committed offset begins, as `begin_at` takes it. `begin` decides where records are
            read from; `start` is for the lag meanwhile, and to find out whether a partition was added since.
        until_end: raise EndOfInput once every assigned partition was read to its end.
        gather_s: seconds to wait for more records after the first.
        alive: called at least every second while partitions are set up; False ends that, as the worker is to end.
    """

    def __init__(
        self,
        properties: Properties,
        topics: Iterable[str],
        *,
        ids: TopicIds,
        begin: Begin,
        dropped: Callable[[Partition], None],
        start: str = "earliest",
        until_end: bool = False,
        gather_s: float = 0.0,
        alive: Callable[[], bool] = lambda: True,
    ) -> None:
        self._topics = list(topics)
        self._ids, self._begin = ids, begin
        self._until_end, self._gather_s = until_end, gather_s
        self._alive, self._kept_alive_at = alive, 0.0
        self._member = Member(
            properties, self._topics, end_events=until_end, dropped=dropped, changed=self._note_positions
        )
        self._assignment = self._member.assignment
        self._commits = Commits(self._member, ids, start=start, stopping=lambda: not alive())
        self._backlog, self._noted_at = Backlog(properties, start), 0.0

    @property
    def unsaved(self) -> bool:
        return bool(self._assignment.unsaved)

    def poll(self, limit: int, timeout_s: float) -> list[Record]:
        self._note_positions(POSITIONS_EVERY_S)
        if self._assignment.coming:
            self._set_up()
            return []
        records = self._poll(limit, timeout_s)
        if records:
            self._ids.ask()
        # The end of a partition may have come along with its last records: look whenever there are none.
        if self._until_end and not records and self._assignment.at_end:
            raise EndOfInput
        return records

    def _poll(self, limit: int, timeout_s: float) -> list[Record]:
        messages = self._member.messages(limit, timeout_s, self._gather_s)
        if not messages:
            if self._member.health.ill():
                self._look_into(Partition(self._topics[0], 0))
            return []
        assigned = set(map(id, self._assignment.ready.values()))
        records = self._records(messages)
        if assigned != set(map(id, self._assignment.ready.values())):
            # An error among these messages had its partition set up anew: the records of that partition come again.
            records = [record for record in records if self._assignment.is_current(record.partition)]
        return records

    def _records(self, messages: list[Message]) -> list[Record]:
        records = []
        assignment = self._assignment
        known, partition = None, None  # of the message before: most are of the same partition
        for message in messages:
            error = message.error()
            place = (message.topic(), message.partition())
            if place != known:
                # A partition that is still to be set up has no records yet: these are of its last assignment.
                known, partition = place, assignment.ready.get(place)  # type: ignore[call-overload]
                if partition is not None and error is None:
                    assignment.moved.add(partition)
                    assignment.ended.discard(partition)
            if error is not None:
                self._member.on_error(error, partition)
                known = None
            elif partition is not None:  # else it left within this very poll
                records.append(to_record(message, partition))
        return records

    def positions(self) -> Mapping[Partition, int]:
        self._ids.check()
        return self._member.positions.now(self._assignment.moved | self._assignment.unsaved)

    def settle(self) -> None:
        self._assignment.settle()

    def rewind(self) -> None:
        moved, positions = self._assignment.moved, self._member.positions
        committed = self._commits.committed(moved, lambda: None)
        positions.move(
            {partition: positions.first(partition) if at is None else at.offset for partition, at in committed.items()}
        )
        self._assignment.ended.difference_update(moved)
        moved.clear()

    def reload(self) -> None:
        for partition in list(self._assignment.ready.values()):
            self._member.set_up_again(partition)
        try:
            self._set_up()
        except Unavailable:
            if self._assignment.coming:
                self._look_into(min(self._assignment.coming))
            raise

    def _look_into(self, partition: Partition) -> None:
        """Why the group does not answer. Joins it anew if that helps. Raises BrokerError if waiting does not."""
        finding = self._member.health.look(partition)
        if finding is Finding.STALE:
            self._member.open_anew()
        elif finding is Finding.UNSTABLE:
            self._member.health.check_unstable(partition)

    def commit(self, positions: Mapping[Partition, int]) -> None:
        """Commit positions outside of any transaction: for at-least-once sinks. Raises KafkaException."""
        self._member.commit(self.offsets(positions))

    def offsets(self, positions: Mapping[Partition, int]) -> list[TopicPartition]:
        """Positions as they are committed, with their metadata."""
        return self._commits.offsets(positions)

    def group_metadata(self) -> Any:
        """As `Member.group_metadata`."""
        return self._member.group_metadata()

    def lag(self) -> dict[Partition, Lag]:
        """Of every assigned partition. Safe from any thread."""
        return self._backlog.now()

    def status(self) -> SourceStatus:
        """Safe from any thread, and does not block."""
        health = self._member.health
        return SourceStatus(
            lag=self.lag(),
            connected=health.connected,
            reason=health.reason,
            rebalances=self._member.rebalances,
            joined=self._member.joined,
            waits_for=self.waits_for,
        )

    @property
    def waits_for(self) -> str:
        """As `Commits.waits_for`."""
        return self._commits.waits_for

    def _note_positions(self, every_s: float = 0.0) -> None:
        """For the lag. In the loop's thread: position() in another one waits until nobody polls, which may be never."""
        now = time.monotonic()
        if now - self._noted_at >= every_s:
            self._noted_at = now
            ready = self._assignment.ready
            being_set_up = dict.fromkeys([*self._assignment.coming, *ready])
            self._backlog.note({**being_set_up, **self._member.positions.now(ready)})

    def close(self) -> None:
        self._backlog.close()
        self._member.close()

    def _set_up(self) -> None:
        """Begin every partition that has come, and let its records in. Raises what `begin` does.

        Those that were not set up, because of an error, are tried again by the next `poll` or `reload`.
        """
        assignment = self._assignment
        offsets: dict[Partition, int] = {}
        try:
            while assignment.coming:
                partition = min(assignment.coming.values())
                try:
                    begun = self._begin_partition(partition)
                except _Left:
                    continue
                assignment.set_up(partition, saved=begun.saved)
                offsets[partition] = begun.offset
        except Interrupted:
            return
        finally:
            # A partition may have left while a later one was set up.
            offsets = {partition: offset for partition, offset in offsets.items() if assignment.is_current(partition)}
            self._member.positions.start(offsets)
            self._note_positions()
        # This line comes last: by now it is fixed where each partition begins, and a person or a script may rely on it.
        log.info("assigned %s", ", ".join(map(str, offsets)) or "nothing new")

    def _begin_partition(self, partition: Partition) -> StartPosition:
        def keep_alive() -> None:
            self._keep_alive(partition)

        committed, holds = self._commits.look(partition, keep_alive)
        return self._begin(partition, committed, holds, keep_alive)

    def _keep_alive(self, partition: Partition) -> None:
        """Stay a member of the group while a partition is set up.

        Raises Interrupted: the worker is to end. _Left: the partition was revoked meanwhile.
        """
        if not self._alive():
            raise Interrupted
        now = time.monotonic()
        if now - self._kept_alive_at < KEEP_ALIVE_EVERY_S:
            return
        self._kept_alive_at = now
        self._note_positions(POSITIONS_EVERY_S)
        self._member.keep_alive()
        if self._assignment.coming.get(partition) is not partition:
            raise _Left
