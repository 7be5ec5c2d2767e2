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

from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition

from stream_scorer.errors import CommitAborted, TransportError, Unavailable
from stream_scorer.kafka.client_log import librdkafka_log
from stream_scorer.kafka.clients import Properties, open_client
from stream_scorer.kafka.end_offsets import LOOK_S, Ends, Hanging
from stream_scorer.records import Partition

log = logging.getLogger(__name__)

SETTLE_S = 1.0
"""So long a transaction may stand before it is looked into: those in use end by themselves within milliseconds."""
GONE_S = 1.0
"""So long after a probe what stands has not ended by it."""
OFFSETS = "__consumer_offsets"
PROBE_KEY = b"@probe"
HOW = "a transaction of the same id touched it and was aborted. Nothing of it was published, and readers go on"
TOO_LONG = "-" * 30_000
"""Metadata of an offset: a broker takes 4,096 characters unless offset.metadata.max.bytes says otherwise."""

Call = Callable[[Callable[[float], object]], None]
"""Calls what it is given with a timeout in s, again while librdkafka says so. Raises TransportError."""


def hanging(
    properties: Properties,
    partitions: Iterable[Partition],
    settle_s: float = SETTLE_S,
    stopping: Callable[[], bool] = lambda: False,
) -> list[Hanging]:
    """The transactions that stand open at these partitions' last stable offsets for all of `settle_s`, and whose they are.

    Without any it takes some 20 ms. `properties`: of a consumer. Raises BrokerError, Unavailable.
    """
    with Ends(properties, stopping) as ends:
        return ends.whose(ends.standing(ends.lagging(partitions), settle_s), settle_s)


def hanging_offsets(properties: Properties, stopping: Callable[[], bool] = lambda: False) -> str:
    """What to say of positions of the group that stay unstable: another's transaction on the topic of positions.

    Says where it begins and whose it is where this user may describe that topic, else how to find it; "" if none is
    open, or no broker answers. Blocks for some 1.2 s.
    """
    try:
        with Ends(properties, stopping) as ends:
            count = len(ends.partitions([OFFSETS]))
            partition = Partition(OFFSETS, coordinator_hash(properties["group.id"]) % count)
            found = ends.whose(ends.standing(ends.lagging([partition]), SETTLE_S), SETTLE_S)
    except Unavailable:
        return ""
    except TransportError:  # not for this user to see
        return somebodys_offsets(properties)
    return found[0].text() if found else ""


def somebodys_offsets(properties: Properties) -> str:
    """What to say where it is not known whose transaction holds positions of the group back."""
    return (
        f"a transaction is open on the group's partition of {OFFSETS}. If it outlives its producer's "
        f"transaction.timeout.ms, it hangs: kafka-transactions.sh --bootstrap-server {properties['bootstrap.servers']} "
        "find-hanging --broker-id N finds it, and its abort command ends it"
    )


def coordinator_hash(group: str) -> int:
    """By which a group's partition of the topic of positions is chosen: Java's hash of the text without its sign."""
    found, units = 0, group.encode("utf-16-be")
    for high, low in zip(units[::2], units[1::2], strict=True):
        found = (31 * found + (high << 8) + low) & 0xFFFFFFFF
    return found if found < 1 << 31 else (1 << 32) - found & 0x7FFFFFFF


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """librdkafka calls it an error that the broker refuses the probe's offset: it is meant to."""

    def other(record: logging.LogRecord) -> bool:
        return "TXNERR" not in record.getMessage()

    librdkafka_log.addFilter(other)
    try:
        yield
    finally:
        librdkafka_log.removeFilter(other)


class Probe:
    """Ends what hangs under the id of a transactional producer.

    Args:
        reader: properties of a consumer of the group.
        topics: all that the producer writes to.
        input_topic: whose positions it commits.
    """

    def __init__(
        self, reader: Properties, topics: Iterable[str], input_topic: str, stopping: Callable[[], bool] = lambda: False
    ) -> None:
        self._reader, self._topics, self._stopping = reader, list(dict.fromkeys(topics)), stopping
        # Taken by no broker, so that no position is ever pending; the topic of positions has joined the transaction then.
        self._position = TopicPartition(input_topic, 0, 0, TOO_LONG)
        # Of nobody: an abort needs no member, and the probe comes before this worker is one.
        self._group = open_client(Consumer, {"group.id": reader["group.id"]}).consumer_group_metadata()
        self._others: set[tuple[Partition, int]] = set()

    def end(self, producer: Producer, call: Call) -> int:
        """Call before the producer's first commit, with no transaction begun; how many were ended.

        Takes some 40 ms where nothing hangs, else a few seconds at most. What stays is another's: the log says whose.
        Raises TransportError.
        """
        with Ends(self._reader, self._stopping) as ends:
            lagging = ends.lagging(ends.partitions(self._topics, producer))
            known = {at: offset for at, offset in lagging.items() if (at, offset) in self._others}
            standing = ends.standing({at: offset for at, offset in lagging.items() if at not in known}, SETTLE_S)
            self.touch(producer, call, [*standing, *known])  # of this id there may be one behind a known one
            left = ends.standing(standing, GONE_S)
            if left:  # its marker may have been skipped again
                self.touch(producer, call, left)
                left = ends.standing(left, GONE_S)
            ended = standing.keys() - left.keys()
            for partition in sorted(ended):
                log.warning("%s@%d: ended a transaction that hung there; %s", partition, standing[partition], HOW)
            left |= ends.standing(ends.lagging(ended), SETTLE_S)  # another's, behind it
            self._others.update(left.items())
            for other in ends.whose(left, SETTLE_S + GONE_S):
                log.log(logging.INFO if other.in_use else logging.WARNING, "%s. This service goes on", other.text())
            return len(ended)

    @_quiet()
    def touch(self, producer: Producer, call: Call, partitions: Iterable[Partition] = ()) -> None:
        """One transaction with the group's positions and these partitions, aborted. Raises TransportError."""
        call(lambda _: producer.begin_transaction())
        try:
            for partition in partitions:
                self._write(producer, call, partition)
            self._deliver(producer)
            call(lambda seconds: producer.send_offsets_to_transaction([self._position], self._group, seconds))
        except CommitAborted as error:
            log.debug("as it should be: %s", error)
        finally:
            call(producer.abort_transaction)
            producer.poll(0)  # what librdkafka logs comes then

    def _write(self, producer: Producer, call: Call, partition: Partition) -> None:
        def delivered(error: KafkaError | None, _: object) -> None:
            if error is not None:
                log.warning("%s: the probe was not taken: %s", partition, error.str())

        topic, number = partition
        call(lambda _: producer.produce(topic, None, PROBE_KEY, number, on_delivery=delivered))

    def _deliver(self, producer: Producer) -> None:
        deadline = time.monotonic() + LOOK_S
        while producer.flush(0.2):
            if self._stopping() or time.monotonic() > deadline:
                raise Unavailable(f"a probe was not taken in {LOOK_S:.0f} s. Is the broker there?")
