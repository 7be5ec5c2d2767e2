"""Records of a Kafka topic, as a member of a consumer group."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from stream_scorer.errors import BrokerError, EndOfInput, Unavailable
from stream_scorer.records import Partition, Record
from stream_scorer.transports.kafka_config import Properties, open_client
from stream_scorer.transports.kafka_errors import unreachable

log = logging.getLogger(__name__)

TIMEOUT_S = 30.0
LAG_EVERY_S = 0.5
HEARD_EVERY_MS = 2_000
T = TypeVar("T")


Begin = Callable[[Partition, int | None], int]


class KafkaSource:
    """The `Source` port over one consumer.

    Args:
        properties: librdkafka's, from `kafka_config.consumer`.
        topics: to subscribe to.
        begin: (partition, committed offset or None) -> offset to begin at. Called inside `poll` for
            every partition that comes, before its first record.
        dropped: called inside `poll` for every partition that leaves.
        until_end: raise EndOfInput once every assigned partition was read to its end.
        gather_s: seconds to wait for more records after the first.
        wait: called inside `poll` while a partition cannot be set up as the broker is away; pauses, and
            says whether to try again.
    """

    def __init__(
        self,
        properties: Properties,
        topics: Iterable[str],
        *,
        begin: Begin,
        dropped: Callable[[Partition], None],
        until_end: bool = False,
        gather_s: float = 0.0,
        wait: Callable[[Unavailable], bool] = lambda _: False,
    ) -> None:
        own = {
            "enable.partition.eof": until_end,
            "statistics.interval.ms": HEARD_EVERY_MS,
            "stats_cb": self._heard,
        }
        self._consumer = open_client(Consumer, {**properties, **own})
        self._incremental = properties.get("group.protocol", "classic").lower() == "consumer" or "cooperative" in str(
            properties.get("partition.assignment.strategy", "")
        )
        self._begin, self._dropped = begin, dropped
        self._until_end = until_end
        self._gather_s = gather_s
        self._wait = wait
        self._partitions: dict[Partition, Partition] = {}  # one object per assigned partition
        self._first: dict[Partition, int] = {}  # where each began here, for those never committed
        self._moved: set[Partition] = set()
        self._ended: set[Partition] = set()
        self.rebalances = 0
        self.connected = True
        """Whether a broker was connected lately: without records there is nothing else to tell it by."""
        self._lag: dict[Partition, int] = {}
        self._lag_at = 0.0
        self._consumer.subscribe(list(topics), on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._lost)

    @property
    def assigned(self) -> list[Partition]:
        return sorted(self._partitions.values())

    def poll(self, limit: int, timeout_s: float) -> list[Record]:
        records = self._poll(limit, timeout_s)
        self._measure_lag()
        # The end of a partition may have come along with its last records: look whenever there are none.
        if self._until_end and not records and self._partitions and self._ended >= set(self._partitions.values()):
            raise EndOfInput
        return records

    def _poll(self, limit: int, timeout_s: float) -> list[Record]:
        # consume(limit, timeout_s) would wait the whole time unless `limit` records come: wait for the
        # first, then take what is queued, or comes while gathering.
        first = self._consumer.poll(timeout_s)
        if first is None:
            return []
        rebalances = self.rebalances
        messages = [first, *self._consumer.consume(limit - 1, self._gather_s)] if limit > 1 else [first]
        records = self._records(messages)
        if self.rebalances != rebalances:
            # A partition may have left within the second call, and even come again, with records of the first
            # at hand. Every assignment has a Partition object of its own.
            records = [record for record in records if self._partitions.get(record.partition) is record.partition]
        return records

    def positions(self) -> Mapping[Partition, int]:
        wanted = [TopicPartition(*partition) for partition in self._moved]
        # position(), not the last offset + 1: it has stepped over transaction markers, so lag reaches 0.
        return {
            self._partitions[Partition(at.topic, at.partition)]: at.offset
            for at in self._consumer.position(wanted)
            if at.offset >= 0
        }

    def settle(self) -> None:
        self._moved.clear()

    def rewind(self) -> None:
        for partition, offset in self._committed(self._moved).items():
            self._seek(partition, self._first[partition] if offset is None else offset)
        self._moved.clear()

    def reload(self) -> None:
        partitions = self.assigned
        for partition in partitions:
            self._dropped(partition)
        for partition, first in self._set_up(partitions).items():
            self._first[partition] = first
            self._seek(partition, first)
        self._moved.clear()

    def commit(self, positions: Mapping[Partition, int]) -> None:
        """Commit positions outside of any transaction: for at-least-once sinks."""
        offsets = [TopicPartition(*partition, offset) for partition, offset in positions.items()]
        for at in self._consumer.commit(offsets=offsets, asynchronous=False) or []:
            if at.error:
                raise KafkaException(at.error)

    def group_metadata(self) -> Any:
        """The group as it is now, for a transaction; None while this consumer is no member with partitions.

        A classic group would let a member that never joined move its offsets: it must not come to that.
        """
        if not self._partitions or not self._consumer.memberid():
            return None
        return self._consumer.consumer_group_metadata()

    def lag(self) -> dict[Partition, int]:
        """Records, by offsets, between each position and the end last heard of, lately. Safe from any thread."""
        return self._lag

    def _measure_lag(self) -> None:
        """In the loop's thread: position() from another waits until nobody polls, which may be never."""
        now = time.monotonic()
        if now - self._lag_at < LAG_EVERY_S:
            return
        self._lag_at = now
        found = {}
        for at in self._consumer.position([TopicPartition(*partition) for partition in self._partitions.values()]):
            _, high = self._consumer.get_watermark_offsets(TopicPartition(at.topic, at.partition), cached=True)
            if at.offset >= 0 and high >= 0:
                found[self._partitions[Partition(at.topic, at.partition)]] = max(0, high - at.offset)
        self._lag = found

    def close(self) -> None:
        self._consumer.close()

    def _heard(self, statistics: str) -> None:
        """Called by librdkafka inside `poll`."""
        brokers = json.loads(statistics)["brokers"].values()
        self.connected = any(broker["state"] == "UP" for broker in brokers)

    def _records(self, messages: list[Message]) -> list[Record]:
        records = []
        known, partition = None, None  # of the message before: most are of the same partition
        for message in messages:
            error = message.error()
            place = (message.topic(), message.partition())
            if place != known:
                known, partition = place, self._partitions.get(place)  # type: ignore[call-overload]
                if partition is not None and error is None:
                    self._moved.add(partition)
                    self._ended.discard(partition)
            if error is not None:
                self._event(error, partition)
                known = None
            elif partition is not None:  # else it left within this very poll
                records.append(to_record(message, partition))
        return records

    def _event(self, error: KafkaError, partition: Partition | None) -> None:
        code = error.code()
        if code == KafkaError._PARTITION_EOF:
            if partition is not None:
                self._ended.add(partition)
        elif code in (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC):
            raise BrokerError(f"{error.str()} The input topic is gone: create it again or correct --input-topic.")
        elif code in (KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.GROUP_AUTHORIZATION_FAILED):
            raise BrokerError(f"{error.str()} The user needs Read and Describe on the topic and Read on the group.")
        elif code == KafkaError._AUTO_OFFSET_RESET:
            raise BrokerError(
                f"{partition}: {error.str()}. Records between the position and what is left were deleted before they "
                "were scored (retention?). To go on with what is left: --kafka auto.offset.reset=earliest."
            )
        elif error.fatal():
            raise BrokerError(f"the consumer cannot go on: {error.str()} ({error.name()})")
        else:
            log.warning("consumer: %s (%s)", error.str(), error.name())

    def _assigned(self, _: Consumer, offsets: list[TopicPartition]) -> None:
        came = [Partition(at.topic, at.partition) for at in offsets]
        self.rebalances += 1
        starts = []
        for partition, first in self._patiently(lambda: self._set_up(came)).items():
            self._first[partition] = first
            self._partitions[partition] = partition
            starts.append(TopicPartition(*partition, first))
        if self._incremental:
            self._consumer.incremental_assign(starts)
        else:
            self._consumer.assign(starts)
        # Last: who reads this line may rely on where each partition begins.
        log.info("assigned %s", ", ".join(map(str, came)) or "nothing new")

    def _set_up(self, partitions: list[Partition]) -> dict[Partition, int]:
        return {partition: self._begin(partition, offset) for partition, offset in self._committed(partitions).items()}

    def _patiently(self, call: Callable[[], T]) -> T:
        """Inside a callback there is no going back to the loop: wait here for a broker that is away."""
        while True:
            try:
                return call()
            except Unavailable as error:
                if not self._wait(error):
                    raise

    def _revoked(self, _: Consumer, offsets: list[TopicPartition]) -> None:
        self._leave("revoked", offsets)

    def _lost(self, _: Consumer, offsets: list[TopicPartition]) -> None:
        self._leave("lost", offsets)

    def _leave(self, how: str, offsets: list[TopicPartition]) -> None:
        gone = [Partition(at.topic, at.partition) for at in offsets]
        self.rebalances += 1
        log.info("%s %s", how, ", ".join(map(str, gone)))
        for partition in gone:
            self._partitions.pop(partition, None)
            self._first.pop(partition, None)
            self._dropped(partition)
        self._moved.difference_update(gone)
        self._ended.difference_update(gone)

    def _committed(self, partitions: Iterable[Partition]) -> dict[Partition, int | None]:
        wanted = [TopicPartition(*partition) for partition in partitions]
        if not wanted:
            return {}
        try:
            found = self._consumer.committed(wanted, timeout=TIMEOUT_S)
        except KafkaException as error:
            raise unreachable("no committed offsets", error.args[0]) from error
        for at in found:
            if at.error:
                raise unreachable(f"{at.topic}[{at.partition}]: no committed offset", at.error)
        return {Partition(at.topic, at.partition): at.offset if at.offset >= 0 else None for at in found}

    def _seek(self, partition: Partition, offset: int) -> None:
        self._ended.discard(partition)
        try:
            self._consumer.seek(TopicPartition(*partition, offset))
        except KafkaException as error:
            raise unreachable(f"{partition}: cannot go back to {offset}", error.args[0]) from error


def to_record(message: Message, partition: Partition) -> Record:
    kind, timestamp = message.timestamp()
    headers: Any = message.headers()  # a list, never the dict that producing also takes
    # As a NamedTuple makes itself, less a call: one is made for every record there is.
    return tuple.__new__(
        Record,
        (partition, message.offset() or 0, message.key(), message.value(), timestamp if kind else None, headers),
    )
