"""Input records read apart from the consumer group, to bring sessions up to a position."""

from __future__ import annotations

import time
from collections.abc import Iterator

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from stream_scorer.errors import Unavailable
from stream_scorer.records import Partition, Record
from stream_scorer.times import timestamp_ms
from stream_scorer.transports.kafka_config import Properties, open_client
from stream_scorer.transports.kafka_errors import unreachable
from stream_scorer.transports.kafka_source import to_record

STALLED_S = 60.0
TIMEOUT_S = 30.0


class KafkaInputs:
    """The `Inputs` port over a topic."""

    def __init__(self, properties: Properties) -> None:
        self._properties = {
            **properties,
            "enable.partition.eof": True,
            "client.id": "stream-scorer-inputs",
            "fetch.wait.max.ms": 10,
        }

    def start(self, partition: Partition, start: str) -> int:
        consumer = open_client(Consumer, self._properties)
        try:
            at = TopicPartition(*partition)
            low, high = consumer.get_watermark_offsets(at, timeout=TIMEOUT_S)
            if start == "earliest":
                return int(low)
            if start == "latest":
                return int(high)
            # RunSettings has checked that it is one or the other.
            wanted = int(start) if start.isdecimal() else timestamp_ms(start)
            first = int(low)
            if wanted >= 0:  # brokers look up no time before 1970, though records may be of one
                at.offset = wanted
                first = consumer.offsets_for_times([at], timeout=TIMEOUT_S)[0].offset
        except KafkaException as error:
            raise unreachable(f"{partition}: no offsets", error.args[0]) from error
        finally:
            consumer.close()
        if first < 0:
            return int(high)
        return self._not_before(partition, first, int(high), wanted)

    def _not_before(self, partition: Partition, first: int, before: int, timestamp: int) -> int:
        """Offset of the first record of at least a timestamp, in ms.

        The broker's answer counts transaction markers, whose time is the wall clock's: on a topic of old
        dates it is the first marker, whatever was asked.
        """
        for records in self.read(partition, first, before):
            for record in records:
                if record.timestamp is not None and record.timestamp >= timestamp:
                    return record.offset
        return before

    def back(self, partition: Partition, before: int, count: int) -> int:
        if not count:
            return before
        low = self.start(partition, "earliest")
        records = self._last(partition, low, before, count)
        return records[0].offset if len(records) == count else low

    def last(self, partition: Partition, count: int) -> list[Record]:
        """The last records of a partition, `count` of them or as many as there are."""
        low, before = (self.start(partition, end) for end in ("earliest", "latest"))
        return self._last(partition, low, before, count)

    def _last(self, partition: Partition, low: int, before: int, count: int) -> list[Record]:
        reach = count
        while True:
            # Offsets count markers, aborted and compacted records too: look further until enough are records.
            first = max(low, before - reach)
            found = [record for records in self.read(partition, first, before) for record in records]
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
                if records:
                    yield records
        finally:
            consumer.close()
