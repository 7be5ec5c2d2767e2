"""Where a reader of committed records stops, where a partition ends, and whose open transaction lies between."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import NamedTuple, TypeVar

from confluent_kafka import OFFSET_END, Consumer, KafkaError, KafkaException, Producer, TopicPartition

from stream_scorer.errors import Unavailable
from stream_scorer.records import Partition
from stream_scorer.transports import kafka_raw
from stream_scorer.transports.kafka_config import OUR_IDS, Properties, open_client
from stream_scorer.transports.kafka_errors import UNAUTHORISED, unreachable

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
    """Last stable offset and end of partitions. Two consumers ask, one of each isolation level: it decides the answer.

    Fresh clients each time: those that have seen a broker's restart keep old leader epochs.
    """

    def __init__(self, properties: Properties, stopping: Callable[[], bool] = lambda: False) -> None:
        own = {"client.id": "stream-scorer-ends"}
        self._properties = [
            {**properties, **own, "isolation.level": f"read_{how}"} for how in ("committed", "uncommitted")
        ]
        self._stopping = stopping
        self._consumers = self._open()
        self._pool = ThreadPoolExecutor(1)

    def _open(self) -> list[Consumer]:
        return [open_client(Consumer, properties) for properties in self._properties]

    def __enter__(self) -> Ends:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._pool.shutdown()
        self._close()

    def _close(self) -> None:
        for consumer in self._consumers:
            consumer.close()

    def partitions(self, topics: Iterable[str], asked: Producer | None = None) -> list[Partition]:
        """All of them. `asked`: a client that is connected already, which spares 50 ms."""

        def ask() -> list[Partition]:
            client = asked or self._consumers[0]
            found = [client.list_topics(topic, timeout=_ANSWER_S).topics[topic] for topic in topics]
            for topic in found:
                if topic.error:
                    raise KafkaException(KafkaError(topic.error.code(), f"{topic.topic}: {topic.error.str()}"))
            return [Partition(topic.topic, number) for topic in found for number in topic.partitions]

        return self._patiently(ask)

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
        servers = str(self._properties[0]["bootstrap.servers"])
        found = [Hanging(partition, offset, stood_s, servers) for partition, offset in standing.items()]
        plain = str(self._properties[0].get("security.protocol", "plaintext")).lower() == "plaintext"
        if not found or not plain:
            return found
        try:
            return [self._owner(one) for one in found]
        except KafkaException:  # told without its owner
            return found

    def _owner(self, one: Hanging) -> Hanging:
        metadata = self._consumers[0].list_topics(one.partition.topic, timeout=_ANSWER_S)
        brokers = {number: (broker.host, broker.port) for number, broker in metadata.brokers.items()}
        leader = brokers.get(metadata.topics[one.partition.topic].partitions[one.partition.number].leader)
        producer_id = kafka_raw.producer_at(leader, one.partition, one.offset) if leader else None
        if producer_id is None:
            return one
        name, state = kafka_raw.transaction_of(list(brokers.values()), producer_id) or ("", "")
        return one._replace(producer_id=producer_id, transactional_id=name, state=state)

    def _look(self, partitions: Sequence[Partition]) -> list[dict[Partition, int]]:
        """Last stable offsets and ends. Both are asked at once: a new client needs some 15 ms to connect."""
        committed, uncommitted = self._consumers
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
            self._close()
            self._consumers = self._open()

    def _check_stop(self) -> None:
        if self._stopping():
            raise Unavailable("asked to stop while looking for transactions that hang")


def offsets(consumer: Consumer, partitions: Sequence[Partition]) -> dict[Partition, int]:
    """The end of each partition as the client's isolation level has it. One request per broker. Raises KafkaException."""
    wanted = [TopicPartition(*partition, OFFSET_END) for partition in partitions]
    found = consumer.offsets_for_times(wanted, timeout=_ANSWER_S) if wanted else []
    for at in found:
        if at.error:
            raise KafkaException(KafkaError(at.error.code(), f"{at.topic}[{at.partition}]: {at.error.str()}"))
    return {Partition(at.topic, at.partition): at.offset for at in found}
