"""Input records read outside the consumer group, to bring sessions up to a position."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from stream_scorer.kafka.changelog import ANSWER_S, STALLED_S
from stream_scorer.kafka.clients import Properties
from stream_scorer.kafka.reader import TIMEOUT_S, Reader
from stream_scorer.ports import KeepAlive
from stream_scorer.records import Partition, Record


class KafkaInputs:
    """The `Inputs` port over a topic."""

    def __init__(self, properties: Properties) -> None:
        self._properties = properties

    def _open(self, answer_s: float = ANSWER_S) -> contextlib.closing[Reader]:
        return contextlib.closing(Reader(self._properties, "inputs", answer_s=answer_s, stalled_s=STALLED_S))

    def start(self, partition: Partition, start: str, keep_alive: KeepAlive) -> int:
        with self._open() as reader:
            first, start_ms = reader.begin_at(partition, start)
            if start_ms is None:
                return first
            _, before = reader.bounds(partition)
        return self._not_before(partition, first, before, start_ms, keep_alive)

    def _not_before(self, partition: Partition, first: int, before: int, timestamp: int, keep_alive: KeepAlive) -> int:
        """Offset of the first record with at least this timestamp, in ms; `before` if there is none."""
        for records in self.read(partition, first, before):
            keep_alive()
            for record in records:
                if record.timestamp is not None and record.timestamp >= timestamp:
                    return record.offset
        return before

    def back(self, partition: Partition, before: int, count: int, keep_alive: KeepAlive) -> int:
        if not count:
            return before
        first = self.start(partition, "earliest", keep_alive)
        records = self._last(partition, first, before, count, keep_alive)
        return records[0].offset if len(records) == count else first

    def last(self, partition: Partition, count: int) -> list[Record]:
        """The last `count` records of a partition, or as many as there are. Blocks. Raises BrokerError, Unavailable."""
        with self._open(TIMEOUT_S) as reader:  # at the start of a service, where it is not tried again
            first, before = reader.bounds(partition)
        return self._last(partition, first, before, count, lambda: None)

    def _last(
        self, partition: Partition, earliest: int, before: int, count: int, keep_alive: KeepAlive
    ) -> list[Record]:
        reach = count
        while True:
            # Offsets count markers, aborted and compacted records too: look further back until there are enough records.
            first = max(earliest, before - reach)
            last: list[Record] = []
            for records in self.read(partition, first, before):
                keep_alive()
                last += records
            if len(last) >= count or first == earliest:
                return last[-count:]
            reach *= 4

    def read(self, partition: Partition, first: int, before: int) -> Iterator[list[Record]]:
        if first < before:
            with self._open() as reader:
                yield from reader.between({partition: (first, before)})
