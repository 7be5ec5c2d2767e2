"""Topics followed as records come, by a reader that is in no group: committed records only, nobody's share."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from types import TracebackType

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from stream_scorer.errors import BrokerError, Unavailable
from stream_scorer.records import Partition, Record
from stream_scorer.transports.kafka_config import Properties, open_client
from stream_scorer.transports.kafka_errors import unreachable
from stream_scorer.transports.kafka_reader import TIMEOUT_S, begin_at, partitions_of
from stream_scorer.transports.kafka_record import to_record

_CHUNK = 1_000


class Followed:
    """Open until left.

    Args:
        properties: of a consumer, as `kafka_config.consumer` gives them; no group is joined, no position kept.
        topics: and where each begins: "earliest", "latest", a date or time, or ms since 1970.
    Raises:
        BrokerError: there is no such topic. Unavailable: the broker does not answer within 30 s.
    """

    def __init__(self, properties: Properties, topics: Mapping[str, str]) -> None:
        # A topic of few records should be told of at once.
        self._consumer = open_client(
            Consumer,
            {**properties, "enable.partition.eof": True, "fetch.wait.max.ms": 50, "client.id": "stream-scorer-tail"},
        )
        self._behind: set[Partition] = set()
        self._not_before: dict[str, int] = {}
        try:
            places = [place for topic, start in topics.items() for place in self._places(topic, start)]
            self._consumer.assign(places)
        except KafkaException as error:
            self._consumer.close()
            raise unreachable(f"topics {', '.join(topics)}", error.args[0]) from error
        except BrokerError:
            self._consumer.close()
            raise

    def _places(self, topic: str, start: str) -> list[TopicPartition]:
        consumer = self._consumer
        partitions = partitions_of(consumer, topic)
        self._behind.update(partitions)
        places = []
        for partition in partitions:
            offset, not_before = begin_at(consumer, partition, start)
            if not_before is not None:
                self._not_before[topic] = not_before
            places.append(TopicPartition(*partition, offset))
        return places

    @property
    def at_end(self) -> bool:
        """Whether every partition has been read to the end it had when it was looked at last."""
        return not self._behind

    def read(self, timeout_s: float) -> list[Record]:
        """What has come; [] after `timeout_s` seconds. Raises BrokerError, Unavailable."""
        found = []
        messages = self._consumer.consume(_CHUNK, 0)
        if not messages:
            # Waits for one: `consume` of many would wait its whole time, though some had come.
            first = self._consumer.poll(timeout_s)
            messages = [] if first is None else [first, *self._consumer.consume(_CHUNK, 0)]
        for message in messages:
            partition = Partition(message.topic() or "", message.partition() or 0)
            error = message.error()
            if error is None:
                self._behind.add(partition)
                record = to_record(message, partition)
                not_before = self._not_before.get(partition.topic)
                if not_before is None or (record.timestamp or 0) >= not_before:
                    found.append(record)
            elif error.code() == KafkaError._PARTITION_EOF:
                self._behind.discard(partition)
            elif isinstance(problem := unreachable(str(partition), error), BrokerError):
                raise problem  # anything else librdkafka tries again by itself
        return found

    def records(self, *, until_end: bool = False, timeout_s: float = 0.2) -> Iterator[list[Record]]:
        """Batches as they come, empty ones in between; with `until_end` up to the first time all is read.

        Raises Unavailable when with `until_end` nothing is heard for 30 s.
        """
        heard = time.monotonic()
        while True:
            records = self.read(timeout_s)
            yield records
            if not until_end:
                continue
            if self.at_end:
                return
            if records:
                heard = time.monotonic()
            elif time.monotonic() - heard > TIMEOUT_S:
                raise Unavailable(f"nothing heard for {TIMEOUT_S:.0f} s. Is the broker there?")

    def close(self) -> None:
        self._consumer.close()

    def __enter__(self) -> Followed:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
