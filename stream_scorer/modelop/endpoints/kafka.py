"""Kafka as a ModelOp stream: one partition or a group's share of a topic to read, one partition to write."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition

from stream_scorer.errors import BrokerError, EndOfInput, SettingsError, TransportError
from stream_scorer.kafka import answers as kafka_answers
from stream_scorer.kafka import config as kafka_config
from stream_scorer.kafka.clients import open_client
from stream_scorer.kafka.connection_errors import ConnectionErrors
from stream_scorer.kafka.errors import MISSING, unreachable
from stream_scorer.kafka.reader import arrived
from stream_scorer.records import Partition

TIMEOUT_S = 10.0
_AT_ONCE = 1000
_FLUSH_SLICE_S = 0.1


def _kerberos(fields: dict[str, Any]) -> dict[str, str]:
    if not fields["Principal"] and not fields["Keytab"]:
        return {}
    given = {"sasl.kerberos.principal": fields["Principal"], "sasl.kerberos.keytab": fields["Keytab"]}
    return {
        "security.protocol": "sasl_plaintext",
        "sasl.mechanisms": "GSSAPI",
        **{key: value for key, value in given.items() if value},
    }


def _open(client: Any, properties: dict[str, Any], errors: ConnectionErrors) -> Any:
    try:
        return open_client(client, properties, connection_errors=errors)
    except SettingsError as error:
        raise TransportError(f"Kafka: the client cannot be opened with Principal and Keytab: {error}") from error


def _no_answer(client: Any, topic: str, servers: str, errors: ConnectionErrors, error: KafkaError) -> TransportError:
    """Our error for one at the start, with the reason if no broker is connected. Blocks for about 10 s at most."""
    client.poll(0.2)  # calls back with what went wrong
    errors.ask({"bootstrap.servers": servers})
    problem = unreachable(f"topic {topic!r}", error)
    return type(problem)(f"{problem}. {errors.reason}") if errors.reason else problem


class KafkaFeed:
    """The `Feed` of a topic.

    With a Group and CommitOffset, the offsets of settled records are committed: at-least-once.

    Args:
        fields: of the descriptor's transport.
        start: where to begin if the group has committed nothing: an offset, "earliest" or "latest".

    Raises:
        TransportError: the broker is unreachable, or the topic or partition does not exist.
    """

    def __init__(self, fields: dict[str, Any], start: int | str) -> None:
        self._topic: str = fields["Topic"]
        self._group: str | None = fields["Group"]
        self._start = start
        self._max_wait_s = None if fields["MaxWaitTime"] is None else fields["MaxWaitTime"] / 1000
        self._commits = bool(self._group and fields["CommitOffset"])
        servers = ",".join(fields["BootstrapServers"])
        properties = kafka_config.consumer(servers, self._group or "stream-scorer", _kerberos(fields))
        # "latest" means the moment of attaching, so offsets are set in `_assigned`, which needs an eager strategy.
        properties["partition.assignment.strategy"] = "range,roundrobin"
        self._servers, self._errors = servers, ConnectionErrors()
        self._consumer: Consumer = _open(Consumer, properties, self._errors)
        self._returned: deque[tuple[int, int]] = deque()  # partition and next offset of records that are not settled
        self._settled: dict[int, int] = {}  # next offset by partition
        try:
            self._begin(fields["Partition"])
        except BaseException:
            self._consumer.close()
            raise
        self._last_record_at = time.monotonic()

    def _begin(self, partition: int) -> None:
        try:
            partitions = kafka_answers.partitions_of(self._consumer, self._topic, TIMEOUT_S)
            read = partitions if self._group else [each for each in partitions if each.number == partition]
            if not read:
                raise BrokerError(f"topic {self._topic!r} has no partition {partition}; it has {len(partitions)}.")
            # First and next offset of each partition at the moment of attaching.
            self._bounds = {each.number: kafka_answers.bounds(self._consumer, each, TIMEOUT_S) for each in read}
            if self._group:
                self._consumer.subscribe([self._topic], on_assign=self._assigned)
            else:
                self._consumer.assign([TopicPartition(self._topic, partition, self._first(partition))])
        except KafkaException as error:
            raise _no_answer(self._consumer, self._topic, self._servers, self._errors, error.args[0]) from error

    def _first(self, partition: int) -> int:
        low, high = self._bounds.get(partition, (0, 0))
        if isinstance(self._start, int):
            return min(max(self._start, low), high)
        return low if self._start == "earliest" else high

    def _assigned(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        assigned = [Partition(partition.topic, partition.partition) for partition in partitions]
        committed = kafka_answers.committed_with_retries(consumer, assigned, TIMEOUT_S)
        for partition, key in zip(partitions, assigned, strict=True):
            offset = committed[key].offset
            partition.offset = offset if offset >= 0 else self._first(key.number)
        consumer.assign(partitions)

    def read(self, timeout_s: float) -> list[bytes]:
        try:
            messages = arrived(self._consumer, _AT_ONCE, timeout_s)
        except KafkaException as error:
            raise unreachable(f"topic {self._topic!r}", error.args[0]) from error
        records = [record for message in messages if (record := self._record(message)) is not None]
        now = time.monotonic()
        if records:
            self._last_record_at = now
        elif self._max_wait_s is not None and now - self._last_record_at >= self._max_wait_s:
            raise EndOfInput
        return records

    def _record(self, message: Message) -> bytes | None:
        """Return the record, None for an error that the client recovers from itself: a broker that is unreachable for a while."""
        error = message.error()
        if error is not None:
            if isinstance(problem := unreachable(f"topic {self._topic!r}", error), BrokerError):
                raise problem
            return None
        self._returned.append((message.partition() or 0, (message.offset() or 0) + 1))
        return message.value() or b""

    def settle(self, count: int) -> None:
        for _ in range(min(count, len(self._returned))):
            partition, following = self._returned.popleft()
            self._settled[partition] = following
        if self._commits and self._settled:
            self._commit(asynchronous=True)

    def _commit(self, *, asynchronous: bool) -> None:
        offsets = [TopicPartition(self._topic, *position) for position in self._settled.items()]
        try:
            if asynchronous:
                self._consumer.commit(offsets=offsets)
            else:
                self._consumer.commit(offsets=offsets, asynchronous=False)
        except KafkaException:
            return  # the partition is revoked or the broker unreachable: those records come again

    def close(self) -> None:
        if self._commits and self._settled:
            self._commit(asynchronous=False)
        self._consumer.close()


class KafkaDrain:
    """Writes to one partition, in order, acknowledged by all replicas. Once a record has failed, all calls raise."""

    def __init__(self, fields: dict[str, Any]) -> None:
        self._topic, self._partition = fields["Topic"], fields["Partition"]
        servers = ",".join(fields["BootstrapServers"])
        errors = ConnectionErrors()
        properties = kafka_config.producer(servers, _kerberos(fields)) | {"linger.ms": 1}
        self._producer: Producer = _open(Producer, properties, errors)
        self._failed: KafkaError | None = None
        self._closed = False
        try:
            kafka_answers.topic(self._producer, self._topic, TIMEOUT_S)
        except KafkaException as error:
            if error.args[0].code() not in MISSING:
                raise _no_answer(self._producer, self._topic, servers, errors, error.args[0]) from error

    def write(self, pieces: Sequence[bytes]) -> None:
        for piece in pieces:
            while True:
                self._check()
                try:
                    self._producer.produce(self._topic, piece, partition=self._partition, on_delivery=self._delivered)
                except BufferError:
                    self._producer.poll(_FLUSH_SLICE_S)
                except KafkaException as error:
                    where = f"{self._topic}[{self._partition}]: a record of {len(piece)} bytes was not written"
                    raise unreachable(where, error.args[0], MISSING) from error
                else:
                    break
        self._producer.poll(0)
        self._check()

    def _delivered(self, error: KafkaError | None, _: Message) -> None:
        if error is not None and self._failed is None:
            self._failed = error

    def _check(self) -> None:
        if self._failed is not None:
            raise unreachable(f"{self._topic}[{self._partition}]: a record was not written", self._failed, MISSING)
        if self._closed:
            raise TransportError(f"topic {self._topic!r}: the stream is closed")

    def finish(self, linger_s: float) -> None:
        left = self._producer.flush(linger_s)
        self._check()
        if left and linger_s:
            raise TransportError(f"topic {self._topic!r}: {left} records were not acknowledged within {linger_s:g} s")

    def close(self) -> None:
        self._closed = True
        self._producer.purge()
