"""Questions to brokers about partitions, offsets and positions: each gives a complete answer or raises an error.

In an answer about several partitions, some may have an error in place of an offset. Code that overlooks the error takes
a leader that has moved, or a coordinator that is loading, for "nothing is there". So these questions are asked here and
nowhere else.

Every call blocks for `timeout_s` seconds at most and raises KafkaException; `errors.unreachable` turns it into ours.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, OFFSET_END, Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import ClusterMetadata  # type: ignore[attr-defined]

from stream_scorer.kafka.errors import may_pass, persist
from stream_scorer.parsing.times import start_ms
from stream_scorer.records import Partition

FIRST, END = OFFSET_BEGINNING, OFFSET_END
"""In place of a time: the first offset of a partition, and its end as the isolation level has it."""


def cluster(client: Any, timeout_s: float) -> ClusterMetadata:
    """Brokers and all topics. `client`: of any kind.

    A broker that was paused and is not yet back in its cluster names no broker at all: that is an error.
    """
    metadata: ClusterMetadata = client.list_topics(timeout=timeout_s)
    if not metadata.brokers:
        raise KafkaException(KafkaError(KafkaError.BROKER_NOT_AVAILABLE, "the answer names no broker"))
    return metadata


def is_mock_cluster(metadata: ClusterMetadata) -> bool:
    """Whether it is librdkafka's mock cluster, which has no controller and never answers a request to describe topics."""
    return (metadata.cluster_id or "").startswith("mockCluster")


def topic(client: Any, name: str, timeout_s: float) -> ClusterMetadata:
    """One topic, with its partitions. It is an error if the topic does not exist.

    If `client` is a producer, it uses the partition count of this answer from now on.
    """
    metadata: ClusterMetadata = client.list_topics(name, timeout=timeout_s)
    description = metadata.topics.get(name)
    if description is None or (description.error is None and not description.partitions):
        raise KafkaException(KafkaError(KafkaError.LEADER_NOT_AVAILABLE, "the answer names no partition"))
    if description.error is not None:
        raise KafkaException(description.error)
    return metadata


def partitions_of(client: Any, name: str, timeout_s: float) -> list[Partition]:
    return [Partition(name, number) for number in topic(client, name, timeout_s).topics[name].partitions]


def bounds(consumer: Consumer, partition: Partition, timeout_s: float) -> tuple[int, int]:
    """The first offset, and the end as the consumer's isolation level has it."""
    first, end = consumer.get_watermark_offsets(TopicPartition(*partition), timeout=timeout_s)
    return int(first), int(end)


def offsets(
    consumer: Consumer, partitions: Iterable[Partition], time_ms: int, timeout_s: float
) -> dict[Partition, int]:
    """For each partition, the first offset at or after a time in ms since 1970; END if there is none. One request per broker.

    `time_ms` may be FIRST or END, for the first offset and the end.
    """
    times = [TopicPartition(*partition, time_ms) for partition in partitions]
    answers = consumer.offsets_for_times(times, timeout=timeout_s) if times else []
    _check_whole(answers)
    return {Partition(answer.topic, answer.partition): answer.offset for answer in answers}


def committed(consumer: Consumer, partitions: Iterable[Partition], timeout_s: float) -> dict[Partition, TopicPartition]:
    """The group's committed offset in each partition, below 0 if it has committed none, with its metadata."""
    places = [TopicPartition(*partition) for partition in partitions]
    answers = consumer.committed(places, timeout=timeout_s) if places else []
    _check_whole(answers)
    return {Partition(answer.topic, answer.partition): answer for answer in answers}


def committed_with_retries(
    consumer: Consumer, partitions: Iterable[Partition], patience_s: float
) -> dict[Partition, TopicPartition]:
    """As `committed`, with retries while they may help. Blocks for about twice `patience_s` at most."""
    places = list(partitions)
    return persist(lambda timeout_s: committed(consumer, places, timeout_s), patience_s, lambda: patience_s, may_pass)


def _check_whole(answers: Sequence[TopicPartition]) -> None:
    for answer in answers:
        if answer.error:
            where = f"{answer.topic}[{answer.partition}]: " if len(answers) > 1 else ""
            raise KafkaException(KafkaError(answer.error.code(), where + answer.error.str()))


def begin_at(consumer: Consumer, partition: Partition, start: str, timeout_s: float) -> tuple[int, int | None]:
    """Where to begin for "earliest", "latest", a time, or ms since 1970. Blocks for twice `timeout_s` at most.

    Returns the offset, and the time in ms before which records are to be skipped; None: skip none. A time needs both,
    because brokers also count transaction markers, whose time is the wall clock's. So on a topic of old dates the offset
    may be that of a marker, with older records behind it.
    """
    first, end = bounds(consumer, partition, timeout_s)
    if start in ("earliest", "latest"):
        return end if start == "latest" else first, None
    since = start_ms(start)
    if since < 0:  # brokers do not look up times before 1970, which records may have
        return first, since
    offset = offsets(consumer, [partition], since, timeout_s)[partition]
    return end if offset < 0 else offset, since
