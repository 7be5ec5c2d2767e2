"""Input records read apart from the consumer group, to bring sessions up to a position."""

from __future__ import annotations

import time
from collections.abc import Iterator

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from stream_scorer.errors import Unavailable
from stream_scorer.ports import Breathe
from stream_scorer.records import Partition, Record
from stream_scorer.transports.kafka_changelog import STALLED_S, reader
from stream_scorer.transports.kafka_config import Properties, open_client
from stream_scorer.transports.kafka_errors import unreachable
from stream_scorer.transports.kafka_reader import begin_at
from stream_scorer.transports.kafka_record import to_record


class KafkaInputs:
    """The `Inputs` port over a topic."""

    def __init__(self, properties: Properties) -> None:
        self._properties = {**reader(properties), "client.id": "stream-scorer-inputs"}

    def start(self, partition: Partition, start: str, breathe: Breathe) -> int:
        (first, wanted), (before, _) = self._places(partition, start, "latest")
        return first if wanted is None else self._not_before(partition, first, before, wanted, breathe)

    def _places(self, partition: Partition, *starts: str) -> list[tuple[int, int | None]]:
        """As `begin_at` has them."""
        consumer = open_client(Consumer, self._properties)
        try:
            return [begin_at(consumer, partition, start) for start in starts]
        except KafkaException as error:
            raise unreachable(f"{partition}: no offsets", error.args[0]) from error
        finally:
            consumer.close()

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
        if first >= before:
            return
        consumer = open_client(Consumer, self._properties)
        try:
            consumer.assign([TopicPartition(*partition, first)])
            position, progress = first, time.monotonic()
            while position < before:
                messages = consumer.consume(5_000, 0.05)
                records = []
                for message in messages:
                    error = message.error()
                    if error is None:
                        position = (message.offset() or 0) + 1
                        if position <= before:
                            records.append(to_record(message, partition))
                    elif error.code() == KafkaError._PARTITION_EOF:
                        position = max(position, message.offset() or 0)
                        if position < before:
                            return  # all there is: what lies between is not committed, or gone
                    else:
                        raise unreachable(str(partition), error)
                if messages:
                    progress = time.monotonic()
                elif time.monotonic() - progress > STALLED_S:
                    raise Unavailable(f"{partition}: no inputs for {STALLED_S:.0f} s at offset {position} of {before}")
                yield records  # none too: the caller has to breathe
        finally:
            consumer.close()
