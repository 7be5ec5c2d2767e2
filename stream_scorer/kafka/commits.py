"""What a group has committed of a partition, with its metadata: the topic's id, and its partition count at the beginning."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping

from confluent_kafka import KafkaException, TopicPartition

from stream_scorer.kafka import answers as kafka_answers
from stream_scorer.kafka.errors import unreachable
from stream_scorer.kafka.member import Member
from stream_scorer.kafka.topic_ids import TopicIds
from stream_scorer.ports import KeepAlive
from stream_scorer.records import CommittedPosition, Partition, PartitionLog

log = logging.getLogger(__name__)

BOUNDS_S = 5.0
SETTLED_S = 3.0
_TOPIC_ID, _BEGAN_WITH = "topic-id=", "began-with="


def metadata(topic_id: str, began_with: int) -> str:
    """The metadata of a committed offset. Versions before `began-with` read the end of it alone: the id stays last.

    began_with: partitions that the topic had when the group began with this one; 0: not known.
    """
    return (f"{_BEGAN_WITH}{began_with} " if began_with else "") + _TOPIC_ID + topic_id


def committed_at(offset: int, text: str | None) -> CommittedPosition | None:
    """From a committed offset as a broker gives it, below 0 if there is none, and its metadata, whoever wrote them."""
    if offset < 0:
        return None
    before, _, topic_id = (text or "").partition(_TOPIC_ID)
    count = before.removeprefix(_BEGAN_WITH).strip()
    return CommittedPosition(offset, topic_id, int(count) if count.isdecimal() and len(count) < 10 else 0)


class Commits:
    """The committed offsets of one member's partitions, and the logs that they belong to.

    Args:
        start: where a group without a committed offset begins.
        stopping: whether the worker is to end.
    """

    def __init__(self, member: Member, ids: TopicIds, *, start: str, stopping: Callable[[], bool]) -> None:
        self._member, self._ids = member, ids
        self._start, self._stopping = start, stopping
        self._began_with: dict[Partition, int] = {}
        self.waits_for = ""
        """Whose transaction holds back a committed offset of the group; empty if none does."""

    def look(self, partition: Partition, keep_alive: KeepAlive) -> tuple[CommittedPosition | None, PartitionLog]:
        """Before a partition is set up. Blocks for some seconds at most. Raises TransportError, and what `keep_alive` does."""
        topic_id = self._ids.look_up(partition.topic)
        committed = self.committed([partition], keep_alive)[partition]
        added = committed is None and self._was_added(partition, topic_id, keep_alive)
        began_with = committed.began_with if committed and committed.topic_id == topic_id else 0
        self._began_with[partition] = began_with or self._ids.partitions(partition.topic)
        deadline = time.monotonic() + SETTLED_S
        while True:
            first, end = self._bounds(partition)
            # A leader that has just started may not know its end yet.
            if committed is None or committed.offset <= end or time.monotonic() > deadline:
                return committed, PartitionLog(first, end, topic_id, added)
            keep_alive()

    def committed(
        self, partitions: Iterable[Partition], keep_alive: KeepAlive
    ) -> dict[Partition, CommittedPosition | None]:
        """The group's committed offsets. Blocks for 10 s at most, and calls `keep_alive` meanwhile. Raises TransportError."""
        committed = self._member.positions.committed(partitions, keep_alive, self._explain)
        for partition in committed:
            self._member.health.certain(partition)
        if committed and self.waits_for:
            log.info("%s: the group's position is certain", next(iter(committed)))
            self.waits_for = ""
        return {partition: committed_at(at.offset, at.metadata) for partition, at in committed.items()}

    def offsets(self, positions: Mapping[Partition, int]) -> list[TopicPartition]:
        """Positions as they are committed: with the id of the topic that they are of."""
        return [
            TopicPartition(*partition, offset, self._metadata(partition)) for partition, offset in positions.items()
        ]

    def _metadata(self, partition: Partition) -> str:
        return metadata(self._ids.known(partition.topic), self._began_with.get(partition, 0))

    def _explain(self, partition: Partition) -> None:
        """PartitionLog once what holds the committed offset back. Nobody would know whether that hangs, or for how long."""
        if not self.waits_for and (reason := self._member.health.explain(partition, self._stopping)):
            self.waits_for = reason
            log.warning("%s: waiting for the group's position. %s", partition, reason)

    def _bounds(self, partition: Partition) -> tuple[int, int]:
        try:
            return kafka_answers.bounds(self._member.consumer, partition, BOUNDS_S)
        except KafkaException as error:
            raise unreachable(f"{partition}: no offsets", error.args[0]) from error

    def _was_added(self, partition: Partition, topic_id: str, keep_alive: KeepAlive) -> bool:
        """Whether a partition without a committed offset did not exist when the group began with the topic."""
        if self._start == "earliest":  # makes no difference
            return False
        others = [Partition(partition.topic, number) for number in range(self._ids.partitions(partition.topic))]
        committed = self.committed([other for other in others if other != partition], keep_alive).values()
        counts = [at.began_with for at in committed if at and at.began_with and at.topic_id == topic_id]
        return any(count <= partition.number for count in counts)
