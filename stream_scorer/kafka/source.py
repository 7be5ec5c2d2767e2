"""Records of a Kafka topic, as a member of a consumer group."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from stream_scorer.errors import BrokerError, EndOfInput, Interrupted, Unavailable
from stream_scorer.kafka import answers as kafka_answers
from stream_scorer.kafka.clients import Properties, open_client
from stream_scorer.kafka.commits import Commits, committed_at
from stream_scorer.kafka.errors import UNAUTHORISED, finished, is_final, unreachable
from stream_scorer.kafka.health import HEARD_EVERY_MS, Finding, Health
from stream_scorer.kafka.lag import Backlog
from stream_scorer.kafka.positions import Positions
from stream_scorer.kafka.reader import arrived
from stream_scorer.kafka.record import to_record
from stream_scorer.kafka.topic_ids import GONE_S, TopicIds
from stream_scorer.records import CommittedPosition, Lag, Partition, PartitionLog, Record, StartPosition

log = logging.getLogger(__name__)

TIMEOUT_S = 5.0
NOTE_EVERY_S = 0.5
BREATHE_EVERY_S = 0.1
TOPIC_GONE = (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC)

Begin = Callable[[Partition, "CommittedPosition | None", PartitionLog, Callable[[], None]], StartPosition]


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
        begin: (partition, what is committed or None, what the log holds, `breathe`) -> where to begin. Called inside
            `poll` for every partition that comes, before its first record. It calls `breathe` at least every second.
        dropped: called inside `poll` for every partition that leaves.
        start: where a group without a committed position begins, as `begin_at` takes it. `begin` decides. This is for
            the lag meanwhile, and to find out whether a partition was added since.
        until_end: raise EndOfInput once every assigned partition was read to its end.
        gather_s: seconds to wait for more records after the first.
        alive: called all along while partitions are set up; False: stop that, the worker is to end.
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
        self.health = Health(properties)
        own = {
            "auto.offset.reset": "error",  # never a jump in silence: `begin` is asked where to go on
            "enable.partition.eof": until_end,
            "statistics.interval.ms": HEARD_EVERY_MS,
            "stats_cb": self.health.heard,
            "error_cb": self.health.error,
        }
        self._properties = {**properties, **own}
        self._ids = ids
        self._begin, self._dropped = begin, dropped
        self._until_end = until_end
        self._gather_s = gather_s
        self._alive = alive
        # One object per assignment of a partition: a record of an earlier assignment has another.
        self._coming: dict[Partition, Partition] = {}  # assigned, not yet set up, not yet read
        self._partitions: dict[Partition, Partition] = {}  # set up
        self._early: list[Message] = []  # came while another partition was set up
        self._moved: set[Partition] = set()
        self._unsaved: set[Partition] = set()
        self._ended: set[Partition] = set()
        self._gone_since: float | None = None
        self._breathed_at = 0.0
        self.rebalances = 0
        self.waits_for = ""
        """Whose transaction holds back a position of the group that is to be read; empty if none does."""
        self.joined = False
        """Whether the group has said which partitions this consumer has, be it none."""
        self._commits = Commits(ids, self._committed, self._bounds, start)
        self._backlog = Backlog(properties, start)
        self._noted_at = 0.0
        self._open()

    def _open(self) -> None:
        self._consumer = open_client(Consumer, self._properties)
        self._at = Positions(self._consumer, self._properties)
        self._consumer.subscribe(self._topics, on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._lost)

    @property
    def assigned(self) -> list[Partition]:
        return sorted([*self._partitions.values(), *self._coming.values()])

    @property
    def unsaved(self) -> bool:
        return bool(self._unsaved)

    def poll(self, limit: int, timeout_s: float) -> list[Record]:
        self._note(NOTE_EVERY_S)
        if self._coming:
            self._set_up()
            return []
        records = self._poll(limit, timeout_s)
        if records:
            self._ids.ask()
        # The end of a partition may have come along with its last records: look whenever there are none.
        if self._until_end and not records and self._partitions and self._ended >= set(self._partitions.values()):
            raise EndOfInput
        return records

    def _poll(self, limit: int, timeout_s: float) -> list[Record]:
        # All of these, whatever the limit: the consumer's position is after them.
        messages, self._early = self._early, []
        if not messages:
            messages = arrived(self._consumer, limit, timeout_s, self._gather_s)
            if not messages:
                if self.health.ill():
                    self._look_into(Partition(self._topics[0], 0))
                return []
        assigned = set(map(id, self._partitions.values()))
        records = self._records(messages)
        if assigned != set(map(id, self._partitions.values())):
            # One of these messages told that its partition has to be set up anew: its records come again.
            records = [record for record in records if self._partitions.get(record.partition) is record.partition]
        return records

    def positions(self) -> Mapping[Partition, int]:
        self._ids.check()
        return self._at.now(self._moved | self._unsaved)

    def settle(self) -> None:
        self._moved.clear()
        self._unsaved.clear()

    def rewind(self) -> None:
        committed = self._committed(self._moved, lambda: None)
        self._at.move(
            {partition: self._at.first(partition) if at is None else at.offset for partition, at in committed.items()}
        )
        self._ended.difference_update(self._moved)
        self._moved.clear()

    def reload(self) -> None:
        for partition in list(self._partitions.values()):
            self._again(partition)
        try:
            self._set_up()
        except Unavailable:
            if self._coming:
                self._look_into(min(self._coming))
            raise

    def _look_into(self, partition: Partition) -> None:
        """Why the group does not answer. Joins it anew where that helps. Raises BrokerError where nothing does."""
        finding = self.health.look(partition)
        if finding is Finding.STALE:
            self._open_anew()
        elif finding is Finding.UNSTABLE:
            self.health.check_unstable(partition)

    def _open_anew(self) -> None:
        """Another consumer finds the group, and this one does not: it joins the group again."""
        log.warning("this consumer does not find its group, and another one does: joining it anew")
        for partition in self.assigned:
            self._forget([partition])
            self._dropped(partition)
        self._coming.clear()
        # It may take its time to leave; what it calls back is not heard any more.
        threading.Thread(target=self._consumer.close, name="leaving", daemon=True).start()
        self.health.renew()
        self.joined = False
        self._open()

    def commit(self, positions: Mapping[Partition, int]) -> None:
        """Commit positions outside of any transaction: for at-least-once sinks."""
        for at in self._consumer.commit(offsets=self.offsets(positions), asynchronous=False) or []:
            if at.error:
                raise KafkaException(at.error)

    def offsets(self, positions: Mapping[Partition, int]) -> list[TopicPartition]:
        """Positions as they are committed: with the id of the topic that they are of."""
        return [
            TopicPartition(*partition, offset, self._commits.metadata(partition))
            for partition, offset in positions.items()
        ]

    def group_metadata(self) -> Any:
        """The group as it is now, for a transaction; None while this consumer is no member with partitions.

        A classic group would let a member that never joined move its offsets: it must not come to that.
        """
        if not self.assigned or not self._consumer.memberid():
            return None
        return self._consumer.consumer_group_metadata()

    def lag(self) -> dict[Partition, Lag]:
        """Of every assigned partition. Safe from any thread."""
        return self._backlog.now()

    def _note(self, every_s: float = 0.0) -> None:
        """In the loop's thread: position() from another waits until nobody polls, which may be never."""
        now = time.monotonic()
        if now - self._noted_at >= every_s:
            self._noted_at = now
            self._backlog.note({**dict.fromkeys([*self._coming, *self._partitions]), **self._at.now(self._partitions)})

    def close(self) -> None:
        self._backlog.close()
        self._consumer.close()

    def _records(self, messages: list[Message]) -> list[Record]:
        records = []
        known, partition = None, None  # of the message before: most are of the same partition
        for message in messages:
            error = message.error()
            place = (message.topic(), message.partition())
            if place != known:
                # A partition that is still to be set up has no records yet: these are of its last assignment.
                known, partition = place, self._partitions.get(place)  # type: ignore[call-overload]
                if partition is not None and error is None:
                    self._moved.add(partition)
                    self._ended.discard(partition)
            if error is not None:
                self._event(error, partition)
                known = None
            elif partition is not None:  # else it left within this very poll
                records.append(to_record(message, partition))
        return records

    def _event(self, error: KafkaError, partition: Partition | None) -> None:
        code = error.code()
        if code == KafkaError._PARTITION_EOF:
            if partition is not None:
                self._ended.add(partition)
        elif code in TOPIC_GONE:
            self._topic_gone(error)
        elif code in UNAUTHORISED:
            raise BrokerError(f"{error.str()} The user needs Read and Describe on the topic and Read on the group.")
        elif code == KafkaError._AUTO_OFFSET_RESET:
            if partition is not None:
                log.warning("%s: %s; looking where to go on", partition, error.str())
                self._again(partition)
        elif is_final(error):
            raise finished(error)
        else:
            log.warning("consumer: %s (%s)", error.str(), error.name())

    def _topic_gone(self, error: KafkaError) -> None:
        """It may be about to be created again."""
        now = time.monotonic()
        self._gone_since = self._gone_since or now
        if now - self._gone_since > GONE_S:
            raise BrokerError(f"{error.str()} The input topic is gone: create it again or correct --input-topic.")
        log.warning("%s Waiting up to %.0f s for the topic to be created again.", error.str(), GONE_S)

    def _assigned(self, consumer: Consumer, offsets: list[TopicPartition]) -> None:
        if consumer is not self._consumer:
            return
        came = [Partition(at.topic, at.partition) for at in offsets]
        self.rebalances += 1
        self._gone_since = None
        self._coming |= {partition: partition for partition in came}
        self._at.take()
        self._note()
        self.joined = True
        if not came:
            log.info("assigned nothing new")

    def _set_up(self) -> None:
        """Begin every partition that has come, and let its records in. Raises what `begin` does.

        Those not begun for an error are tried again by the next `poll` or `reload`.
        """
        begun_here: dict[Partition, int] = {}
        try:
            while self._coming:
                partition = min(self._coming.values())
                try:
                    begun = self._begin_one(partition)
                except _Left:
                    continue
                del self._coming[partition]
                self._partitions[partition] = partition
                if not begun.saved:
                    self._unsaved.add(partition)
                begun_here[partition] = begun.offset
        except Interrupted:
            return
        finally:
            # One may have left while a later one was set up.
            begun_here = {one: at for one, at in begun_here.items() if self._partitions.get(one) is one}
            self._at.start(begun_here)
            self._note()
        # Last: who reads this line may rely on where each partition begins.
        log.info("assigned %s", ", ".join(map(str, begun_here)) or "nothing new")

    def _begin_one(self, partition: Partition) -> StartPosition:
        def breathe() -> None:
            self._breathe(partition)

        committed, holds = self._commits.look(partition, breathe)
        return self._begin(partition, committed, holds, breathe)

    def _bounds(self, partition: Partition) -> tuple[int, int]:
        try:
            return kafka_answers.bounds(self._consumer, partition, TIMEOUT_S)
        except KafkaException as error:
            raise unreachable(f"{partition}: no offsets", error.args[0]) from error

    def _breathe(self, partition: Partition) -> None:
        """Keep the membership alive while a partition is set up.

        Raises Interrupted: the worker is to end. _Left: the partition was revoked meanwhile.
        """
        if not self._alive():
            raise Interrupted
        now = time.monotonic()
        if now - self._breathed_at < BREATHE_EVERY_S:
            return
        self._breathed_at = now
        self._note(NOTE_EVERY_S)
        message = self._consumer.poll(0)
        if message is not None:
            self._early.append(message)  # at most ten a second
        if self._coming.get(partition) is not partition:
            raise _Left

    def _again(self, partition: Partition) -> None:
        """Set a partition up anew, as if it were assigned again."""
        self._forget([partition])
        self._dropped(partition)
        coming = Partition(*partition)
        self._coming[coming] = coming

    def _revoked(self, consumer: Consumer, offsets: list[TopicPartition]) -> None:
        if consumer is self._consumer:
            self._leave("revoked", offsets)

    def _lost(self, consumer: Consumer, offsets: list[TopicPartition]) -> None:
        if consumer is self._consumer:
            self.joined = False
            self._leave("lost", offsets)

    def _leave(self, how: str, offsets: list[TopicPartition]) -> None:
        gone = [Partition(at.topic, at.partition) for at in offsets]
        self.rebalances += 1
        log.info("%s %s", how, ", ".join(map(str, gone)))
        self._forget(gone)
        for partition in gone:
            self._coming.pop(partition, None)
            self._dropped(partition)
        self._note()

    def _forget(self, partitions: list[Partition]) -> None:
        for partition in partitions:
            self._partitions.pop(partition, None)
        for kept in (self._moved, self._unsaved, self._ended):
            kept.difference_update(partitions)
        gone = set(partitions)
        self._early = [one for one in self._early if (one.topic(), one.partition()) not in gone]
        self._at.leave(partitions)

    def _explain(self, partition: Partition) -> None:
        """Say once what the group's position is waited for. Nobody would know whether it hangs, or for how long."""
        if not self.waits_for and (found := self.health.explain(partition, lambda: not self._alive())):
            self.waits_for = found
            log.warning("%s: waiting for the group's position. %s", partition, found)

    def _committed(
        self, partitions: Iterable[Partition], breathe: Callable[[], None]
    ) -> dict[Partition, CommittedPosition | None]:
        found = self._at.committed(partitions, breathe, self._explain)
        for partition in found:
            self.health.certain(partition)
        if found and self.waits_for:
            log.info("%s: the group's position is certain", next(iter(found)))
            self.waits_for = ""
        return {partition: committed_at(at.offset, at.metadata) for partition, at in found.items()}
