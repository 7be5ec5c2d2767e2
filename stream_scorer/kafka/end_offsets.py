"""Where a reader of committed records stops, where a partition ends, and whose open transaction lies between."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import NamedTuple, TypeVar

from confluent_kafka import Consumer, KafkaException, Producer

from stream_scorer.errors import Unavailable
from stream_scorer.kafka import answers as kafka_answers
from stream_scorer.kafka import raw_requests as kafka_raw
from stream_scorer.kafka.clients import ConsumerPair, Properties
from stream_scorer.kafka.config import OUR_IDS
from stream_scorer.kafka.errors import UNAUTHORISED, unreachable
from stream_scorer.records import Partition

T = TypeVar("T")
LOOK_S = 10.0
_ANSWER_S = 2.0


class Hanging(NamedTuple):
    """A transaction that has stood open at one offset for a while.

    stood_s: for how long it was watched, at least. state: in its coordinator, "" where nobody can say.
    """

    partition: Partition
    offset: int
    stood_s: float
    servers: str
    producer_id: int | None = None
    transactional_id: str = ""
    state: str = ""

    @property
    def in_use(self) -> bool:
        """Its coordinator will end it: at its transaction.timeout.ms at the latest."""
        return self.state == "Ongoing" or self.state.startswith("Prepare")

    def text(self) -> str:
        topic, number = self.partition
        who = "another producer" if self.producer_id is None else f"producer id {self.producer_id}"
        if self.transactional_id:
            who += f", transactional id {self.transactional_id!r}"
        if self.in_use:
            then = (
                f"Its coordinator says {self.state}: it ends at that producer's transaction.timeout.ms at the latest."
            )
        elif self.state:
            then = f"Its coordinator says {self.state}: it hangs, and nobody will end it by itself."
        else:
            then = "If it stays for longer than that producer's transaction.timeout.ms, it hangs."
        if self.transactional_id.startswith(OUR_IDS):
            then += (
                " It is of a service like this one: one at work, or a dead one that had another name. Where host names "
                "change with each start, as in containers, give --instance a name that stays: then the next start ends "
                "at once what its predecessor left open."
            )
        tool = f"kafka-transactions.sh --bootstrap-server {self.servers}"
        return (
            f"{self.partition}@{self.offset}: a transaction of {who} is open there, for {self.stood_s:.0f} s at least. "
            f"Readers of committed records see nothing from there on until it ends. {then} "
            f"To look: {tool} describe-producers --topic {topic} --partition {number}. "
            f"To end it: {tool} abort --topic {topic} --partition {number} --start-offset {self.offset}"
        )


class Ends:
    """Last stable offsets and ends of partitions. To be opened for each look: old clients may keep old leader epochs.

    Args:
        stopping: asked while it waits; if it is true, Unavailable is raised.
    """

    def __init__(self, properties: Properties, stopping: Callable[[], bool] = lambda: False) -> None:
        self._properties = properties
        self._stopping = stopping
        self._consumers = ConsumerPair(properties, "ends")
        self._pool = ThreadPoolExecutor(1)

    def __enter__(self) -> Ends:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._pool.shutdown()
        self._consumers.close()

    def partitions(self, topics: Iterable[str], asked: Producer | None = None) -> list[Partition]:
        """All of them. `asked`: a client that is connected already, which spares 50 ms."""

        def ask(topic: str) -> list[Partition]:
            return kafka_answers.partitions_of(asked or self._consumers.committed, topic, _ANSWER_S)

        return [partition for topic in topics for partition in self._patiently(functools.partial(ask, topic))]

    def lagging(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        """Last stable offsets of those partitions where it is before the end."""
        asked = list(partitions)
        stable, end = self._patiently(lambda: self._look(asked))
        return {partition: stable[partition] for partition in asked if stable[partition] < end[partition]}

    def standing(self, lagging: dict[Partition, int], seconds: float) -> dict[Partition, int]:
        """Those of them that stay where they are for so long. Returns as soon as none is left."""
        deadline = time.monotonic() + seconds
        while lagging and time.monotonic() < deadline:
            self._check_stop()
            time.sleep(0.03)
            now = self.lagging(lagging)
            lagging = {partition: offset for partition, offset in lagging.items() if now.get(partition) == offset}
        return lagging

    def whose(self, standing: dict[Partition, int], stood_s: float) -> list[Hanging]:
        """What can be found out about them."""
        servers = str(self._properties["bootstrap.servers"])
        found = [Hanging(partition, offset, stood_s, servers) for partition, offset in standing.items()]
        plain = str(self._properties.get("security.protocol", "plaintext")).lower() == "plaintext"
        if not found or not plain:
            return found
        try:
            return [self._owner(one) for one in found]
        except KafkaException:  # told without its owner
            return found

    def _owner(self, one: Hanging) -> Hanging:
        topic, number = one.partition
        found = kafka_answers.topic(self._consumers.committed, topic, _ANSWER_S)
        brokers = {broker.id: (str(broker.host), broker.port) for broker in found.brokers.values()}
        place = found.topics[topic].partitions.get(number)
        leader = place and brokers.get(place.leader)
        producer_id = kafka_raw.producer_at(leader, one.partition, one.offset) if leader else None
        if producer_id is None:
            return one
        name, state = kafka_raw.transaction_of(list(brokers.values()), producer_id) or ("", "")
        return one._replace(producer_id=producer_id, transactional_id=name, state=state)

    def _look(self, partitions: Sequence[Partition]) -> list[dict[Partition, int]]:
        """Last stable offsets and ends. Both are asked at once: a new client needs some 15 ms to connect."""
        committed, uncommitted = self._consumers.committed, self._consumers.uncommitted
        ends = self._pool.submit(offsets, uncommitted, partitions)
        return [offsets(committed, partitions), ends.result()]

    def _patiently(self, ask: Callable[[], T]) -> T:
        deadline = time.monotonic() + LOOK_S
        while True:
            try:
                return ask()
            except KafkaException as error:
                cause = error.args[0]
                if cause.code() in UNAUTHORISED or time.monotonic() > deadline:
                    raise unreachable("the ends of partitions cannot be looked up", cause) from error
            self._check_stop()
            time.sleep(0.05)
            self._consumers.close()

    def _check_stop(self) -> None:
        if self._stopping():
            raise Unavailable("asked to stop while looking for transactions that hang")


def offsets(consumer: Consumer, partitions: Sequence[Partition]) -> dict[Partition, int]:
    """The end of each partition as the client's isolation level has it. Raises KafkaException."""
    return kafka_answers.offsets(consumer, partitions, kafka_answers.END, _ANSWER_S)
