"""State read back from a compacted changelog topic."""

from __future__ import annotations

import logging
import time

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from stream_scorer.errors import ModelError, Unavailable
from stream_scorer.records import Partition, Saved
from stream_scorer.state.snapshots import read_saved
from stream_scorer.transports.kafka_config import Properties, open_client
from stream_scorer.transports.kafka_errors import unreachable

log = logging.getLogger(__name__)

STALLED_S = 60.0
TIMEOUT_S = 30.0
TELL_EVERY_S = 2.0
_CHUNK = 5_000


class KafkaChangelog:
    """The `StateStore` port over a changelog topic of the input's partition count.

    Args:
        properties: of a consumer, as for the source; it joins no group here.
        topic: the changelog.
    """

    def __init__(self, properties: Properties, topic: str) -> None:
        self._topic = topic
        self._properties = {
            **properties,
            "enable.partition.eof": True,
            "client.id": "stream-scorer-restore",
            # The end is often a marker, after which a fetch finds nothing: it should not wait long to say so.
            "fetch.wait.max.ms": 10,
        }

    def read(self, partition: Partition) -> list[Saved]:
        """The last committed record of every key of the partition. Blocks until all are read.

        Read-committed, but up to the high watermark as it is now: the commit marker of the last
        transaction may have reached the offsets topic and not yet this one, and a reader content with
        the last stable offset would restore a state older than the committed position.
        """
        end = self._high_watermark(partition)
        if end == 0:
            return []
        consumer = open_client(Consumer, self._properties)
        try:
            consumer.assign([TopicPartition(self._topic, partition.number, 0)])
            return self._drain(consumer, partition, end)
        finally:
            consumer.close()

    def _drain(self, consumer: Consumer, partition: Partition, end: int) -> list[Saved]:
        last: dict[bytes, Saved] = {}
        position = 0
        progress = told = time.monotonic()
        while position < end:
            messages = consumer.consume(_CHUNK, 0.05)
            for message in messages:
                error = message.error()
                if error is None:
                    position = (message.offset() or 0) + 1
                    self._take(last, partition, message.key() or b"", message.value(), position - 1)
                elif error.code() == KafkaError._PARTITION_EOF:
                    position = max(position, message.offset() or 0)
                elif error.code() in (KafkaError.OFFSET_OUT_OF_RANGE, KafkaError._AUTO_OFFSET_RESET):
                    log.warning("%s[%d]: %s", self._topic, partition.number, error.str())
                else:
                    raise unreachable(f"changelog {self._topic}[{partition.number}]", error)
            if messages:
                progress = time.monotonic()
                if progress - told > TELL_EVERY_S:
                    told = progress
                    log.info("%s: restoring, offset %d of %d, %d sessions so far", partition, position, end, len(last))
            elif time.monotonic() - progress > STALLED_S:
                raise Unavailable(
                    f"changelog {self._topic}[{partition.number}]: stuck at offset {position} of {end} for {STALLED_S:.0f} s. "
                    "A transaction left open there, or a partition without leader?"
                )
        return list(last.values())

    def _take(
        self, last: dict[bytes, Saved], partition: Partition, key: bytes, value: bytes | None, offset: int
    ) -> None:
        if value is None:
            last.pop(key, None)
            return
        try:
            last[key] = read_saved(partition, key, value)
        except ValueError as error:
            raise ModelError(
                f"{self._topic}[{partition.number}]@{offset}: {error}. The changelog is this service's own: "
                "did something else write there? Give another --changelog-topic."
            ) from error

    def _high_watermark(self, partition: Partition) -> int:
        # Of a consumer that reads uncommitted: to any other, a topic ends at its last stable offset.
        consumer = open_client(Consumer, {**self._properties, "isolation.level": "read_uncommitted"})
        try:
            at = TopicPartition(self._topic, partition.number)
            _, high = consumer.get_watermark_offsets(at, timeout=TIMEOUT_S)
        except KafkaException as error:
            raise unreachable(f"changelog {self._topic}[{partition.number}]", error.args[0]) from error
        finally:
            consumer.close()
        return int(high)
