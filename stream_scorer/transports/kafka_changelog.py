"""State read back from a compacted changelog topic."""

from __future__ import annotations

import hashlib
import logging
import re
import time

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, TopicPartition

from stream_scorer.errors import BrokerError, ModelError, Unavailable
from stream_scorer.ports import Breathe, Watch
from stream_scorer.records import Partition, Saved
from stream_scorer.state.snapshots import POSITION_KEY, ForeignState, read_saved
from stream_scorer.transports.kafka_config import Properties, open_client
from stream_scorer.transports.kafka_errors import unreachable
from stream_scorer.transports.kafka_hanging import hanging

log = logging.getLogger(__name__)

STALLED_S = 10.0
"""So long without a record or the end, and the read is given up, to be tried again with clients opened anew."""
STUCK_S = 90.0
REUSED_S = 5.0
"""Clients opened for one partition serve the next if it comes within so long."""
TIMEOUT_S = 5.0
_CHUNK = 5_000
_LONGEST_NAME = 249


def changelog_name(group: str, topic: str) -> str:
    """Of the changelog of a group and an input topic: no two pairs have the same, whatever dots are in them."""
    mark = hashlib.sha256(f"{group}\0{topic}".encode()).hexdigest()[:8]
    tail = f".{mark}.changelog"
    legal = re.sub(r"[^a-zA-Z0-9._-]", "_", f"{group}.{topic}")
    return legal[: _LONGEST_NAME - len(tail)] + tail


def former_changelog_name(group: str, topic: str) -> str:
    """As earlier versions named it: group a on topic b.c, and group a.b on topic c, had the same."""
    return f"{group}.{topic}.changelog"


class KafkaChangelog:
    """The `StateStore` port over a changelog topic of the input's partition count.

    Args:
        properties: of a consumer, as for the source; it joins no group here.
        topic: the changelog.
    """

    def __init__(self, properties: Properties, topic: str, watch: Watch) -> None:
        self._topic = topic
        self._watch = watch
        self._properties = reader(properties)
        self._stuck: dict[int, tuple[int, float]] = {}
        self._opened: dict[str, Consumer] = {}
        self._used_at = 0.0

    def read(self, partition: Partition, committed: int | None, breathe: Breathe) -> list[Saved]:
        """The last committed record of every key of the partition. Blocks until all are read.

        That is up to the last stable offset, if the position record there agrees with the committed offset. Else the
        commit marker of the last transaction may have reached the offsets topic and not yet this one: a reader content
        with the last stable offset would restore a state older than the committed position. Then it reads up to the
        end as it is now.
        """
        if time.monotonic() - self._used_at > REUSED_S:
            self.close()
        try:
            found = self._read(partition, committed, breathe)
        except KafkaException as error:
            self.close()
            raise unreachable(f"changelog {self._topic}[{partition.number}]", error.args[0]) from error
        except BaseException:
            self.close()
            raise
        self._used_at = time.monotonic()
        return found

    def close(self) -> None:
        while self._opened:
            self._opened.popitem()[1].close()

    def _read(self, partition: Partition, committed: int | None, breathe: Breathe) -> list[Saved]:
        place = TopicPartition(self._topic, partition.number, OFFSET_BEGINNING)
        consumer = self._client("read_committed")
        stable = _end(consumer, place)
        if stable == 0 and committed is None and self._end_with_open(place) == 0:
            return []
        consumer.assign([place])
        reading = _Reading(consumer, self._topic, partition, self._watch, breathe)
        reading.up_to(stable)
        if committed is None or reading.position() != committed:
            self._read_on(reading, place, committed)
        consumer.unassign()
        return reading.saved()

    def _client(self, isolation: str) -> Consumer:
        """Partitions mostly come several at a time: one client serves them all."""
        if isolation not in self._opened:
            self._opened[isolation] = open_client(Consumer, {**self._properties, "isolation.level": isolation})
        return self._opened[isolation]

    def _read_on(self, reading: _Reading, place: TopicPartition, committed: int | None) -> None:
        """To the end, open transactions included: what they write is decided by then."""
        end = self._end_with_open(place)
        if not reading.up_to(end, enough=committed):
            raise self._problem(place, reading.at, end)
        self._stuck.pop(place.partition, None)

    def _problem(self, place: TopicPartition, at: int, end: int) -> BrokerError | Unavailable:
        now = time.monotonic()
        known, since = self._stuck.get(place.partition, (at, now))
        if known != at:
            since = now
        self._stuck[place.partition] = (at, since)
        where = f"changelog {self._topic}[{place.partition}]"
        if now - since < STUCK_S:
            return Unavailable(
                f"{where}: stuck at offset {at} of {end}. A transaction left open there, or a partition without leader?"
            )
        found = hanging(self._properties, [Partition(place.topic, place.partition)])
        whose = found[0].text() if found else "a transaction was open there"
        return BrokerError(f"{where}: stuck at offset {at} of {end} for {now - since:.0f} s: {whose}.")

    def _end_with_open(self, place: TopicPartition) -> int:
        # Of a consumer that reads uncommitted: to any other, a topic ends at its last stable offset.
        return _end(self._client("read_uncommitted"), place)


