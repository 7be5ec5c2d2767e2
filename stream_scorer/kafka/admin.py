"""Checks and creates topics, before the loop starts and when the input gets more partitions.

Over 300 lines: each check stands beside the text that says what to change.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from confluent_kafka import KafkaError, KafkaException, TopicCollection
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
from stream_scorer.kafka.errors import UNAUTHORISED
from stream_scorer.kafka.rights import (
    ALTER,
    CONFIGS,
    CREATE,
    TOPIC,
    NotAllowed,
    Right,
    explained,
    lacks_text,
    not_allowed,
)
from stream_scorer.secret_text import without

log = logging.getLogger(__name__)

TIMEOUT_S = 10.0
PERMANENT_S = 3.0
"""After this time an error that only a person can mend, such as a wrong password, ends the attempt. An earlier one may
come from a broker that is starting."""


class Cluster:
    """The topics of a cluster as they were when it was asked last: when this was made, and at `refresh`.

    Raises BrokerError, with the reason, if no broker answers within 10 s; SettingsError if librdkafka refuses a property.

    Args:
        properties: of an AdminClient.
        rights: what the command needs, to explain what the broker does not allow.
    """

    def __init__(self, properties: Properties, rights: Sequence[Right] = ()) -> None:
        self._rights = rights
        self._connection_errors = ConnectionErrors()
        self._admin = open_client(AdminClient, properties, connection_errors=self._connection_errors)
        self._properties, self._servers = properties, properties["bootstrap.servers"]
        self._partitions = self._read()

    def _read(self) -> dict[str, int]:
        metadata = self._answer()
        if metadata is None:
            problem = (
                f"Kafka at {self._servers} cannot be used"
                if self._connection_errors.permanent
                else f"no Kafka broker answers at {self._servers}"
            )
            text = self._connection_errors.text().removeprefix(f"{self._servers}: ")
            raise BrokerError(without(f"{problem}: {text}", self._properties.values()))
        self._has_controller = not kafka_answers.is_mock_cluster(metadata)
        self.id: str = metadata.cluster_id or ""
        """The cluster's own id, whichever address leads to it; empty if the brokers do not give it."""
        return {name: len(topic.partitions) for name, topic in metadata.topics.items()}

    def _answer(self) -> ClusterMetadata | None:
        """None if no broker answered within 10 s, or within 3 s if waiting does not help."""
        started = time.monotonic()
        timeout_s = PERMANENT_S
        while (spent_s := time.monotonic() - started) < TIMEOUT_S:
            try:
                return kafka_answers.cluster(self._admin, min(timeout_s, TIMEOUT_S - spent_s))
            except KafkaException:
                self._admin.poll(0.2)  # calls back with what went wrong
                if time.monotonic() - started > PERMANENT_S:
                    self._connection_errors.ask(self._properties)
                    if self._connection_errors.permanent:
                        break
                timeout_s = TIMEOUT_S
        return None

    def partitions(self, topic: str, setting: str, *, maker: str | None = None) -> int:
        """Partition count of a topic that must exist. Raises BrokerError.

        Args:
            setting: the flag that names the topic, for the text of the error.
            maker: the flag that creates it, if there is one.
        """
        count = self._partitions.get(topic)
        if count is None:
            self._check_seen(topic)
            topics = sorted(name for name in self._partitions if not name.startswith("__"))
            raise BrokerError(
                f"topic {topic!r} ({setting}) does not exist at {self._servers}. "
                f"It has {', '.join(topics[:20]) or 'no topics'}{' and more' if len(topics) > 20 else ''}. "
                f"Create it{f' (by {maker})' if maker else ''}, or correct {setting}."
            )
        if not count:
            raise BrokerError(
                f"topic {topic!r} ({setting}): {self._servers} names none of its partitions now. Try again."
            )
        return count

    def count(self, topic: str) -> int:
        """Partition count of a topic, 0 if it does not exist."""
        return self._partitions.get(topic, 0)

    def refresh(self) -> None:
        """Ask the cluster again. Blocks for 10 s at most. Raises BrokerError."""
        self._partitions = self._read()

    def add_partitions(self, topic: str, count: int) -> None:
        """Raise the partition count of a topic to `count`, unless another worker has done so.

        Blocks until the broker reports that count, 30 s at most. Raises BrokerError.
        """
        log.warning("topic %r has %d partitions: making it %d", topic, self.count(topic), count)
        future = self._admin.create_partitions([NewPartitions(topic, count)])[topic]
        try:
            future.result(TIMEOUT_S)
        except KafkaException as error:
            self.refresh()
            if self.count(topic) < count and error.args[0].code() in UNAUTHORISED:
                right = Right(ALTER, TOPIC, topic)
                self._raise_lacking(topic, [right], f"it has {self.count(topic)} partitions and needs {count}")
            if self.count(topic) < count:
                raise BrokerError(f"topic {topic!r} cannot get {count} partitions: {error.args[0].str()}") from error
        except TimeoutError:
            self.refresh()  # the answer may be lost, and the partitions made
            if self.count(topic) < count:
                raise self._no_answer(f"topic {topic!r} cannot get {count} partitions") from None
        deadline = time.monotonic() + TIMEOUT_S
        while self.count(topic) < count and time.monotonic() < deadline:
            time.sleep(0.05)
            self.refresh()

    def exists(self, topic: str) -> bool:
        return topic in self._partitions

    def create(
        self, topic: str, partitions: int, replication: int = -1, config: Mapping[str, str] | None = None
    ) -> None:
        """Create a topic unless it exists. Blocks for 20 s at most. Raises BrokerError, SettingsError.

        Args:
            replication: replication factor; -1: the broker's default.
        """
        if topic in self._partitions:
            return
        try:
            new = NewTopic(topic, partitions, replication, config=dict(config or {}))
            future = self._admin.create_topics([new])[topic]
        except (ValueError, OverflowError) as error:  # of librdkafka, which asks no broker then
            raise SettingsError(
                f"topic {topic!r} cannot be created with --partitions {partitions} and --replication-factor "
                f"{replication}: {error}. Give numbers that a cluster has room for."
            ) from error
        try:
            future.result(TIMEOUT_S)
        except KafkaException as error:
            if error.args[0].code() in UNAUTHORISED:
                self._check_seen(topic)  # if it exists, this user lacks more than Create
                self._raise_lacking(topic, [Right(CREATE, TOPIC, topic)], "it does not exist, and cannot be created")
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise BrokerError(f"topic {topic!r} cannot be created: {error.args[0].str()}") from error
            self.refresh()  # created by another client meanwhile, maybe with another partition count
        except TimeoutError:
            self.refresh()  # the answer may be lost, and the topic made
            if not self.exists(topic):
                raise self._no_answer(f"topic {topic!r} cannot be created") from None
        self._partitions.setdefault(topic, partitions)

    def _no_answer(self, problem: str) -> BrokerError:
        reason = (
            "the controller of the cluster does not answer. Try again; if it stays so, see the brokers' logs"
            if self._has_controller
            else "the embedded broker makes no topics on request. Name its topics when you start it, or use a real broker"
        )
        return BrokerError(f"{problem} at {self._servers}: no answer in {TIMEOUT_S:.0f} s: {reason}.")

    def check_compacted(self, topic: str) -> None:
        """Raises SettingsError if a changelog is not compacted only: old records, and their state, would be deleted."""
        policy = self.configs([topic], log.warning).get(topic, {}).get("cleanup.policy", "compact")
        if policy != "compact":
            raise SettingsError(
                f"changelog {topic!r} has cleanup.policy={policy}: state older than its retention is deleted. Alter it: "
                f"kafka-configs.sh --bootstrap-server {self._servers} --alter --topic {topic} --add-config "
                "cleanup.policy=compact. Or give another --changelog-topic."
            )

    def configs(self, topics: Iterable[str], warn: Callable[[str], None]) -> dict[str, dict[str, str]]:
        """The configuration of each topic, defaults included. Blocks for 10 s at most.

        Topics whose configuration the cluster does not give are left out; `warn` is called with a text that names them.
        """
        names = list(dict.fromkeys(topics))
        if not names:
            return {}
        if not self._has_controller:  # librdkafka's mock cluster, which never answers this
            log.info("the cluster has no controller to ask for the configuration of topics")
            return {}
        deadline = time.monotonic() + TIMEOUT_S
        configs, errors = self._describe_configs(names)
        # A topic that was just created is not known to every broker at once.
        while time.monotonic() < deadline and (
            unknown := [name for name, error in errors.items() if error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART]
        ):
            time.sleep(0.1)
            more, still = self._describe_configs(unknown)
            configs |= more
            errors = {**{name: error for name, error in errors.items() if name not in unknown}, **still}
        if errors:
            reason = next(iter(errors.values())).str()
            text = (
                f"the configuration of topic {', '.join(map(repr, errors))} could not be looked up ({reason}), so that "
                "it is not known how long it keeps records"
            )
            forbidden = [topic for topic, error in errors.items() if error.code() in UNAUTHORISED]
            if forbidden:
                lacking = [Right(CONFIGS, TOPIC, topic) for topic in forbidden]
                text += f". To have it checked: {lacks_text(self._properties, lacking)}"
            warn(f"{text}.")
        return configs

    def need(self, rights: Sequence[Right]) -> None:
        """The command needs these rights from now on."""
        self._rights = rights

    def check_rights(self) -> None:
        """Compare the rights on topics that exist with what the broker allows, so that a start fails and not the first reject.

        Blocks for 10 s at most. Raises NotAllowed. Does nothing if the broker does not tell.
        """
        if lacking := self._lacking(right for right in self._rights if not right.when):
            raise not_allowed(self._properties, lacking)

    @contextlib.contextmanager
    def explaining(self) -> Iterator[None]:
        """Within the block, what the broker does not allow is raised with the user and the right that is missing."""
        try:
            yield
        except NotAllowed as error:
            needed = [right for right in self._rights if right.operation not in (CREATE, CONFIGS)]
            raise explained(error, self._lacking(needed), self._rights, self._properties) from error

    def _lacking(self, rights: Iterable[Right]) -> list[Right]:
        """Those of the rights on topics that this user does not have, as the broker says; [] if it does not say."""
        needed = [right for right in rights if right.kind == TOPIC]
        allowed = self._allowed(right.name for right in needed)
        return [right for right in needed if right.operation not in allowed.get(right.name, {right.operation})]

    def _allowed(self, topics: Iterable[str]) -> dict[str, set[str]]:
        """What this user may do with topics, empty for one that it may not see; those that do not exist are left out."""
        names = list(dict.fromkeys(topics))
        if not self._has_controller or not names:
            return {}
        found = self._admin.describe_topics(
            TopicCollection(names), request_timeout=TIMEOUT_S, include_authorized_operations=True
        )
        allowed = {}
        for name, future in found.items():
            try:
                told = future.result(TIMEOUT_S + 1).authorized_operations or ()
            except KafkaException as error:
                if error.args[0].code() in UNAUTHORISED:
                    allowed[name] = set[str]()
            except TimeoutError:
                pass
            else:
                operations = {operation.name.title().replace("_", "") for operation in told}
                if "Describe" in operations:  # who sees a topic may describe it: else the broker does not tell
                    allowed[name] = operations
        return allowed

    def lacks_text(self, lacking: Sequence[Right]) -> str:
        """As `rights.lacks_text`, of this user."""
        return lacks_text(self._properties, lacking)

    def hidden(self, topic: str) -> bool:
        """Whether this user may not see a topic, if it exists."""
        return self._allowed([topic]).get(topic) == set()

    def _check_seen(self, topic: str) -> None:
        """Raises NotAllowed if this user may not see a topic, whether it exists or not: the broker does not tell which."""
        if self.hidden(topic):
            needed = [right for right in self._rights if right.name == topic and right.kind == TOPIC and not right.when]
            needed = needed or [Right("Describe", TOPIC, topic)]
            self._raise_lacking(topic, needed, "it does not exist, or cannot be seen")

    def _raise_lacking(self, topic: str, lacking: Sequence[Right], problem: str) -> None:
        raise not_allowed(self._properties, lacking, f"topic {topic!r} at {self._servers}: {problem}: ")

    def _describe_configs(self, topics: Iterable[str]) -> tuple[dict[str, dict[str, str]], dict[str, KafkaError]]:
        """The configuration by topic, and the error by topic."""
        resources = [ConfigResource(ResourceType.TOPIC, topic) for topic in topics]
        configs, errors = {}, {}
        for resource, future in self._admin.describe_configs(resources, request_timeout=TIMEOUT_S).items():
            try:
                entries = future.result(TIMEOUT_S + 1)
            except KafkaException as error:
                errors[resource.name] = error.args[0]
            except TimeoutError:
                errors[resource.name] = KafkaError(KafkaError._TIMED_OUT, f"no answer in {TIMEOUT_S:.0f} s")
            else:
                configs[resource.name] = {
                    name: entry.value for name, entry in entries.items() if entry.value is not None
                }
        return configs, errors
