"""What a consumer reads of its partitions, and where it is."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from stream_scorer.kafka import answers as kafka_answers
from stream_scorer.kafka.clients import Properties
from stream_scorer.kafka.errors import may_pass, unreachable
from stream_scorer.records import Partition

ASK_S = 2.0
UNSTABLE_S = 10.0
"""Longer than a healthy transaction takes to end. After it a producer that is opened anew may end one that hangs."""


class Positions:
    """The partitions that one consumer reads, of those that its group has assigned, and its position in each.

    Args:
        properties: of the consumer.
    """

    def __init__(self, consumer: Consumer, properties: Properties) -> None:
        self._consumer = consumer
        # The group assigns partitions one by one, or all at once (eager).
        self._incremental = properties.get("group.protocol", "classic").lower() == "consumer" or "cooperative" in str(
            properties.get("partition.assignment.strategy", "")
        )
        self._first: dict[Partition, int] = {}  # of the partitions that are read

    def first(self, partition: Partition) -> int:
        """The offset where the consumer began to read a partition."""
        return self._first[partition]

    def take(self) -> None:
        """Inside the callback of an assignment: nothing new is read before `start`.

        Why not assign and pause: after `resume`, librdkafka may wait for up to a second.
        """
        if self._incremental:
            self._consumer.incremental_assign([])
        else:
            self._consumer.assign([])

    def start(self, offsets: Mapping[Partition, int]) -> None:
        """Read these partitions from these offsets on. Raises Unavailable."""
        if not offsets:
            return
        before = self.now(self._first)
        self._first |= offsets
        self._assign(offsets, before)

    def leave(self, partitions: Iterable[Partition]) -> None:
        """Do not read these partitions any more. Inside the callback of a revocation, or outside of it."""
        gone = [partition for partition in partitions if self._first.pop(partition, None) is not None]
        if self._incremental:
            self._consumer.incremental_unassign([TopicPartition(*partition) for partition in gone])
        elif self._first:
            self._assign({}, self.now(self._first))
        else:
            self._consumer.unassign()

    def _assign(self, new: Mapping[Partition, int], before: Mapping[Partition, int]) -> None:
        offsets = new if self._incremental else {**before, **new}
        places = [TopicPartition(*partition, offset) for partition, offset in offsets.items()]
        try:
            if self._incremental:
                self._consumer.incremental_assign(places)
            else:
                self._consumer.assign(places)
        except KafkaException as error:
            raise unreachable("partitions cannot be read", error.args[0]) from error

    def move(self, offsets: Mapping[Partition, int]) -> None:
        """Go to other offsets of partitions that are read. Raises Unavailable."""
        for partition, offset in offsets.items():
            try:
                self._consumer.seek(TopicPartition(*partition, offset))
            except KafkaException as error:
                if error.args[0].code() != KafkaError._STATE:
                    raise unreachable(f"{partition}: cannot go to {offset}", error.args[0]) from error
                # The consumer has stopped fetching, after an offset that the broker does not have.
                self.leave([partition])
                self.start({partition: offset})

    def now(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        """The next offset of each partition that is read.

        position(), not the last offset + 1: it has stepped over transaction markers, so that lag reaches 0.
        """
        read = {partition: partition for partition in partitions if partition in self._first}
        positions = {}
        for at in self._consumer.position([TopicPartition(*partition) for partition in read]):
            partition = read[Partition(at.topic, at.partition)]
            positions[partition] = at.offset if at.offset >= 0 else self._first[partition]
        return positions

    def committed(
        self, partitions: Iterable[Partition], keep_alive: Callable[[], None], unsure: Callable[[Partition], None]
    ) -> dict[Partition, TopicPartition]:
        """The group's committed offsets. Blocks until they are certain, 10 s at most, and calls `keep_alive` meanwhile.

        Args:
            unsure: called whenever they have not come in 2 s.
        Raises:
            Unavailable: no answer, or a transaction that changes an offset is still open. BrokerError.
        """
        places = list(partitions)
        if not places:
            return {}
        deadline = time.monotonic() + UNSTABLE_S
        while True:
            keep_alive()
            try:
                return kafka_answers.committed(self._consumer, places, ASK_S)
            except KafkaException as failed:
                error = failed.args[0]
            if not may_pass(error) or time.monotonic() > deadline:
                raise unreachable(f"{', '.join(map(str, places[:3]))}: no committed offset", error)
            unsure(places[0])
