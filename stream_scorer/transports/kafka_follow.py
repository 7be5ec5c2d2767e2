"""Topics followed as records come, by a reader that is in no group: committed records only, nobody's share."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from types import TracebackType

from stream_scorer.records import Partition, Record
from stream_scorer.transports.kafka_clients import Properties
from stream_scorer.transports.kafka_reader import Reader

WAIT_S = 0.2


class Followed:
    """Open until left.

    Args:
        properties: of a consumer, as `kafka_config.consumer` gives them.
        topics: and where each begins: "earliest", "latest", a date or time, or ms since 1970.
    Raises:
        BrokerError: there is no such topic. Unavailable: the broker does not answer within 30 s.
    """

    def __init__(self, properties: Properties, topics: Mapping[str, str]) -> None:
        self._reader = Reader(properties, "tail", follows=True)
        self._not_before: dict[str, int] = {}
        try:
            self._reader.begin(
                {at: self._begin(at, topics[at.topic]) for one in topics for at in self._reader.partitions(one)}
            )
        except BaseException:
            self._reader.close()
            raise

    def _begin(self, partition: Partition, start: str) -> int:
        offset, not_before = self._reader.begin_at(partition, start)
        if not_before is not None:
            self._not_before[partition.topic] = not_before
        return offset

    def _behind(self) -> list[Partition]:
        """Those that have not been read to the end that they had when they were looked at last."""
        return [at for at in self._reader.at if at not in self._reader.ended]

    def records(self, *, until_end: bool = False) -> Iterator[list[Record]]:
        """Batches as they come, empty ones in between; with `until_end` up to the first time all is read.

        Raises Unavailable when with `until_end` nothing is heard for 30 s.
        """
        for records in self._reader.until(self._behind, WAIT_S) if until_end else self._forever():
            yield [
                one for one in records if (one.timestamp or 0) >= self._not_before.get(one.partition.topic, -math.inf)
            ]

    def _forever(self) -> Iterator[list[Record]]:
        while True:
            yield self._reader.come(WAIT_S)

    def close(self) -> None:
        self._reader.close()

    def __enter__(self) -> Followed:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
