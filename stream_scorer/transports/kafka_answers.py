"""What a broker answers to a question: whole, or an error.

An answer about several partitions may hold an error in the place of some. Whoever reads past it takes a leader that has
moved, or a coordinator that is loading, for "nothing is there". So these questions are asked here and nowhere else.

Every call blocks for `seconds` at most and raises KafkaException, of which `kafka_errors.unreachable` makes ours.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, OFFSET_END, Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import ClusterMetadata  # type: ignore[attr-defined]

from stream_scorer.records import Partition
from stream_scorer.times import timestamp_ms
from stream_scorer.transports.kafka_errors import may_pass, persist

FIRST, END = OFFSET_BEGINNING, OFFSET_END
"""In the place of a time: the first offset there is, and the one after the last that the isolation level shows."""


def cluster(client: Any, seconds: float) -> ClusterMetadata:
    """Brokers and all topics. `client`: of any kind.

    A broker that has just woken up, and is not yet taken back by the cluster, knows of no broker: that is no answer.
    """
    found: ClusterMetadata = client.list_topics(timeout=seconds)
    if not found.brokers:
        raise KafkaException(KafkaError(KafkaError.BROKER_NOT_AVAILABLE, "the answer names no broker"))
    return found


def is_stand_in(found: ClusterMetadata) -> bool:
    """Whether it is librdkafka's mock cluster: without a controller, whoever asks it to describe something waits."""
    return (found.cluster_id or "").startswith("mockCluster")


def topic(client: Any, name: str, seconds: float) -> ClusterMetadata:
    """Of one topic that is there, with its partitions. A producer learns from it how many there are."""
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
    """The first offset, and the one after the last that the consumer's isolation level shows."""
    first, end = consumer.get_watermark_offsets(TopicPartition(*partition), timeout=seconds)
    return int(first), int(end)


def offsets(consumer: Consumer, partitions: Iterable[Partition], at: int, seconds: float) -> dict[Partition, int]:
    """Of each partition the first offset at a time in ms, or at FIRST or END. One request per broker.

    END where no record is that late.
    """
    wanted = [TopicPartition(*partition, at) for partition in partitions]
    found = consumer.offsets_for_times(wanted, timeout=seconds) if wanted else []
    _check_whole(found)
    return {Partition(at.topic, at.partition): at.offset for at in found}


def committed(consumer: Consumer, partitions: Iterable[Partition], seconds: float) -> dict[Partition, TopicPartition]:
    """What the group has committed; offset below 0: nothing."""
    wanted = [TopicPartition(*partition) for partition in partitions]
    found = consumer.committed(wanted, timeout=seconds) if wanted else []
    _check_whole(found)
    return {Partition(at.topic, at.partition): at for at in found}


def surely_committed(
    consumer: Consumer, partitions: Iterable[Partition], patience_s: float
) -> dict[Partition, TopicPartition]:
    """The same, asked again while another try may help. Blocks for about twice `patience_s` at most."""
    places = list(partitions)
    return persist(lambda seconds: committed(consumer, places, seconds), patience_s, lambda: patience_s, may_pass)


def _check_whole(found: Sequence[TopicPartition]) -> None:
    for at in found:
        if at.error:
            where = f"{at.topic}[{at.partition}]: " if len(found) > 1 else ""
            raise KafkaException(KafkaError(at.error.code(), where + at.error.str()))


def begin_at(consumer: Consumer, partition: Partition, start: str, seconds: float) -> tuple[int, int | None]:
    """(offset, least timestamp of the records from there on; None: all) for "earliest", "latest", a time or ms since 1970.

    There may be older records behind the offset: the broker's answer to a time counts transaction markers, whose time
    is the wall clock's, so that on a topic of old dates it is the first marker, whatever was asked. Two questions.
    """
    low, high = bounds(consumer, partition, seconds)
    if start in ("earliest", "latest"):
        return high if start == "latest" else low, None
    wanted = int(start) if start.isdecimal() else timestamp_ms(start)
    if wanted < 0:  # brokers look up no time before 1970, though records may be of one
        return low, wanted
    found = offsets(consumer, [partition], wanted, seconds)[partition]
    return high if found < 0 else found, wanted