def reader(properties: Properties) -> Properties:
    """Of a consumer that reads apart from its group, to an end."""
    return {
        **properties,
        "enable.partition.eof": True,
        "auto.offset.reset": "earliest",
        "client.id": "stream-scorer-restore",
        # The end is often a marker, after which a fetch finds nothing: it should not wait long to say so.
        "fetch.wait.max.ms": 10,
    }


def owner(properties: Properties, topic: str, partitions: int) -> str | None:
    """The input topic whose state a changelog holds, by its first record; None if it holds none. Blocks.

    Raises Unavailable, BrokerError.
    """
    consumer = open_client(Consumer, reader(properties))
    try:
        consumer.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for number in range(partitions)])
        ended = 0
        heard = time.monotonic()
        while ended < partitions:
            message = consumer.poll(0.1)
            if message is None:
                if time.monotonic() - heard > STALLED_S:
                    raise Unavailable(f"changelog {topic}: nothing heard for {STALLED_S:.0f} s. Is the broker there?")
            elif (error := message.error()) is None:
                if message.value() is not None:
                    return _owner_of(message)
            elif error.code() == KafkaError._PARTITION_EOF:
                ended += 1
            else:
                raise unreachable(f"changelog {topic}", error)
        return None
    finally:
        consumer.close()


def _owner_of(message: Message) -> str | None:
    try:
        read_saved(Partition("", -1), message.key() or b"", message.value())
    except ForeignState as found:
        return found.source.topic
    except ValueError:
        return None
    return None


def _end(consumer: Consumer, place: TopicPartition) -> int:
    _, end = consumer.get_watermark_offsets(place, timeout=TIMEOUT_S)
    return int(end)


class _Reading:
    """One partition of a changelog on its way in."""

    def __init__(self, consumer: Consumer, topic: str, partition: Partition, watch: Watch, breathe: Breathe) -> None:
        self._consumer, self._topic, self._partition = consumer, topic, partition
        self._watch, self._breathe = watch, breathe
        self._last: dict[bytes, Saved] = {}
        self.at = 0
        """The offset after what has been read."""

    def position(self) -> int | None:
        """What the last position record says."""
        found = self._last.get(POSITION_KEY)
        return None if found is None else found.offset

    def saved(self) -> list[Saved]:
        return list(self._last.values())

    def up_to(self, end: int, enough: int | None = None) -> bool:
        """Read to an offset, or until the position record says `enough`. False: nothing came for too long."""
        heard = time.monotonic()
        while self.at < end and (enough is None or self.position() != enough):
            messages = self._consumer.consume(_CHUNK, 0.05)
            before = self.at
            for message in messages:
                self._take(message)
            self._breathe()
            if self.at > before:
                heard = time.monotonic()
                self._watch.reading(self._partition, self.at, end, len(self._last))
            elif time.monotonic() - heard > STALLED_S:
                return False
        return True

    def _take(self, message: Message) -> None:
        error = message.error()
        if error is None:
            self._keep(message.key() or b"", message.value(), message.offset() or 0)
            self.at = (message.offset() or 0) + 1
        elif error.code() == KafkaError._PARTITION_EOF:
            self.at = max(self.at, message.offset() or 0)
        elif error.code() == KafkaError.OFFSET_OUT_OF_RANGE:
            log.warning("%s[%d]: %s", self._topic, self._partition.number, error.str())
        else:
            raise unreachable(f"changelog {self._topic}[{self._partition.number}]", error)

    def _keep(self, key: bytes, value: bytes | None, offset: int) -> None:
        if value is None:
            self._last.pop(key, None)
            return
        where = f"{self._topic}[{self._partition.number}]@{offset}"
        try:
            self._last[key] = read_saved(self._partition, key, value)
        except ForeignState as error:
            raise ModelError(
                f"{where}: {error}, where that of {self._partition} is expected. Does another service write to this "
                "changelog? Give another --changelog-topic, and --on-state-mismatch rebuild."
            ) from error
        except ValueError as error:
            raise ModelError(
                f"{where}: {error}. The changelog is this service's own: "
                "did something else write there? Give another --changelog-topic."
            ) from error
