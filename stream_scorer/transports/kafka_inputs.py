"""Input records read apart from the consumer group, to bring sessions up to a position."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from stream_scorer.ports import Breathe
from stream_scorer.records import Partition, Record
from stream_scorer.transports.kafka_changelog import ANSWER_S, STALLED_S
from stream_scorer.transports.kafka_clients import Properties
from stream_scorer.transports.kafka_reader import Reader


class KafkaInputs:
    """The `Inputs` port over a topic."""

    def __init__(self, properties: Properties) -> None:
        self._properties = properties

    def _open(self) -> contextlib.closing[Reader]:
        return contextlib.closing(Reader(self._properties, "inputs", answer_s=ANSWER_S, stalled_s=STALLED_S))

    def start(self, partition: Partition, start: str, breathe: Breathe) -> int:
        (first, wanted), (before, _) = self._places(partition, start, "latest")
        return first if wanted is None else self._not_before(partition, first, before, wanted, breathe)

    def _places(self, partition: Partition, *starts: str) -> list[tuple[int, int | None]]:
        """As `begin_at` has them."""
        with self._open() as reader:
            return [reader.begin_at(partition, start) for start in starts]

    def _not_before(self, partition: Partition, first: int, before: int, timestamp: int, breathe: Breathe) -> int:
        """Offset of the first record of at least a timestamp, in ms."""
        for records in self.read(partition, first, before):
            breathe()
            for record in records:
                if record.timestamp is not None and record.timestamp >= timestamp:
                    return record.offset
        return before

    def back(self, partition: Partition, before: int, count: int, breathe: Breathe) -> int:
        if not count:
            return before
        low = self.start(partition, "earliest", breathe)
        records = self._last(partition, low, before, count, breathe)
        return records[0].offset if len(records) == count else low

    def last(self, partition: Partition, count: int) -> list[Record]:
        """The last records of a partition, `count` of them or as many as there are."""
        (low, _), (before, _) = self._places(partition, "earliest", "latest")
        return self._last(partition, low, before, count, lambda: None)

    def _last(self, partition: Partition, low: int, before: int, count: int, breathe: Breathe) -> list[Record]:
        reach = count
        while True:
            # Offsets count markers, aborted and compacted records too: look further until enough are records.
            first = max(low, before - reach)
            found = []
            for records in self.read(partition, first, before):
                breathe()
                found += records
            if len(found) >= count or first == low:
                return found[-count:]
            reach *= 4

    def read(self, partition: Partition, first: int, before: int) -> Iterator[list[Record]]:
        if first < before:
            with self._open() as reader:
                yield from reader.between({partition: (first, before)})
