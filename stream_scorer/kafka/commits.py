"""What a group has committed of a partition, with what stands beside: of which topic that is, and what the group began with."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping

from stream_scorer.kafka.topic_ids import TopicIds
from stream_scorer.records import CommittedPosition, Partition, PartitionLog

SETTLED_S = 3.0
_TOPIC_ID, _BEGAN_WITH = "topic-id=", "began-with="


def metadata(topic_id: str, began_with: int) -> str:
    """Of a committed offset. Versions before `began-with` read the end of it alone: the id stays last.

    began_with: partitions that the topic had when the group began with this one; 0: not known.
    """
    return (f"{_BEGAN_WITH}{began_with} " if began_with else "") + _TOPIC_ID + topic_id


def committed_at(offset: int, text: str | None) -> CommittedPosition | None:
    """A committed offset as a broker gives it, below 0 where there is none, and its metadata."""
    if offset < 0:
        return None
    before, _, topic_id = (text or "").partition(_TOPIC_ID)
    count = before.removeprefix(_BEGAN_WITH).strip()
    return CommittedPosition(offset, topic_id, int(count) if count.isdecimal() else 0)


Found = Mapping[Partition, "CommittedPosition | None"]
Breathe = Callable[[], None]


class Commits:
    """What is committed of the partitions of one consumer, beside what they hold.

    Args:
        committed: looks up positions of the group; blocks, calls `breathe` meanwhile, raises Unavailable.
        bounds: the first offset of a partition, and the one after its last record.
        start: where a group without a position begins.
    """

    def __init__(
        self,
        ids: TopicIds,
        committed: Callable[[Iterable[Partition], Breathe], Found],
        bounds: Callable[[Partition], tuple[int, int]],
        start: str,
    ) -> None:
        self._ids, self._committed, self._bounds, self._start = ids, committed, bounds, start
        self._began_with: dict[Partition, int] = {}

    def look(self, partition: Partition, breathe: Breathe) -> tuple[CommittedPosition | None, PartitionLog]:
        """Before a partition is set up. Blocks for some seconds at most. Raises TransportError, and what `breathe` does."""
        topic_id = self._ids.look_up(partition.topic)
        committed = self._committed([partition], breathe)[partition]
        added = committed is None and self._was_added(partition, topic_id, breathe)
        known = committed.began_with if committed and committed.topic_id == topic_id else 0
        self._began_with[partition] = known or self._ids.partitions(partition.topic)
        deadline = time.monotonic() + SETTLED_S
        while True:
            first, end = self._bounds(partition)
            # A leader that has just started may not know its end yet.
            if committed is None or committed.offset <= end or time.monotonic() > deadline:
                return committed, PartitionLog(first, end, topic_id, added)
            breathe()

    def metadata(self, partition: Partition) -> str:
        """Of the next position that is committed of a partition."""
        return metadata(self._ids.known(partition.topic), self._began_with.get(partition, 0))

    def _was_added(self, partition: Partition, topic_id: str, breathe: Breathe) -> bool:
        """Whether the group had begun with other partitions when this one, which it has no position of, was not there."""
        if self._start == "earliest":  # makes no difference
            return False
        others = [Partition(partition.topic, number) for number in range(self._ids.partitions(partition.topic))]
        found = self._committed([one for one in others if one != partition], breathe).values()
        began = [one.began_with for one in found if one and one.began_with and one.topic_id == topic_id]
        return any(count <= partition.number for count in began)
