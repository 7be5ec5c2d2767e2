"""Input records read apart from the consumer group, to bring sessions up to a position."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from stream_scorer.kafka.changelog import ANSWER_S, STALLED_S
from stream_scorer.kafka.clients import Properties
from stream_scorer.kafka.reader import TIMEOUT_S, Reader
from stream_scorer.ports import Breathe
from stream_scorer.records import Partition, Record


class KafkaInputs:
    """The `Inputs` port over a topic."""

    def __init__(self, properties: Properties) -> None:
        self._properties = properties

    def _open(self, answer_s: float = ANSWER_S) -> contextlib.closing[Reader]:
        return contextlib.closing(Reader(self._properties, "inputs", answer_s=answer_s, stalled_s=STALLED_S))

    def start(self, partition: Partition, start: str, breathe: Breathe) -> int:
        with self._open() as reader:
            first, wanted = reader.begin_at(partition, start)
            if wanted is None:
                return first
            _, before = reader.bounds(partition)
        return self._not_before(partition, first, before, wanted, breathe)

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
        with self._open(TIMEOUT_S) as reader:  # at the start of a service, which is not tried again
            low, before = reader.bounds(partition)
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
