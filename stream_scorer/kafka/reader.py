"""Reads partitions outside a group: no position is committed, and no member of a group loses a partition.

Restore, warm-up, rebuild, the last evaluations, dead letters and `tail` all use this one reader. They say where to begin,
where to end and how long to wait without records. What is an error, and its text, is decided here.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from typing import TypeVar

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from stream_scorer.errors import BrokerError, Unavailable
from stream_scorer.kafka import answers as kafka_answers
from stream_scorer.kafka.clients import Properties, open_outside_group
from stream_scorer.kafka.connection_errors import ConnectionErrors
from stream_scorer.kafka.errors import TOPIC_GONE, unreachable
from stream_scorer.kafka.record import to_record
from stream_scorer.kafka.rights import NotAllowed
from stream_scorer.records import Partition, Record

T = TypeVar("T")

TIMEOUT_S = 30.0
"""Timeout of commands. A service that restores gives up sooner, and tries again with new clients."""
FIRST_S = 10.0
"""Timeout of the first answer: there may be no broker."""
WAIT_S = 0.05
_CHUNK = 5_000


class Stalled(Unavailable):
    """No record came for too long, and the end was not reached."""


class Reader:
    """A consumer of its own, open until `close`. Every call raises BrokerError if only a person can mend it, else Unavailable.

    Args:
        properties: of a consumer, as `kafka_config.consumer` returns them.
        name: of the client, in the broker's log.
        prefix: comes before places in error texts: "changelog ", or nothing.
        answer_s: how long each request may block.
        stalled_s: how long no record may come before the end is reached.
        follows: the reader has no end, and goes on after errors that librdkafka retries by itself. A reader with an end
            must not: records could be missing. A follower also asks the broker less often.
    """

    def __init__(
        self,
        properties: Properties,
        name: str,
        *,
        prefix: str = "",
        answer_s: float = TIMEOUT_S,
        stalled_s: float = TIMEOUT_S,
        follows: bool = False,
    ) -> None:
        self._prefix, self._answer_s, self._stalled_s, self._follows = prefix, answer_s, stalled_s, follows
        self._connection_errors = ConnectionErrors()
        own = {
            "enable.partition.eof": True,
            # If the records at its position are deleted meanwhile, it goes on at the first one that is left.
            "auto.offset.reset": "earliest",
            # The last offset is often a transaction marker: a fetch finds no record there, and should not wait long.
            "fetch.wait.max.ms": 50 if follows else 10,
        }
        self._consumer = open_outside_group({**properties, **own}, name, connection_errors=self._connection_errors)
        self._reading: dict[Partition, Partition] = {}
        self.at: dict[Partition, int] = {}
        """The next offset of each partition, after the records that were returned and the markers that were skipped."""
        self.ended: set[Partition] = set()
        """Partitions of which all records were returned that the last fetch found."""

    def partitions(self, topic: str) -> list[Partition]:
        return self._ask(
            f"topic {topic!r}", lambda: kafka_answers.partitions_of(self._consumer, topic, min(FIRST_S, self._answer_s))
        )

    def bounds(self, partition: Partition) -> tuple[int, int]:
        """The first offset, and the last stable offset: up to there no transaction is open."""
        return self._ask(partition, lambda: kafka_answers.bounds(self._consumer, partition, self._answer_s))

    def begin_at(self, partition: Partition, start: str) -> tuple[int, int | None]:
        """As `kafka_answers.begin_at`."""
        return self._ask(partition, lambda: kafka_answers.begin_at(self._consumer, partition, start, self._answer_s))

    def begin(self, first: Mapping[Partition, int]) -> None:
        """Read these partitions from these offsets on, and no others."""
        self._reading = {partition: partition for partition in first}
        self.at, self.ended = {partition: max(0, offset) for partition, offset in first.items()}, set()
        places = [TopicPartition(*partition, offset) for partition, offset in first.items()]
        self._ask("partitions cannot be read", lambda: self._consumer.assign(places))

    def poll(self, timeout_s: float) -> list[Record]:
        """Records that have arrived; [] if none arrives for `timeout_s` seconds. Blocks for that long at most."""
        records, at = [], self.at
        for message in arrived(self._consumer, _CHUNK, timeout_s):
            partition = self._reading.get((message.topic(), message.partition()))  # type: ignore[call-overload]
            error = message.error()
            if error is not None:
                self._event(message, error, partition)
            elif partition is not None:  # else it is of a partition that was read before
                record = to_record(message, partition)
                if record.offset < at[partition] and not self._follows:
                    raise self._truncated(record)
                at[partition] = record.offset + 1
                if self.ended:
                    self.ended.discard(partition)
                records.append(record)
        return records

    def until(self, left: Callable[[], list[Partition]], wait_s: float = WAIT_S) -> Iterator[list[Record]]:
        """Batches as they arrive, until `left` returns no partition. [] at least every `wait_s`, so that the caller can do
        other things.

        Raises Stalled if no record arrives of the partitions that are left. Time spent by the caller does not count.
        """
        waited = 0.0
        while missing := left():
            before, polled_at = [self.at[partition] for partition in missing], time.monotonic()
            records = self.poll(wait_s)
            if left() != missing or before != [self.at[partition] for partition in missing]:
                waited = 0.0
                self._connection_errors.clear()
            elif (waited := waited + time.monotonic() - polled_at) > self._stalled_s:
                text = f"{self._where(missing)}: nothing heard for {self._stalled_s:.0f} s, and it does not end there."
                raise Stalled(f"{text} {self._reason()}")
            yield records

    def up_to(self, ends: Mapping[Partition, int]) -> Iterator[list[Record]]:
        """Batches, some empty, until each partition was read up to an offset. Records after it may be among them.

        A partition that ends before that offset is not finished: the replica may lag behind the leader that gave the
        offset, and transactions that are still open there may be committed.
        """
        return self.until(lambda: [partition for partition, end in ends.items() if self.at[partition] < end])

    def between(self, bounds: Mapping[Partition, tuple[int, int]]) -> Iterator[list[Record]]:
        """Batches, some empty, of the records of each partition from one offset up to, not including, another."""
        ends = {partition: end for partition, (first, end) in bounds.items() if first < end}
        if ends:
            self.begin({partition: bounds[partition][0] for partition in ends})
            for records in self.up_to(ends):
                yield [record for record in records if record.offset < ends[record.partition]]

    def _truncated(self, record: Record) -> Unavailable:
        where = self._where([record.partition])
        return Unavailable(
            f"{where}: offset {record.offset} came. The log was truncated meanwhile (an unclean leader election?): "
            "it has to be read again."
        )

    def _event(self, message: Message, error: KafkaError, partition: Partition | None) -> None:
        if error.code() == KafkaError.GROUP_AUTHORIZATION_FAILED:
            return  # librdkafka looks for the coordinator of a group that this consumer never joins
        if error.code() != KafkaError._PARTITION_EOF:
            problem = self._problem(self._where([partition]) if partition else f"topic {message.topic()}", error)
            if not self._follows or isinstance(problem, BrokerError):
                raise problem
        elif partition is not None:
            self.at[partition] = max(self.at[partition], message.offset() or 0)
            self.ended.add(partition)

    def _where(self, partitions: Sequence[Partition]) -> str:
        places = ", ".join(f"{partition}@{self.at[partition]}" for partition in partitions[:3])
        return self._prefix + places + (" and more" if len(partitions) > 3 else "")

    def _ask(self, where: object, call: Callable[[], T]) -> T:
        try:
            return call()
        except KafkaException as error:
            self._consumer.poll(0)  # calls back with the reason
            raise self._problem(f"{self._prefix}{where}", error.args[0]) from error

    def _problem(self, where: str, error: KafkaError) -> BrokerError | Unavailable:
        problem = unreachable(where, error)
        if isinstance(problem, NotAllowed):
            return problem
        advice = "Correct its name, or create it." if error.code() in TOPIC_GONE else self._reason()
        return type(problem)(f"{problem}. {advice}")

    def _reason(self) -> str:
        """Why no broker is connected, and what to change."""
        return str(self._connection_errors.reason or "Is the broker there?")

    def close(self) -> None:
        self._consumer.close()


def arrived(consumer: Consumer, limit: int, timeout_s: float, gather_s: float = 0.0) -> list[Message]:
    """Up to `limit` messages. Blocks up to `timeout_s` for the first, then for `gather_s` for more.

    Why not `consume` alone: it blocks for its whole timeout unless `limit` messages come.
    """
    first = consumer.poll(timeout_s)
    if first is None:
        return []
    return [first, *consumer.consume(limit - 1, gather_s)] if limit > 1 else [first]


def read_topic(properties: Properties, topic: str) -> Generator[Record, None, None]:
    """Every committed record of a topic from its beginning to the end it has at the call, in order per partition.

    Blocks while it reads. Raises BrokerError: the topic does not exist. Unavailable: no answer within 30 s.
    """
    with contextlib.closing(Reader(properties, "reader")) as reader:
        for records in reader.between({place: reader.bounds(place) for place in reader.partitions(topic)}):
            yield from records
