"""The partitions of one consumer, and which of them have to be set up, committed or rewound."""

from __future__ import annotations

from collections.abc import Iterable

from stream_scorer.records import Partition


class Assignment:
    """The partitions that the group has assigned to a consumer.

    Each assignment of a partition makes a new object: `is` tells the records of this assignment from those of an earlier
    one.
    """

    def __init__(self) -> None:
        self.coming: dict[Partition, Partition] = {}
        """Assigned, not set up yet: not read."""
        self.ready: dict[Partition, Partition] = {}
        """Set up, and read."""
        self.moved: set[Partition] = set()
        """Records of it were returned since its position was last committed."""
        self.unsaved: set[Partition] = set()
        """It was set up with a position or state that is not on the broker yet."""
        self.ended: set[Partition] = set()
        """All records up to its end were returned."""

    def all(self) -> list[Partition]:
        return sorted([*self.ready.values(), *self.coming.values()])

    def add(self, partitions: Iterable[Partition]) -> None:
        """The group has assigned them."""
        self.coming |= {partition: partition for partition in partitions}

    def set_up(self, partition: Partition, *, saved: bool) -> None:
        """A partition of `coming` is read from now on. `saved`: its position and state are on the broker."""
        del self.coming[partition]
        self.ready[partition] = partition
        if not saved:
            self.unsaved.add(partition)

    def is_current(self, partition: Partition) -> bool:
        """Whether the partition is ready by the assignment that made this object."""
        return self.ready.get(partition) is partition

    def unready(self, partitions: Iterable[Partition]) -> None:
        """They are not read any more. Those of `coming` stay there."""
        for partition in partitions:
            self.ready.pop(partition, None)
            for some in (self.moved, self.unsaved, self.ended):
                some.discard(partition)

    def settle(self) -> None:
        """All positions are committed."""
        self.moved.clear()
        self.unsaved.clear()

    @property
    def at_end(self) -> bool:
        """Whether there are partitions, and all of them were read to their end."""
        return bool(self.ready) and self.ended >= set(self.ready.values())
