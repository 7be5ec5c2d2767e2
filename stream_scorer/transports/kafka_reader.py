"""What is on a topic now, read apart from any group."""

from __future__ import annotations

import time
from collections.abc import Iterator

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from stream_scorer.errors import BrokerError, Unavailable
from stream_scorer.records import Partition, Record
from stream_scorer.times import timestamp_ms
from stream_scorer.transports.kafka_config import Properties, open_client
from stream_scorer.transports.kafka_errors import unreachable
from stream_scorer.transports.kafka_record import to_record

TIMEOUT_S = 30.0
FIRST_S = 10.0
"""For the first answer of all: no broker may be there."""
_CHUNK = 5_000


def read_topic(properties: Properties, topic: str) -> Iterator[Record]:
    """Every committed record of a topic from its beginning to the end it has at the call, in order per partition.

    Args:
        properties: of a consumer, as `kafka_config.consumer` gives them; no group is joined.
    Raises:
        BrokerError: there is no such topic. Unavailable: the broker does not answer within 30 s.
    """
    consumer = open_client(Consumer, {**properties, "enable.partition.eof": True})
    try:
        open_ends = _ends(consumer, topic)
        consumer.assign([TopicPartition(*partition, low) for partition, (low, _) in open_ends.items()])
        heard = time.monotonic()
        while open_ends:
            messages = consumer.consume(_CHUNK, 0.05)
            for message in messages:
                partition = Partition(message.topic() or "", message.partition() or 0)
                error = message.error()
                if error is not None and error.code() != KafkaError._PARTITION_EOF:
                    raise unreachable(str(partition), error)
                if partition not in open_ends:
                    continue
                end = open_ends[partition][1]
                if error is None and (message.offset() or 0) < end:
                    yield to_record(message, partition)
                # At a partition's end the offset is the next one: markers may have filled the rest.
                if (message.offset() or 0) + (error is None) >= end or error is not None:
                    del open_ends[partition]
            if messages:
                heard = time.monotonic()
            elif time.monotonic() - heard > TIMEOUT_S:
                raise Unavailable(f"topic {topic!r}: nothing heard for {TIMEOUT_S:.0f} s. Is the broker there?")
    finally:
        consumer.close()


def _ends(consumer: Consumer, topic: str) -> dict[Partition, tuple[int, int]]:
    """(first offset, next offset) of every partition that holds anything."""
    try:
        found = {}
        for partition in partitions_of(consumer, topic):
            low, high = consumer.get_watermark_offsets(TopicPartition(*partition), timeout=TIMEOUT_S)
            if high > low:
                found[partition] = (low, high)
    except KafkaException as error:
        raise unreachable(f"topic {topic!r}", error.args[0]) from error
    return found


def partitions_of(consumer: Consumer, topic: str) -> list[Partition]:
    """Raises BrokerError where there is no such topic, KafkaException where no broker answers."""
    metadata = consumer.list_topics(topic, timeout=FIRST_S).topics[topic]
    if metadata.error is not None:
        raise BrokerError(f"topic {topic!r}: {metadata.error.str()}. Correct its name.")
    return [Partition(topic, number) for number in metadata.partitions]


def begin_at(consumer: Consumer, partition: Partition, start: str) -> tuple[int, int | None]:
    """(offset, least timestamp of the records from there on; None: all) for "earliest", "latest", a time or ms since 1970.

    There may be older records behind the offset: the broker's answer to a time counts transaction markers, whose time
    is the wall clock's, so that on a topic of old dates it is the first marker, whatever was asked.
    Raises KafkaException.
    """
    low, high = consumer.get_watermark_offsets(TopicPartition(*partition), timeout=TIMEOUT_S)
    if start in ("earliest", "latest"):
        return int(high if start == "latest" else low), None
    wanted = int(start) if start.isdecimal() else timestamp_ms(start)
    if wanted < 0:  # brokers look up no time before 1970, though records may be of one
        return int(low), wanted
    (found,) = consumer.offsets_for_times([TopicPartition(*partition, wanted)], timeout=TIMEOUT_S)
    return int(high if found.offset < 0 else found.offset), wanted  # below 0: no record is that late
