"""Last stable offsets and ends of partitions, and whose open transaction lies between the two."""

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
from stream_scorer.kafka import raw_requests
from stream_scorer.kafka.clients import ConsumerPair, Properties
from stream_scorer.kafka.config import OUR_IDS
from stream_scorer.kafka.errors import UNAUTHORISED, unreachable
from stream_scorer.records import Partition

T = TypeVar("T")
LOOK_S = 10.0
"""Longest time that brokers may not answer."""
_ANSWER_S = 2.0


class OpenTransaction(NamedTuple):
    """A transaction that has been open at one offset for a while.

    offset: the last stable offset of the partition. open_s: for how long it has been open, at least, in seconds.
    servers: bootstrap servers, for the commands in `text`. state: in its coordinator, "" if that is not known.
    """

    partition: Partition
    offset: int
    open_s: float
    servers: str
    producer_id: int | None = None
    transactional_id: str = ""
    state: str = ""

    @property
    def in_use(self) -> bool:
        """Whether its coordinator will end it, at its transaction.timeout.ms at the latest."""
        return self.state == "Ongoing" or self.state.startswith("Prepare")

    def text(self) -> str:
        """Where it is, whose, what it does to readers, and the commands to look at it and to end it."""
        topic, number = self.partition
        who = "another producer" if self.producer_id is None else f"producer id {self.producer_id}"
        if self.transactional_id:
            who += f", transactional id {self.transactional_id!r}"
        if self.in_use:
            outlook = (
                f"Its coordinator says {self.state}: it ends at that producer's transaction.timeout.ms at the latest."
            )
        elif self.state:
            outlook = f"Its coordinator says {self.state}: it hangs, and nobody will end it by itself."
        else:
            outlook = "If it stays for longer than that producer's transaction.timeout.ms, it hangs."
        if self.transactional_id.startswith(OUR_IDS):
            outlook += (
                " It is of a service like this one: one at work, or a dead one that had another name. Where host names "
                "change with each start, as in containers, give --instance a name that stays: then the next start ends "
                "at once what its predecessor left open."
            )
        tool = f"kafka-transactions.sh --bootstrap-server {self.servers}"
        return (
            f"{self.partition}@{self.offset}: a transaction of {who} is open there, for {self.open_s:.0f} s at least. "
            f"Readers of committed records see nothing from there on until it ends. {outlook} "
            f"To look: {tool} describe-producers --topic {topic} --partition {number}. "
            f"To end it: {tool} abort --topic {topic} --partition {number} --start-offset {self.offset}"
        )


class EndOffsets:
    """Last stable offsets and ends of partitions. A context manager; open a new one for each look, as clients may keep
    old leader epochs.

    Each call blocks for 10 s at most if brokers do not answer. Raises Unavailable, BrokerError.

    Args:
        stopping: asked while a call waits; if it returns true, the call raises Unavailable.
    """

    def __init__(self, properties: Properties, stopping: Callable[[], bool] = lambda: False) -> None:
        self._properties = properties
        self._stopping = stopping
        self._consumers = ConsumerPair(properties, "ends")
        self._pool = ThreadPoolExecutor(1)

    def __enter__(self) -> EndOffsets:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._pool.shutdown()
        self._consumers.close()

    def partitions(self, topics: Iterable[str], client: Producer | None = None) -> list[Partition]:
        """All partitions of these topics. `client`: one that is connected already, which saves 50 ms."""

        def ask(topic: str) -> list[Partition]:
            return kafka_answers.partitions_of(client or self._consumers.committed, topic, _ANSWER_S)

        return [partition for topic in topics for partition in self._retry(functools.partial(ask, topic))]

    def held_back(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        """The last stable offset of each partition where it is before the end: there a transaction is open."""
        places = list(partitions)
        stable, end = self._retry(lambda: self._look(places))
        return {partition: stable[partition] for partition in places if stable[partition] < end[partition]}

    def still_held_back(self, held: dict[Partition, int], seconds: float) -> dict[Partition, int]:
        """Those of `held_back` whose last stable offset stays the same for so long. Returns as soon as none is left."""
        deadline = time.monotonic() + seconds
        while held and time.monotonic() < deadline:
            self._check_stop()
            time.sleep(0.03)
            now = self.held_back(held)
            held = {partition: offset for partition, offset in held.items() if now.get(partition) == offset}
        return held

    def describe(self, held: dict[Partition, int], open_s: float) -> list[OpenTransaction]:
        """The transactions at these last stable offsets, with their owners as far as those can be looked up."""
        servers = str(self._properties["bootstrap.servers"])
        transactions = [OpenTransaction(partition, offset, open_s, servers) for partition, offset in held.items()]
        plain = str(self._properties.get("security.protocol", "plaintext")).lower() == "plaintext"
        if not transactions or not plain:
            return transactions
        try:
            return [self._with_owner(transaction) for transaction in transactions]
        except KafkaException:  # described without owners
            return transactions

    def _with_owner(self, transaction: OpenTransaction) -> OpenTransaction:
        topic, number = transaction.partition
        metadata = kafka_answers.topic(self._consumers.committed, topic, _ANSWER_S)
        brokers = {broker.id: (str(broker.host), broker.port) for broker in metadata.brokers.values()}
        place = metadata.topics[topic].partitions.get(number)
        leader = place and brokers.get(place.leader)
        producer_id = raw_requests.producer_at(leader, transaction.partition, transaction.offset) if leader else None
        if producer_id is None:
            return transaction
        name, state = raw_requests.transaction_of(list(brokers.values()), producer_id) or ("", "")
        return transaction._replace(producer_id=producer_id, transactional_id=name, state=state)

    def _look(self, partitions: Sequence[Partition]) -> list[dict[Partition, int]]:
        """Last stable offsets and ends. Both are asked for at once: a new client needs some 15 ms to connect."""
        committed, uncommitted = self._consumers.committed, self._consumers.uncommitted
        ends = self._pool.submit(offsets, uncommitted, partitions)
        return [offsets(committed, partitions), ends.result()]

    def _retry(self, ask: Callable[[], T]) -> T:
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
