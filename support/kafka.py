"""What a test does to a Kafka from outside: create topics, send, read committed, look at groups."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Iterator, Sequence

from confluent_kafka import Consumer, IsolationLevel, KafkaError, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.admin import (
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


class Kafka:
    def __init__(self, servers: str) -> None:
        self.servers = servers
        self.admin = AdminClient({"bootstrap.servers": servers, "log_level": 0})

    def create(self, topic: str, partitions: int = 1, **config: str) -> str:
        """Also waits until it has leaders; dots in config names are written as underscores."""
        settings = {key.replace("_", "."): value for key, value in config.items()}
        deadline = time.monotonic() + 60
        while True:
            try:
                self.admin.create_topics([NewTopic(topic, partitions, 1, config=settings)])[topic].result(30)
                break
            except KafkaException as error:  # a broker that was paused may not have been taken back yet
                if error.args[0].code() != KafkaError.INVALID_REPLICATION_FACTOR or time.monotonic() > deadline:
                    raise
                time.sleep(0.2)
        while time.monotonic() < deadline:
            found = self.admin.list_topics(topic, timeout=5).topics[topic].partitions
            if len(found) == partitions and all(one.leader >= 0 for one in found.values()):
                break
            time.sleep(0.05)
        return topic

    def forbid(self, kind: ResourceType, name: str, operation: AclOperation) -> None:
        """Deny everybody one operation on one thing, and allow the others: any ACL ends what was allowed for lack of one."""
        bindings = [
            AclBinding(kind, name, ResourcePatternType.LITERAL, "User:ANONYMOUS", "*", what, permission)
            for what, permission in ((operation, AclPermissionType.DENY), (AclOperation.ALL, AclPermissionType.ALLOW))
        ]
        for made in self.admin.create_acls(bindings).values():
            made.result(30)

    @contextlib.contextmanager
    def configured(self, name: str, value: str) -> Iterator[None]:
        """The brokers with another value of a setting that may be changed while they run."""
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

    def send(self, topic: str, records: Iterable[dict[str, object]]) -> None:
        """Records as keyword arguments of `produce`."""
        producer = Producer({"bootstrap.servers": self.servers, "linger.ms": 5, "partitioner": "murmur2_random"})
        for record in records:
            while True:
                try:
                    producer.produce(topic, **record)
                except BufferError:
                    producer.poll(0.1)
                else:
                    break
            producer.poll(0)
        assert producer.flush(30) == 0

    def read(self, topic: str, isolation: str = "read_committed") -> list[Message]:
        """All that a reader sees now, partition by partition. What was committed before the call is seen."""
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
            found: list[Message] = []
            ended: set[int] = set()
            deadline = time.monotonic() + 60
            while len(ended) < len(partitions) and time.monotonic() < deadline:
                for message in consumer.consume(5000, 0.05):
                    if message.error() is None:
                        found.append(message)
                        ended.discard(message.partition())
                    else:
                        ended.add(message.partition())
            assert len(ended) == len(partitions), f"{topic}: not read to its end"
            return sorted(found, key=lambda message: (message.partition(), message.offset()))
        finally:
            consumer.close()

    def _wait_for_markers(self, topic: str) -> None:
        """A commit is answered before its markers are written. A transaction that stays open is waited for in vain."""
        numbers = self.admin.list_topics(topic, timeout=30).topics[topic].partitions
        wanted = {TopicPartition(topic, number): OffsetSpec.latest() for number in numbers}
        deadline = time.monotonic() + 1
        while wanted and time.monotonic() < deadline:
            with contextlib.suppress(KafkaException):  # of a partition that has no leader now: the reader will tell
                ends = [
                    {at.partition: one.result(30).offset for at, one in self.admin.list_offsets(wanted, **how).items()}
                    for how in ({"isolation_level": IsolationLevel.READ_COMMITTED}, {})
                ]
                if ends[0] == ends[1]:
                    return
            time.sleep(0.02)

    def wait_for(self, topic: str, count: int, seconds: float = 120) -> list[Message]:
        """Read until so many records are visible; fails with the number there was."""
        deadline = time.monotonic() + seconds
        while True:
            found = self.read(topic)
            if len(found) >= count:
                return found
            assert time.monotonic() < deadline, f"{topic}: {len(found)} of {count} records after {seconds} s"
            time.sleep(0.1)

    def committed(self, group: str, topic: str, partitions: Sequence[int] = (0,)) -> list[int]:
        """Positions of a group, -1001 where there is none; asked again while the broker reads its groups.

        Of a consumer: librdkafka crashes when an AdminClient is asked and the group's coordinator is not there yet.
        """
        wanted = [TopicPartition(topic, number) for number in partitions]
        deadline = time.monotonic() + 60
        while True:
            consumer = Consumer({"bootstrap.servers": self.servers, "group.id": group, "log_level": 0})
            try:
                found = consumer.committed(wanted, timeout=10)
                if not any(at.error for at in found) or time.monotonic() > deadline:
                    return [at.offset for at in found]
            except KafkaException:
                if time.monotonic() > deadline:
                    raise
            finally:
                consumer.close()
            time.sleep(0.2)

    def members(self, group: str) -> set[str | None]:
        """The group.instance.id of each member of a group that there is."""
        found = self.admin.describe_consumer_groups([group])[group].result(30)
        return {member.group_instance_id for member in found.members}
