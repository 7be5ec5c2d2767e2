"""What must be true of a cluster before the loop starts: it answers, and the topics are there."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AdminClient,
    ClusterMetadata,
    ConfigResource,
    NewPartitions,
    NewTopic,
    ResourceType,
)

from stream_scorer.errors import BrokerError, SettingsError
from stream_scorer.kafka import answers as kafka_answers
from stream_scorer.kafka.clients import Properties, open_client
from stream_scorer.kafka.connection_errors import ConnectionErrors

log = logging.getLogger(__name__)

TIMEOUT_S = 10.0
SURE_S = 3.0
"""So long a broker may say what only a person can mend before it is believed."""
NOT_YET = (KafkaError.UNKNOWN_TOPIC_OR_PART,)


class Cluster:
    """One look at a cluster. Raises BrokerError when it does not answer within 10 s, with the reason; SettingsError."""

    def __init__(self, properties: Properties) -> None:
        self._connection_errors = ConnectionErrors()
        self._admin = open_client(AdminClient, properties, connection_errors=self._connection_errors)
        self._servers = properties["bootstrap.servers"]
        self._partitions = self._read()

    def _read(self) -> dict[str, int]:
        metadata = self._answer()
        if metadata is None:
            reason = self._connection_errors.reason
            sure = reason is not None and reason.permanent
            what = f"Kafka at {self._servers} cannot be used" if sure else f"no Kafka broker answers at {self._servers}"
            raise BrokerError(f"{what}: {self._connection_errors.text().removeprefix(f'{self._servers}: ')}")
        self._has_controller = not kafka_answers.is_stand_in(metadata)
        self.id: str = metadata.cluster_id or ""
        """The cluster's own, however its brokers are addressed; empty where the brokers do not tell."""
        return {name: len(topic.partitions) for name, topic in metadata.topics.items()}

    def _answer(self) -> ClusterMetadata | None:
        """None if none came within 10 s, or within 3 s where the reason is one that waiting does not mend."""
        started = time.monotonic()
        timeout_s = SURE_S
        while (spent_s := time.monotonic() - started) < TIMEOUT_S:
            try:
                return kafka_answers.cluster(self._admin, min(timeout_s, TIMEOUT_S - spent_s))
            except KafkaException:
                self._admin.poll(0.2)  # calls back with what went wrong
                if (
                    time.monotonic() - started > SURE_S
                    and self._connection_errors.reason
                    and self._connection_errors.reason.permanent
                ):
                    break
                timeout_s = TIMEOUT_S
        return None

    def partitions(self, topic: str, setting: str, *, maker: str | None = None) -> int:
        """Partition count of a topic that must exist. `setting` is the flag that names it, `maker` one that creates it."""
        count = self._partitions.get(topic)
        if count is None:
            mine = sorted(name for name in self._partitions if not name.startswith("__"))
            raise BrokerError(
                f"topic {topic!r} ({setting}) does not exist at {self._servers}. "
                f"It has {', '.join(mine[:20]) or 'no topics'}{' and more' if len(mine) > 20 else ''}. "
                f"Create it{f' (by {maker})' if maker else ''}, or correct {setting}; if it is there, this user lacks "
                "Describe on it."
            )
        if not count:
            raise BrokerError(
                f"topic {topic!r} ({setting}): {self._servers} names none of its partitions now. Try again."
            )
        return count

    def count(self, topic: str) -> int:
        """Partition count of a topic, 0 if it is not there."""
        return self._partitions.get(topic, 0)

    def refresh(self) -> None:
        """Look at the cluster again. Raises BrokerError."""
        self._partitions = self._read()

    def add_partitions(self, topic: str, count: int) -> None:
        """Give a topic so many partitions, unless it has them by now. Blocks until it has, 20 s at most. Raises BrokerError."""
        log.warning("topic %r has %d partitions: making it %d", topic, self.count(topic), count)
        future = self._admin.create_partitions([NewPartitions(topic, count)])[topic]
        try:
            future.result(TIMEOUT_S)
        except KafkaException as error:
            self.refresh()
            if self.count(topic) < count:  # no other worker has done it meanwhile
                raise BrokerError(
                    f"topic {topic!r} cannot be given {count} partitions: {error.args[0].str()}"
                ) from error
        deadline = time.monotonic() + TIMEOUT_S
        while self.count(topic) < count and time.monotonic() < deadline:
            time.sleep(0.05)
            self.refresh()

    def exists(self, topic: str) -> bool:
        return topic in self._partitions

    def create(
        self, topic: str, partitions: int, replication: int = -1, config: Mapping[str, str] | None = None
    ) -> None:
        """Create a topic unless it is there; -1: the broker's own replication factor."""
        if topic in self._partitions:
            return
        new = NewTopic(topic, partitions, replication, config=dict(config or {}))
        future = self._admin.create_topics([new])[topic]
        try:
            future.result(TIMEOUT_S)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise BrokerError(f"topic {topic!r} cannot be created: {error.args[0].str()}") from error
            self.refresh()  # somebody else has made it, maybe with another number of partitions
        self._partitions.setdefault(topic, partitions)

    def check_compacted(self, topic: str) -> None:
        """Raises SettingsError if a changelog is not compacted only: its old records, and state with them, would go."""
        policy = self.configs([topic], log.warning).get(topic, {}).get("cleanup.policy", "compact")
        if policy != "compact":
            raise SettingsError(
                f"changelog {topic!r} has cleanup.policy={policy}: state older than its retention is deleted. Alter it: "
                f"kafka-configs.sh --bootstrap-server {self._servers} --alter --topic {topic} --add-config "
                "cleanup.policy=compact. Or give another --changelog-topic."
            )

    def configs(self, topics: Iterable[str], tell: Callable[[str], None]) -> dict[str, dict[str, str]]:
        """Configuration of each topic, defaults included, as far as the cluster gives it; what it does not is told.

        Blocks for 10 s at most.
        """
        names = list(dict.fromkeys(topics))
        if not names:
            return {}
        if not self._has_controller:  # a stand-in for a broker: nobody would ever answer
            log.info("no controller to ask for the configuration of topics")
            return {}
        deadline = time.monotonic() + TIMEOUT_S
        found, refused = self._described(names)
        # A topic that was just made is not known to every broker at once.
        while time.monotonic() < deadline and (new := [n for n, e in refused.items() if e.code() in NOT_YET]):
            time.sleep(0.1)
            more, still = self._described(new)
            found |= more
            refused = {**{n: e for n, e in refused.items() if n not in new}, **still}
        if refused:
            reason = next(iter(refused.values())).str()
            tell(
                f"the configuration of topic {', '.join(map(repr, refused))} could not be looked up ({reason}), so that "
                "it is not known how long it keeps records. To have it checked, allow DescribeConfigs on it."
            )
        return found

    def _described(self, topics: Iterable[str]) -> tuple[dict[str, dict[str, str]], dict[str, KafkaError]]:
        wanted = [ConfigResource(ResourceType.TOPIC, topic) for topic in topics]
        found, refused = {}, {}
        for resource, future in self._admin.describe_configs(wanted, request_timeout=TIMEOUT_S).items():
            try:
                entries = future.result(TIMEOUT_S + 1)
            except KafkaException as error:
                refused[resource.name] = error.args[0]
            else:
                found[resource.name] = {name: one.value for name, one in entries.items() if one.value is not None}
        return found, refused
