"""Partitions read apart from any group: no position is kept, and nobody's share is taken.

One reader for all who do that: restore, warm-up and rebuild, the last evaluations, dead letters, `tail`. They say where
to begin, where to end and how long nothing may come; what is an error, and its text, is decided here.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from typing import TypeVar

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from stream_scorer.errors import BrokerError, Unavailable
from stream_scorer.records import Partition, Record
from stream_scorer.transports import kafka_answers
from stream_scorer.transports.kafka_clients import Properties, open_beside
from stream_scorer.transports.kafka_errors import MISSING, UNAUTHORISED, unreachable
from stream_scorer.transports.kafka_heard import Heard
from stream_scorer.transports.kafka_record import to_record

T = TypeVar("T")

TIMEOUT_S = 30.0
"""For commands. A service that restores gives up sooner, and tries again with clients opened anew."""
FIRST_S = 10.0
"""For the first answer of all: no broker may be there."""
WAIT_S = 0.05
_CHUNK = 5_000


class Stalled(Unavailable):
    """Nothing came for too long."""


class Reader:
    """Open until closed.

    Args:
        properties: of a consumer, as `kafka_config.consumer` gives them.
        name: of the client, as the broker's log has it.
        what: of which the topics are, for errors: "changelog ", or nothing.
        answer_s: for so long each question blocks.
        stalled_s: so long nothing may come before an end.
        follows: it has no end, and goes on after what librdkafka tries again by itself. A reader to an end must not:
            what an error stood for would be missing from what it gives. A follower also asks the broker less often.
    Raises:
        Of every call: BrokerError where only a person can mend it, else Unavailable.
    """

    def __init__(
        self,
        properties: Properties,
        name: str,
        *,
        what: str = "",
        answer_s: float = TIMEOUT_S,
        stalled_s: float = TIMEOUT_S,
        follows: bool = False,
    ) -> None:
        self._what, self._answer_s, self._stalled_s, self._follows = what, answer_s, stalled_s, follows
        self._heard = Heard()
        own = {
            "enable.partition.eof": True,
            # Records from where it stands may be deleted meanwhile: it goes on with the first there is.
            "auto.offset.reset": "earliest",
            # The end is often a marker, after which a fetch finds nothing: it should not wait long to say so.
            "fetch.wait.max.ms": 50 if follows else 10,
        }
        self._consumer = open_beside({**properties, **own}, name, heard=self._heard)
        self._mine: dict[Partition, Partition] = {}
        self.at: dict[Partition, int] = {}
        """The next offset of each partition: after what has come, and after markers that were stepped over."""
        self.ended: set[Partition] = set()
        """Those of which all has come that there was at the last look."""

    def partitions(self, topic: str) -> list[Partition]:
        return self._ask(
            f"topic {topic!r}", lambda: kafka_answers.partitions_of(self._consumer, topic, min(FIRST_S, self._answer_s))
        )

    def bounds(self, partition: Partition) -> tuple[int, int]:
        """The first offset, and the one after the last committed record: behind it a transaction may be open."""
        return self._ask(partition, lambda: kafka_answers.bounds(self._consumer, partition, self._answer_s))

    def begin_at(self, partition: Partition, start: str) -> tuple[int, int | None]:
        """As `kafka_answers.begin_at`."""
        return self._ask(partition, lambda: kafka_answers.begin_at(self._consumer, partition, start, self._answer_s))

    def begin(self, first: Mapping[Partition, int]) -> None:
        """Read these partitions from these offsets on, and no others."""
        self._mine = {partition: partition for partition in first}
        self.at, self.ended = {partition: max(0, offset) for partition, offset in first.items()}, set()
        places = [TopicPartition(*partition, offset) for partition, offset in first.items()]
        self._ask("partitions cannot be read", lambda: self._consumer.assign(places))

    def come(self, timeout_s: float) -> list[Record]:
        """What has come; [] after `timeout_s` seconds."""
        records, at = [], self.at
        for message in arrived(self._consumer, _CHUNK, timeout_s):
            partition = self._mine.get((message.topic(), message.partition()))  # type: ignore[call-overload]
            error = message.error()
            if error is not None:
                self._event(message, error, partition)
            elif partition is not None:  # else of a partition that was read before
                record = to_record(message, partition)
                if record.offset < at[partition] and not self._follows:
                    raise self._cut(record)
                at[partition] = record.offset + 1
                if self.ended:
                    self.ended.discard(partition)
                records.append(record)
        return records

    def until(self, left: Callable[[], list[Partition]], wait_s: float = WAIT_S) -> Iterator[list[Record]]:
        """Batches as they come until no partition is `left`, [] among them: who reads may do what cannot wait.

        Raises Stalled where nothing comes of those left. Time that passes elsewhere, as in a model, does not count.
        """
        waited = 0.0
        while missing := left():
            before, asked = [self.at[at] for at in missing], time.monotonic()
            records = self.come(wait_s)
            if left() != missing or before != [self.at[at] for at in missing]:
                waited = 0.0
                self._heard.forget()
            elif (waited := waited + time.monotonic() - asked) > self._stalled_s:
                text = f"{self._where(missing)}: nothing heard for {self._stalled_s:.0f} s, and it does not end there."
                raise Stalled(f"{text} {self._reason()}")
            yield records

    def up_to(self, ends: Mapping[Partition, int]) -> Iterator[list[Record]]:
        """Batches, [] among them, until each partition has been read to an offset. Some records behind it may come too.

        A partition that ends before it now is not done: its replica may lag behind the leader that told the end, and
        transactions that are open there may yet be committed.
        """
        return self.until(lambda: [partition for partition, end in ends.items() if self.at[partition] < end])

    def between(self, bounds: Mapping[Partition, tuple[int, int]]) -> Iterator[list[Record]]:
        """Batches, [] among them, of the records that each partition has from an offset on and before another."""
        ends = {partition: end for partition, (first, end) in bounds.items() if first < end}
        if ends:
            self.begin({partition: bounds[partition][0] for partition in ends})
            for records in self.up_to(ends):
                yield [record for record in records if record.offset < ends[record.partition]]

    def _cut(self, record: Record) -> Unavailable:
        where = self._where([record.partition])
        return Unavailable(f"{where}: offset {record.offset} came. The log was cut there: it has to be read again")

    def _event(self, message: Message, error: KafkaError, partition: Partition | None) -> None:
        if error.code() != KafkaError._PARTITION_EOF:
            problem = self._problem(self._where([partition]) if partition else f"topic {message.topic()}", error)
            if not self._follows or isinstance(problem, BrokerError):
                raise problem
        elif partition is not None:
            self.at[partition] = max(self.at[partition], message.offset() or 0)
            self.ended.add(partition)

    def _where(self, partitions: Sequence[Partition]) -> str:
        places = ", ".join(f"{partition}@{self.at[partition]}" for partition in partitions[:3])
        return self._what + places + (" and more" if len(partitions) > 3 else "")

    def _ask(self, where: object, ask: Callable[[], T]) -> T:
        try:
            return ask()
        except KafkaException as error:
            self._consumer.poll(0)  # hears what went wrong
            raise self._problem(f"{self._what}{where}", error.args[0]) from error

    def _problem(self, where: str, error: KafkaError) -> BrokerError | Unavailable:
        problem = unreachable(where, error)
        if error.code() in MISSING:
            then = "Correct its name, or create it."
        elif error.code() in UNAUTHORISED:
            then = "The user needs Read and Describe on it."
        else:
            then = self._reason()
        return type(problem)(f"{problem}. {then}")

    def _reason(self) -> str:
        """Why no broker is connected, and what to change."""
        return str(self._heard.reason or "Is the broker there?")

    def close(self) -> None:
        self._consumer.close()


def arrived(consumer: Consumer, limit: int, timeout_s: float, gather_s: float = 0.0) -> list[Message]:
    """Messages of a consumer: waits `timeout_s` for the first, then takes what is queued, or comes in `gather_s`.

    `consume` alone would wait its whole time unless `limit` messages came.
    """
    first = consumer.poll(timeout_s)
    if first is None:
        return []
    return [first, *consumer.consume(limit - 1, gather_s)] if limit > 1 else [first]


def read_topic(properties: Properties, topic: str) -> Generator[Record, None, None]:
    """Every committed record of a topic from its beginning to the end it has at the call, in order per partition.

    Raises BrokerError: there is no such topic. Unavailable: the broker does not answer within 30 s.
    """
    with contextlib.closing(Reader(properties, "reader")) as reader:
        for records in reader.between({at: reader.bounds(at) for at in reader.partitions(topic)}):
            yield from records
