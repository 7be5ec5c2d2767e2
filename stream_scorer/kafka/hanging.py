"""Transactions that hang: open on a partition although their coordinator has ended them, or never knew of them.

A coordinator skips the marker of a partition that has no leader at that moment, and a write may arrive after the
marker. The partition's last stable offset then stays where that transaction begins, and readers of committed records
see nothing of what follows. The next commit of the same producer id publishes what was aborted. A transaction of
that id which touches the partition and aborts ends it and publishes nothing.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Iterable, Iterator

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition

from stream_scorer.errors import CommitAborted, TransportError, Unavailable
from stream_scorer.kafka.client_log import librdkafka_log
from stream_scorer.kafka.clients import Properties, open_client
from stream_scorer.kafka.end_offsets import LOOK_S, EndOffsets, OpenTransaction
from stream_scorer.kafka.errors import raised
from stream_scorer.records import Partition

log = logging.getLogger(__name__)

SETTLE_S = 1.0
"""How long a transaction must be open before it is looked into: those in use end by themselves within milliseconds."""
ENDED_S = 1.0
"""A transaction that is still open after this time was not ended by the probe."""
OFFSETS = "__consumer_offsets"
PROBE_KEY = b"@probe"
HOW_ENDED = "a transaction of the same id touched it and was aborted. Nothing of it was published, and readers go on"
TOO_LONG = "-" * 30_000
"""Metadata of an offset: a broker takes 4,096 characters unless offset.metadata.max.bytes says otherwise."""

Call = Callable[[Callable[[float], object]], None]
"""Calls its argument with a timeout in seconds, and again while librdkafka says that this helps. Raises TransportError."""


def find_hanging(
    properties: Properties,
    partitions: Iterable[Partition],
    settle_s: float = SETTLE_S,
    stopping: Callable[[], bool] = lambda: False,
) -> list[OpenTransaction]:
    """The transactions that are open at these partitions' last stable offsets for all of `settle_s`, with their owners.

    Takes some 20 ms if there are none. `properties`: of a consumer. Raises BrokerError, Unavailable.
    """
    with EndOffsets(properties, stopping) as ends:
        return ends.describe(ends.still_held_back(ends.held_back(partitions), settle_s), settle_s)


def hanging_offsets(properties: Properties, stopping: Callable[[], bool] = lambda: False) -> str:
    """Which transaction on the topic of positions keeps committed offsets of the group from being certain, in words.

    The text has its offset and its owner if this user may describe that topic, else how to find it; "" if none is
    open, or no broker answers. Blocks for some 1.2 s. Raises nothing.
    """
    try:
        with EndOffsets(properties, stopping) as ends:
            count = len(ends.partitions([OFFSETS]))
            partition = Partition(OFFSETS, coordinator_hash(properties["group.id"]) % count)
            held = ends.still_held_back(ends.held_back([partition]), SETTLE_S)
            transactions = ends.describe(held, SETTLE_S)
    except Unavailable:
        return ""
    except TransportError:  # this user may not describe the topic
        return unknown_owner_text(properties)
    return transactions[0].text() if transactions else ""


def unknown_owner_text(properties: Properties) -> str:
    """The text if it is not known whose transaction keeps committed offsets of the group from being certain."""
    return (
        f"a transaction is open on the group's partition of {OFFSETS}. If it outlives its producer's "
        f"transaction.timeout.ms, it hangs: kafka-transactions.sh --bootstrap-server {properties['bootstrap.servers']} "
        "find-hanging --broker-id N finds it, and its abort command ends it"
    )


def coordinator_hash(group: str) -> int:
    """Chooses a group's partition of the topic of positions: Java's hash of the text, without its sign."""
    result, units = 0, group.encode("utf-16-be")
    for high, low in zip(units[::2], units[1::2], strict=True):
        result = (31 * result + (high << 8) + low) & 0xFFFFFFFF
    return result if result < 1 << 31 else (1 << 32) - result & 0x7FFFFFFF


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """librdkafka logs an error when the broker refuses the probe's offset, as it is meant to."""

    def other(record: logging.LogRecord) -> bool:
        return "TXNERR" not in record.getMessage()

    librdkafka_log.addFilter(other)
    try:
        yield
    finally:
        librdkafka_log.removeFilter(other)


