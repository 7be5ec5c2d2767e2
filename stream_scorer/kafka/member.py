"""One consumer in its group: it joins, and partitions come to it and leave it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from stream_scorer.errors import BrokerError
from stream_scorer.kafka.assignment import Assignment
from stream_scorer.kafka.clients import Properties, open_client
from stream_scorer.kafka.errors import TOPIC_GONE, UNAUTHORISED, finished, is_final
from stream_scorer.kafka.health import STATISTICS_EVERY_MS, Health
from stream_scorer.kafka.positions import Positions
from stream_scorer.kafka.reader import arrived
from stream_scorer.kafka.rights import NotAllowed
from stream_scorer.kafka.topic_ids import GONE_S
from stream_scorer.records import Partition

log = logging.getLogger(__name__)


class Member:
    """A consumer of a group, opened anew if it no longer finds its group.

    Partitions come and leave inside `messages` and `keep_alive`, and nowhere else.

    Args:
        properties: librdkafka's, from `kafka_config.consumer`.
        topics: to subscribe to.
        end_events: whether a message with the error _PARTITION_EOF comes at the end of each partition.
        dropped: called for every partition that leaves.
        changed: called after partitions have come or left.
    """

    def __init__(
        self,
        properties: Properties,
        topics: Iterable[str],
        *,
        end_events: bool,
        dropped: Callable[[Partition], None],
        changed: Callable[[], None],
    ) -> None:
        self._topics = list(topics)
        self._dropped, self._changed = dropped, changed
        self.health = Health(properties)
        own = {
            "auto.offset.reset": "error",  # never a jump in silence: the restorer is asked where to go on
            "enable.partition.eof": end_events,
            "statistics.interval.ms": STATISTICS_EVERY_MS,
            "stats_cb": self.health.statistics,
            "error_cb": self.health.error,
        }
        self._properties = {**properties, **own}
        self.assignment = Assignment()
        self._gone_since: float | None = None
        self._early: list[Message] = []  # came in `keep_alive`
        self.rebalances = 0
        self.joined = False
        """Whether the group has said which partitions this consumer has, be it none."""
        self._open()

    def _open(self) -> None:
        self.consumer = open_client(Consumer, self._properties)
        self.positions = Positions(self.consumer, self._properties)
        self.consumer.subscribe(self._topics, on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._lost)

    def open_anew(self) -> None:
        """Another consumer finds the group, and this one does not: join the group again."""
        log.warning("this consumer does not find its group, and another one does: joining it anew")
        for partition in self.assignment.all():
            self._unready([partition])
            self._dropped(partition)
        self.assignment.coming.clear()
        # It may take its time to leave. Its callbacks are ignored from now on.
        threading.Thread(target=self.consumer.close, name="leaving", daemon=True).start()
        self.health.renew()
        self.joined = False
        self._open()

    def messages(self, limit: int, timeout_s: float, gather_s: float) -> list[Message]:
        """As `arrived`. Messages that came in `keep_alive` are returned first, all of them, whatever the limit: the
        consumer's position is after them."""
        early, self._early = self._early, []
        return early or arrived(self.consumer, limit, timeout_s, gather_s)

    def keep_alive(self) -> None:
        """One poll that does not block: heartbeats go on, and a rebalance is noticed."""
        message = self.consumer.poll(0)
        if message is not None:
            self._early.append(message)

    def set_up_again(self, partition: Partition) -> None:
        """As if the partition had left and were assigned again."""
        self._unready([partition])
        self._dropped(partition)
        self.assignment.add([Partition(*partition)])

    def on_error(self, error: KafkaError, partition: Partition | None) -> None:
        """A message with an error in place of a record. `partition`: as it is ready, None if it is not.

        Raises BrokerError if only a person can mend it.
        """
        code = error.code()
        if code == KafkaError._PARTITION_EOF:
            if partition is not None:
                self.assignment.ended.add(partition)
        elif code in TOPIC_GONE:
            self._topic_gone(error)
        elif code in UNAUTHORISED:
            raise NotAllowed(f"{error.str()} ({error.name()})", UNAUTHORISED[code])
        elif code == KafkaError._AUTO_OFFSET_RESET:
            if partition is not None:
                log.warning("%s: %s; looking where to go on", partition, error.str())
                self.set_up_again(partition)
        elif is_final(error):
            raise finished(error)
        else:
            log.warning("consumer: %s (%s)", error.str(), error.name())

    def _topic_gone(self, error: KafkaError) -> None:
        """The topic may be created again."""
        now = time.monotonic()
        self._gone_since = self._gone_since or now
        if now - self._gone_since > GONE_S:
            raise BrokerError(f"{error.str()} The input topic is gone: create it again or correct --input-topic.")
        log.warning("%s Waiting up to %.0f s for the topic to be created again.", error.str(), GONE_S)

    def commit(self, offsets: list[TopicPartition]) -> None:
        """Commit offsets outside of any transaction. Blocks. Raises KafkaException."""
        for at in self.consumer.commit(offsets=offsets, asynchronous=False) or []:
            if at.error:
                raise KafkaException(at.error)

    def group_metadata(self) -> Any:
        """The group as it is now, for a transaction; None while this consumer is not a member with partitions.

        A classic group would let a consumer that never joined move its offsets. That must not happen.
        """
        if not self.assignment.all() or not self.consumer.memberid():
            return None
        return self.consumer.consumer_group_metadata()

    def close(self) -> None:
        """Leave the group. Blocks for some 5 s if no broker answers."""
        self.consumer.close()

    def _assigned(self, consumer: Consumer, offsets: list[TopicPartition]) -> None:
        if consumer is not self.consumer:
            return
        self.rebalances += 1
        self._gone_since = None
        self.assignment.add([Partition(at.topic, at.partition) for at in offsets])
        self.positions.take()
        self._changed()
        self.joined = True
        if not offsets:
            log.info("assigned nothing new")

    def _revoked(self, consumer: Consumer, offsets: list[TopicPartition]) -> None:
        if consumer is self.consumer:
            self._leave("revoked", offsets)

    def _lost(self, consumer: Consumer, offsets: list[TopicPartition]) -> None:
        if consumer is self.consumer:
            self.joined = False
            self._leave("lost", offsets)

    def _leave(self, how: str, offsets: list[TopicPartition]) -> None:
        gone = [Partition(at.topic, at.partition) for at in offsets]
        self.rebalances += 1
        log.info("%s %s", how, ", ".join(map(str, gone)))
        self._unready(gone)
        for partition in gone:
            self.assignment.coming.pop(partition, None)
            self._dropped(partition)
        self._changed()

    def _unready(self, partitions: list[Partition]) -> None:
        self.assignment.unready(partitions)
        gone = set(partitions)
        self._early = [message for message in self._early if (message.topic(), message.partition()) not in gone]
        self.positions.leave(partitions)
