"""Questions to brokers about partitions, offsets and positions: each gives a complete answer or raises an error.

In an answer about several partitions, some may have an error in place of an offset. Code that overlooks the error takes
a leader that has moved, or a coordinator that is loading, for "nothing is there". So these questions are asked here and
nowhere else.

Every call blocks for `seconds` at most and raises KafkaException; `kafka_errors.unreachable` turns it into our errors.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, OFFSET_END, Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import ClusterMetadata  # type: ignore[attr-defined]

from stream_scorer.kafka.errors import may_pass, persist
from stream_scorer.parsing.times import timestamp_ms
from stream_scorer.records import Partition

FIRST, END = OFFSET_BEGINNING, OFFSET_END
"""In place of a time or an offset: the first offset, and the end as the isolation level has it."""


def cluster(client: Any, seconds: float) -> ClusterMetadata:
    """Brokers and all topics. `client`: of any kind.

    A broker that was paused and is not yet back in its cluster names no broker at all: that counts as an error.
    """
    found: ClusterMetadata = client.list_topics(timeout=seconds)
    if not found.brokers:
        raise KafkaException(KafkaError(KafkaError.BROKER_NOT_AVAILABLE, "the answer names no broker"))
    return found


def is_mock_cluster(found: ClusterMetadata) -> bool:
    """Whether it is librdkafka's mock cluster, which has no controller and never answers a request to describe topics."""
    return (found.cluster_id or "").startswith("mockCluster")


def topic(client: Any, name: str, seconds: float) -> ClusterMetadata:
    """One topic, with its partitions. An error if there is no such topic. A producer also learns the count for itself."""
    found: ClusterMetadata = client.list_topics(name, timeout=seconds)
    known = found.topics.get(name)
    if known is None or (known.error is None and not known.partitions):
        raise KafkaException(KafkaError(KafkaError.LEADER_NOT_AVAILABLE, "the answer names no partition"))
    if known.error is not None:
        raise KafkaException(known.error)
    return found


def partitions_of(client: Any, name: str, seconds: float) -> list[Partition]:
    return [Partition(name, number) for number in topic(client, name, seconds).topics[name].partitions]


def bounds(consumer: Consumer, partition: Partition, seconds: float) -> tuple[int, int]:
    """The first offset, and the end as the consumer's isolation level has it."""
    first, end = consumer.get_watermark_offsets(TopicPartition(*partition), timeout=seconds)
    return int(first), int(end)


def offsets(consumer: Consumer, partitions: Iterable[Partition], at: int, seconds: float) -> dict[Partition, int]:
    """For each partition, the first offset at or after a time in ms since 1970, or FIRST or END. One request per broker.

    A partition without a record of that time or later gives END.
    """
    wanted = [TopicPartition(*partition, at) for partition in partitions]
    found = consumer.offsets_for_times(wanted, timeout=seconds) if wanted else []
    _check_whole(found)
    return {Partition(at.topic, at.partition): at.offset for at in found}


def committed(consumer: Consumer, partitions: Iterable[Partition], seconds: float) -> dict[Partition, TopicPartition]:
    """The position of the group in each partition; an offset below 0: it has committed none."""
    wanted = [TopicPartition(*partition) for partition in partitions]
    found = consumer.committed(wanted, timeout=seconds) if wanted else []
    _check_whole(found)
    return {Partition(at.topic, at.partition): at for at in found}


def committed_with_retries(
    consumer: Consumer, partitions: Iterable[Partition], patience_s: float
) -> dict[Partition, TopicPartition]:
    """As `committed`, with retries while they may help. Blocks for about twice `patience_s` at most."""
    places = list(partitions)
    return persist(lambda seconds: committed(consumer, places, seconds), patience_s, lambda: patience_s, may_pass)


def _check_whole(found: Sequence[TopicPartition]) -> None:
    for at in found:
        if at.error:
            where = f"{at.topic}[{at.partition}]: " if len(found) > 1 else ""
            raise KafkaException(KafkaError(at.error.code(), where + at.error.str()))


def begin_at(consumer: Consumer, partition: Partition, start: str, seconds: float) -> tuple[int, int | None]:
    """Where to begin for "earliest", "latest", a time, or ms since 1970. Asks two questions.

    Returns the offset, and the time in ms before which records are to be skipped; None: skip none. A time needs both,
    because brokers also count transaction markers, whose time is the wall clock's. So on a topic of old dates the offset
    may be that of a marker, with older records behind it.
    """
    low, high = bounds(consumer, partition, seconds)
    if start in ("earliest", "latest"):
        return high if start == "latest" else low, None
    wanted = int(start) if start.isdecimal() else timestamp_ms(start)
    if wanted < 0:  # brokers do not look up times before 1970, which records may have
        return low, wanted
    found = offsets(consumer, [partition], wanted, seconds)[partition]
    return high if found < 0 else found, wanted
