"""Where a consumer is in the partitions that its group has given to it."""

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
"""Longer than a healthy transaction takes to end; after that a producer that is opened anew may end a hanging one."""


class Positions:
    """What one consumer reads of what its group has given to it, and from where.

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
        """The offset where a partition began here."""
        return self._first[partition]

    def take(self) -> None:
        """Inside the callback of an assignment: nothing new is read before `start`.

        A partition assigned here and paused would do too, but a resumed one rests for up to a second in librdkafka.
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
        """Read these partitions no more, if they are read. Inside the callback of a revocation, or outside."""
        gone = [partition for partition in partitions if self._first.pop(partition, None) is not None]
        if self._incremental:
            self._consumer.incremental_unassign([TopicPartition(*partition) for partition in gone])
        elif self._first:
            self._assign({}, self.now(self._first))
        else:
            self._consumer.unassign()

    def _assign(self, new: Mapping[Partition, int], before: Mapping[Partition, int]) -> None:
        wanted = new if self._incremental else {**before, **new}
        places = [TopicPartition(*partition, offset) for partition, offset in wanted.items()]
        try:
            if self._incremental:
                self._consumer.incremental_assign(places)
            else:
                self._consumer.assign(places)
        except KafkaException as error:
            raise unreachable("partitions cannot be read", error.args[0]) from error

    def move(self, offsets: Mapping[Partition, int]) -> None:
        """Go to other offsets. Raises Unavailable."""
        for partition, offset in offsets.items():
            try:
                self._consumer.seek(TopicPartition(*partition, offset))
            except KafkaException as error:
                if error.args[0].code() != KafkaError._STATE:
                    raise unreachable(f"{partition}: cannot go to {offset}", error.args[0]) from error
                # Its fetching has stopped, after an offset that the broker does not have.
                self.leave([partition])
                self.start({partition: offset})

    def now(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        """The next offset of each partition that is read.

        position(), not the last offset + 1: it has stepped over transaction markers, so that lag reaches 0.
        """
        mine = {partition: partition for partition in partitions if partition in self._first}
        found = self._consumer.position([TopicPartition(*partition) for partition in mine])
        now = {}
        for at in found:
            partition = mine[Partition(at.topic, at.partition)]
            now[partition] = at.offset if at.offset >= 0 else self._first[partition]
        return now

    def committed(
        self, partitions: Iterable[Partition], breathe: Callable[[], None], unsure: Callable[[Partition], None]
    ) -> dict[Partition, TopicPartition]:
        """What the group has committed. Blocks until it is certain, 10 s at most, and calls `breathe` meanwhile.

        `unsure` is called whenever one has not come in 2 s.
        Raises Unavailable: no answer, or a transaction that moves it is still open.
        """
        wanted = list(partitions)
        if not wanted:
            return {}
        deadline = time.monotonic() + UNSTABLE_S
        while True:
            breathe()
            try:
                return kafka_answers.committed(self._consumer, wanted, ASK_S)
            except KafkaException as failed:
                error = failed.args[0]
            if not may_pass(error) or time.monotonic() > deadline:
                raise unreachable(f"{', '.join(map(str, wanted[:3]))}: no committed offset", error)
            unsure(wanted[0])
