"""Kafka as a test sees it from outside: create topics, send, read what is committed, look at groups."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from confluent_kafka import Consumer, IsolationLevel, KafkaError, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    OffsetSpec,
    ResourcePatternType,
    ResourceType,
)

WEEK_MS = 7 * 86_400_000
"""The retention that a broker gives to topics that say nothing."""


class Kafka:
    """A broker as its users reach it. Every call blocks until the broker has answered."""

    def __init__(self, servers: str) -> None:
        self.servers = servers
        self.admin = AdminClient({"bootstrap.servers": servers, "log_level": 0})

    def create(self, topic: str, partitions: int = 1, **config: str) -> str:
        """Create a topic and wait until it has leaders. `config`: dots in names are written as underscores."""
        settings = {key.replace("_", "."): value for key, value in config.items()}
        deadline = time.monotonic() + 60
        while True:
            try:
                self.admin.create_topics([NewTopic(topic, partitions, 1, config=settings)])[topic].result(30)
                break
            except KafkaException as error:  # the cluster may not have taken back a broker that was paused
                if error.args[0].code() != KafkaError.INVALID_REPLICATION_FACTOR or time.monotonic() > deadline:
                    raise
                time.sleep(0.2)
        while time.monotonic() < deadline:
            described = self.admin.list_topics(topic, timeout=5).topics[topic].partitions
            if len(described) == partitions and all(partition.leader >= 0 for partition in described.values()):
                break
            time.sleep(0.05)
        return topic

    def forbid(self, kind: ResourceType, name: str, operation: AclOperation) -> None:
        """Deny everybody an operation on a resource and allow the others: where there is any ACL, nothing is allowed
        by default."""
        bindings = [
            AclBinding(kind, name, ResourcePatternType.LITERAL, "User:ANONYMOUS", "*", ruled, permission)
            for ruled, permission in ((operation, AclPermissionType.DENY), (AclOperation.ALL, AclPermissionType.ALLOW))
        ]
        for created in self.admin.create_acls(bindings).values():
            created.result(30)

    @contextlib.contextmanager
    def configured(self, name: str, value: str) -> Iterator[None]:
        """Within the block the brokers have another value of a dynamic setting."""
        self._configure(name, value, AlterConfigOpType.SET)
        try:
            yield
        finally:
            self._configure(name, "", AlterConfigOpType.DELETE)

    def _configure(self, name: str, value: str, how: AlterConfigOpType) -> None:
        entry = ConfigEntry(name, value, incremental_operation=how)
        for number in self.admin.list_topics(timeout=10).brokers:
            broker = ConfigResource(ConfigResource.Type.BROKER, str(number), incremental_configs=[entry])
            for done in self.admin.incremental_alter_configs([broker]).values():
                done.result(30)

    def send(self, topic: str, records: Iterable[Mapping[str, Any]], *, expiring: bool = False) -> None:
        """Records as keyword arguments of `produce`.

        A topic with a time limit deletes records with old timestamps within a second, perhaps before they are read:
        fails there, unless the caller says that they are `expiring`.
        """
        oldest_kept = time.time() * 1000 - WEEK_MS
        producer = Producer({"bootstrap.servers": self.servers, "linger.ms": 5, "partitioner": "murmur2_random"})
        for record in records:
            if not expiring and record.get("timestamp", oldest_kept) < oldest_kept:
                self._fail_if_deleted(topic)
                expiring = True  # asked once
            while True:
                try:
                    producer.produce(topic, **record)
                except BufferError:
                    producer.poll(0.1)
                else:
                    break
            producer.poll(0)
        assert producer.flush(30) == 0

    def _fail_if_deleted(self, topic: str) -> None:
        (answer,) = self.admin.describe_configs([ConfigResource(ConfigResource.Type.TOPIC, topic)]).values()
        config = {name: entry.value for name, entry in answer.result(30).items()}
        assert config["retention.ms"] == "-1" or config["cleanup.policy"] == "compact", (
            f"{topic} deletes records of {config['retention.ms']} ms ago: create it with retention_ms='-1'"
        )

    def read(self, topic: str, isolation: str = "read_committed") -> list[Message]:
        """All records that a reader sees now, by partition and offset; those committed before the call are among them."""
        if isolation == "read_committed":
            self._wait_for_markers(topic)
        consumer = Consumer(
            {
                "bootstrap.servers": self.servers,
                "group.id": "test-reader",
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "auto.offset.reset": "earliest",
                "isolation.level": isolation,
                "fetch.wait.max.ms": 10,
            }
        )
        try:
            partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
            consumer.assign([TopicPartition(topic, number, 0) for number in partitions])
            messages: list[Message] = []
            ended: set[int | None] = set()
            deadline = time.monotonic() + 60
            while len(ended) < len(partitions) and time.monotonic() < deadline:
                for message in consumer.consume(5000, 0.05):
                    if message.error() is None:
                        messages.append(message)
                        ended.discard(message.partition())
                    else:
                        ended.add(message.partition())
            assert len(ended) == len(partitions), f"{topic}: not read to its end"
            return sorted(messages, key=lambda message: (message.partition(), message.offset()))
        finally:
            consumer.close()

    def _wait_for_markers(self, topic: str) -> None:
        """A commit is answered before its markers are written: wait for them, at most a second, as a transaction that
        stays open never gets any."""
        numbers = self.admin.list_topics(topic, timeout=30).topics[topic].partitions
        latest = OffsetSpec.latest()  # type: ignore[no-untyped-call]
        wanted = dict.fromkeys((TopicPartition(topic, number) for number in numbers), latest)
        deadline = time.monotonic() + 1
        while wanted and time.monotonic() < deadline:
            with contextlib.suppress(KafkaException):  # a partition has no leader now: the reader will fail or not
                committed = self._ends(wanted, IsolationLevel.READ_COMMITTED)
                if committed == self._ends(wanted, IsolationLevel.READ_UNCOMMITTED):
                    return
            time.sleep(0.02)

    def _ends(self, wanted: dict[TopicPartition, Any], isolation: IsolationLevel) -> dict[int, int]:
        answers = self.admin.list_offsets(wanted, isolation_level=isolation)
        return {place.partition: answer.result(30).offset for place, answer in answers.items()}

    def wait_for(self, topic: str, count: int, seconds: float = 120) -> list[Message]:
        """Read until `count` records are visible; fails after `seconds`, with the number that there was."""
        deadline = time.monotonic() + seconds
        while True:
            messages = self.read(topic)
            if len(messages) >= count:
                return messages
            assert time.monotonic() < deadline, f"{topic}: {len(messages)} of {count} records after {seconds} s"
            time.sleep(0.1)

    def committed(self, group: str, topic: str, partitions: Sequence[int] = (0,)) -> list[int]:
        """Committed offsets of a group, -1001 where there is none; asks again while the broker loads its groups.

        It asks by a consumer: in an AdminClient librdkafka crashes if the group's coordinator is not there yet.
        """
        wanted = [TopicPartition(topic, number) for number in partitions]
        deadline = time.monotonic() + 60
        while True:
            consumer = Consumer({"bootstrap.servers": self.servers, "group.id": group, "log_level": 0})
            try:
                places = consumer.committed(wanted, timeout=10)
                if not any(place.error for place in places) or time.monotonic() > deadline:
                    return [place.offset for place in places]
            except KafkaException:
                if time.monotonic() > deadline:
                    raise
            finally:
                consumer.close()
            time.sleep(0.2)

    def members(self, group: str) -> set[str | None]:
        """The group.instance.id of each member of an existing group."""
        description = self.admin.describe_consumer_groups([group])[group].result(30)
        return {member.group_instance_id for member in description.members}