class Probe:
    """Ends transactions that hang under the id of a transactional producer.

    Args:
        reader: properties of a consumer of the group.
        topics: all topics that the producer writes to.
        input_topic: the topic whose positions it commits.
        stopping: whether the service was asked to stop.
    """

    def __init__(
        self, reader: Properties, topics: Iterable[str], input_topic: str, stopping: Callable[[], bool] = lambda: False
    ) -> None:
        self._reader, self._topics, self._stopping = reader, list(dict.fromkeys(topics)), stopping
        # No broker takes metadata so long, so that no position is ever pending. The topic of positions has joined the
        # transaction by then.
        self._position = TopicPartition(input_topic, 0, 0, TOO_LONG)
        # Of a consumer that never joins: an abort needs no member, and the probe comes before this worker is one.
        self._group = open_client(Consumer, {"group.id": reader["group.id"]}).consumer_group_metadata()
        self._others: set[tuple[Partition, int]] = set()

    def end(self, producer: Producer, call: Call) -> int:
        """Call before the producer's first commit, with no transaction begun. Returns how many transactions were ended.

        Blocks for some 40 ms if nothing hangs, else for a few seconds at most. Transactions that stay open are of other
        producers: the log says whose. Raises TransportError.
        """
        with EndOffsets(self._reader, self._stopping) as ends:
            open_at = ends.held_back(ends.partitions(self._topics, producer))
            known = {at: offset for at, offset in open_at.items() if (at, offset) in self._others}
            held = ends.still_held_back({at: offset for at, offset in open_at.items() if at not in known}, SETTLE_S)
            self.touch(producer, call, [*held, *known])  # one of this id may lie behind a known one
            left = ends.still_held_back(held, ENDED_S)
            if left:  # the marker may have been skipped again
                self.touch(producer, call, left)
                left = ends.still_held_back(left, ENDED_S)
            ended = held.keys() - left.keys()
            for partition in sorted(ended):
                log.warning("%s@%d: ended a transaction that hung there; %s", partition, held[partition], HOW_ENDED)
            left |= ends.still_held_back(ends.held_back(ended), SETTLE_S)  # another producer's, behind it
            self._others.update(left.items())
            for other in ends.describe(left, SETTLE_S + ENDED_S):
                log.log(logging.INFO if other.in_use else logging.WARNING, "%s. This service goes on", other.text())
            return len(ended)

    @_quiet()
    def touch(self, producer: Producer, call: Call, partitions: Iterable[Partition] = ()) -> None:
        """Aborts one transaction with the group's positions and a record for each partition. Raises TransportError."""
        call(lambda _: producer.begin_transaction())
        try:
            for partition in partitions:
                self._write(producer, call, partition)
            self._deliver(producer)
            call(lambda timeout_s: producer.send_offsets_to_transaction([self._position], self._group, timeout_s))
        except CommitAborted as error:
            log.debug("the probe was refused, as it is meant to be: %s", error)
        finally:
            call(producer.abort_transaction)
            with contextlib.suppress(
                KafkaException, SystemError
            ):  # of a producer that is finished: the next call says so
                producer.poll(0)  # librdkafka's log lines come inside this call

    def _write(self, producer: Producer, call: Call, partition: Partition) -> None:
        def delivered(error: KafkaError | None, _: object) -> None:
            if error is not None:
                log.warning("%s: the probe was not taken: %s", partition, error.str())

        topic, number = partition
        call(lambda _: producer.produce(topic, None, PROBE_KEY, number, on_delivery=delivered))

    def _deliver(self, producer: Producer) -> None:
        deadline = time.monotonic() + LOOK_S
        while _unsent(producer):
            if self._stopping() or time.monotonic() > deadline:
                raise Unavailable(f"a probe was not taken in {LOOK_S:.0f} s. Is the broker there?")


def _unsent(producer: Producer) -> int:
    """Records that the broker has not acknowledged in 0.2 s."""
    try:
        return producer.flush(0.2)
    except (KafkaException, SystemError) as error:
        raise raised(error) from error
