"""Records of a Kafka topic, as a member of a consumer group."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from stream_scorer.errors import BrokerError, EndOfInput
from stream_scorer.records import Partition, Record
from stream_scorer.transports.kafka_config import Properties, librdkafka_log

log = logging.getLogger(__name__)


def _nothing(partitions: list[Partition]) -> None:
    pass


class KafkaSource:
    """The `Source` port over one consumer.

    Args:
        properties: librdkafka's, from `kafka_config.consumer`.
        topics: to subscribe to.
        on_assigned, on_removed: called inside `poll` with the partitions that came or went.
        until_end: raise EndOfInput once every assigned partition was read to its end.
    """

    def __init__(
        self,
        properties: Properties,
        topics: Iterable[str],
        *,
        on_assigned: Callable[[list[Partition]], None] = _nothing,
        on_removed: Callable[[list[Partition]], None] = _nothing,
        until_end: bool = False,
    ) -> None:
        self._consumer = Consumer({**properties, "enable.partition.eof": until_end}, logger=librdkafka_log)
        self._on_assigned, self._on_removed = on_assigned, on_removed
        self._until_end = until_end
        self._partitions: dict[tuple[str, int], Partition] = {}  # one object per assigned partition
        self._moved: set[Partition] = set()
        self._ended: set[Partition] = set()
        self._consumer.subscribe(
            list(topics), on_assign=self._assigned, on_revoke=self._removed, on_lost=self._removed
        )

    def poll(self, limit: int, timeout_s: float) -> list[Record]:
        # consume(limit, timeout_s) would wait the whole time unless `limit` records come: wait for the
        # first, then take what is queued.
        first = self._consumer.poll(timeout_s)
        if first is None:
            return []
        messages = [first, *self._consumer.consume(limit - 1, 0)] if limit > 1 else [first]
        records = [record for message in messages if (record := self._record(message)) is not None]
        if not records and self._partitions and self._ended >= set(self._partitions.values()):
            raise EndOfInput
        return records

    def positions(self) -> Mapping[Partition, int]:
        wanted = [TopicPartition(*partition) for partition in self._moved]
        # position(), not the last offset + 1: it has stepped over transaction markers, so lag reaches 0.
        return {
            self._partitions[at.topic, at.partition]: at.offset
            for at in self._consumer.position(wanted)
            if at.offset >= 0
        }

    def settle(self) -> None:
        """What `positions` gave is committed."""
        self._moved.clear()

    def rewind(self) -> None:
        moved = [TopicPartition(*partition) for partition in self._moved]
        self._moved.clear()
        self._ended.clear()
        for at in self._consumer.committed(moved, timeout=30):
            if at.error:
                raise BrokerError(f"{at.topic}[{at.partition}]: no committed offset to go back to ({at.error.str()})")
            if (at.topic, at.partition) in self._partitions:
                self._consumer.seek(TopicPartition(at.topic, at.partition, at.offset if at.offset >= 0 else -2))

    def commit(self, positions: Mapping[Partition, int]) -> None:
        """Commit positions outside of any transaction: for at-least-once sinks."""
        offsets = [TopicPartition(*partition, offset) for partition, offset in positions.items()]
        for at in self._consumer.commit(offsets=offsets, asynchronous=False) or []:
            if at.error:
                raise KafkaException(at.error)

    def group_metadata(self) -> Any:
        """The group as it is now, for a transaction; None while this consumer is no member with partitions.

        A classic group would let a member that never joined move its offsets: it must not come to that.
        """
        if not self._partitions or not self._consumer.memberid():
            return None
        return self._consumer.consumer_group_metadata()

    def close(self) -> None:
        self._consumer.close()

    def _record(self, message: Message) -> Record | None:
        partition = self._partitions.get((message.topic(), message.partition()))
        error = message.error()
        if error is not None:
            self._event(error, partition)
            return None
        if partition is None:  # left within this very poll
            return None
        self._moved.add(partition)
        self._ended.discard(partition)
        kind, timestamp = message.timestamp()
        return Record(
            partition, message.offset(), message.key(), message.value(), timestamp if kind else None, message.headers()
        )

    def _event(self, error: KafkaError, partition: Partition | None) -> None:
        code = error.code()
        if code == KafkaError._PARTITION_EOF:
            if partition is not None:
                self._ended.add(partition)
        elif code in (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC):
            raise BrokerError(f"{error.str()} The input topic is gone: create it again or correct --input-topic.")
        elif code in (KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.GROUP_AUTHORIZATION_FAILED):
            raise BrokerError(f"{error.str()} The user needs Read and Describe on the topic and Read on the group.")
        elif error.fatal():
            raise BrokerError(f"the consumer cannot go on: {error.str()} ({error.name()})")
        else:
            log.warning("consumer: %s (%s)", error.str(), error.name())

    def _assigned(self, _: Consumer, offsets: list[TopicPartition]) -> None:
        came = [Partition(at.topic, at.partition) for at in offsets]
        log.info("assigned %s", ", ".join(map(str, came)) or "nothing")
        self._on_assigned(came)
        self._partitions.update((tuple(partition), partition) for partition in came)

    def _removed(self, _: Consumer, offsets: list[TopicPartition]) -> None:
        gone = [Partition(at.topic, at.partition) for at in offsets]
        log.info("revoked %s", ", ".join(map(str, gone)))
        for partition in gone:
            self._partitions.pop(tuple(partition), None)
        self._moved.difference_update(gone)
        self._ended.difference_update(gone)
        self._on_removed(gone)
