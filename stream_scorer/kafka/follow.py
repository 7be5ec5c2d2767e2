"""Follows topics as committed records come, outside any consumer group."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from stream_scorer.kafka.clients import Properties
from stream_scorer.kafka.reader import Reader
from stream_scorer.records import Partition, Record

WAIT_S = 0.2


class Follower(Reader):
    """Open until closed.

    Args:
        properties: of a consumer, as `kafka_config.consumer` gives them.
        topics: each with where it begins: "earliest", "latest", a date or time, or ms since 1970.
    Raises:
        BrokerError: a topic does not exist. Unavailable: the broker does not answer within 30 s.
    """

    def __init__(self, properties: Properties, topics: Mapping[str, str]) -> None:
        super().__init__(properties, "tail", follows=True)
        self._not_before: dict[str, float] = {}
        try:
            self.begin(
                {
                    place: self._first(place, start)
                    for topic, start in topics.items()
                    for place in self.partitions(topic)
                }
            )
        except BaseException:
            self.close()
            raise

    def _first(self, partition: Partition, start: str) -> int:
        offset, not_before = self.begin_at(partition, start)
        self._not_before[partition.topic] = -math.inf if not_before is None else not_before
        return offset

    def records(self, *, until_end: bool = False) -> Iterator[list[Record]]:
        """Batches as they come, empty ones in between; with `until_end`, up to the first time that all partitions are read.

        Blocks for 0.2 s at a time. Raises BrokerError; Unavailable if, with `until_end`, nothing comes for 30 s.
        """
        batches = self.until(lambda: [partition for partition in self.at if partition not in self.ended], WAIT_S)
        for records in batches if until_end else iter(lambda: self.poll(WAIT_S), None):
            yield [record for record in records if (record.timestamp or 0) >= self._not_before[record.partition.topic]]
