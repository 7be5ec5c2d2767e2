"""The topics of a service and their partitions: at the start, and when the input gets more of them while it runs."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from stream_scorer.errors import SettingsError
from stream_scorer.kafka.admin import Cluster
from stream_scorer.kafka.changelog import changelog_name, former_changelog_name, owner
from stream_scorer.kafka.clients import Properties
from stream_scorer.parsing.retention import retention_ms, topic_config
from stream_scorer.service.settings import RunSettings

log = logging.getLogger(__name__)

CHANGELOG_CONFIG = {
    "cleanup.policy": "compact",
    # Small segments, so that what is superseded is cleaned soon and a restore reads little twice.
    "segment.bytes": str(16 << 20),
    "min.cleanable.dirty.ratio": "0.2",
}


class ServiceTopics:
    """Args: consumer: properties of a consumer of the group."""

    def __init__(self, settings: RunSettings, group: str, cluster: Cluster, consumer: Properties) -> None:
        self._settings, self._group = settings, group
        self._cluster, self._consumer = cluster, consumer
        self._partitions = 0
        self._changelog = ""
        self._stateful = False
        self.on_more: Callable[[Sequence[str]], None] = lambda _: None
        """Told of topics that have, or may have, more partitions than before."""

    def check(self) -> int:
        """All topics but the changelog, made where that is asked for; the partition count of the input.

        Raises SettingsError, BrokerError.
        """
        settings, cluster = self._settings, self._cluster
        kept = topic_config(retention_ms(settings.retention))
        if settings.create_topics:
            cluster.create(settings.input_topic, settings.partitions, settings.replication_factor, kept)
        self._partitions = cluster.partitions(settings.input_topic, "--input-topic", maker="--create-topics")
        self._check_session_all()
        if settings.create_topics:
            for topic in settings.output_topics().values():
                cluster.create(topic, self._partitions, settings.replication_factor, kept)
        for ours in filter(None, (settings.dead_letters(), settings.evaluations())):
            cluster.create(ours, self._partitions, settings.replication_factor, kept)
        self._check_outputs()
        return self._partitions

    def _check_session_all(self) -> None:
        if self._settings.session == "all" and self._partitions != 1:
            raise SettingsError(
                f"--session all is one state for all records, and {self._settings.input_topic!r} has {self._partitions} "
                "partitions, which workers share. Use a topic of one partition, or --session partition."
            )

    def _check_outputs(self) -> None:
        for topic in self._settings.output_topics().values():
            self._check_output(topic, "--output-topic", "scores")
        if evaluations := self._settings.evaluations():
            self._check_output(evaluations, "--evaluation-topic", "evaluations")

    def _check_output(self, topic: str, setting: str, what: str) -> None:
        settings = self._settings
        count = self._cluster.partitions(topic, setting, maker="--create-topics")
        if count >= self._partitions or settings.output_partition != "same":
            return
        if not settings.create_topics:
            raise SettingsError(
                f"topic {topic!r} has {count} partitions and {settings.input_topic!r} has {self._partitions}: {what} "
                "keep their input's partition number. Add partitions (--create-topics does), or give --output-partition key."
            )
        self._cluster.add_partitions(topic, self._partitions)

    def changelog(self, *, stateful: bool) -> str | None:
        """The topic of session state, made if it is not there; None if no state is to be kept.

        Raises SettingsError, BrokerError.
        """
        self._stateful = stateful
        if not stateful or not self._settings.changelog:
            return None
        topic = self._changelog = self._changelog_topic()
        if self._cluster.exists(topic):
            self._cluster.check_compacted(topic)
        self._cluster.create(topic, self._partitions, self._settings.replication_factor, CHANGELOG_CONFIG)
        self._check_changelog()
        return topic

    def _check_changelog(self) -> None:
        count = self._cluster.partitions(self._changelog, "--changelog-topic")
        if count == self._partitions:
            return
        if self._settings.session == "partition" and count < self._partitions:
            self._cluster.add_partitions(self._changelog, self._partitions)
            return
        raise SettingsError(
            f"changelog {self._changelog!r} has {count} partitions and {self._settings.input_topic!r} has "
            f"{self._partitions}: keys have moved to other partitions since, away from their state. Choose: give a new "
            "--changelog-topic and --on-state-mismatch rebuild (keys that moved begin anew, the others are made from the "
            "inputs that are still there); or copy the records to a new topic and score that one with another --group."
        )

    def _changelog_topic(self) -> str:
        """As set; else by the names of group and input topic, in the form of earlier versions where that is in use."""
        settings = self._settings
        if settings.changelog_topic:
            return settings.changelog_topic
        former = former_changelog_name(self._group, settings.input_topic)
        name = changelog_name(self._group, settings.input_topic)
        if self._cluster.exists(name) or not self._cluster.exists(former):
            return name
        if owner(self._consumer, former) != settings.input_topic:
            return name
        log.info("state is on %s, as an earlier version named it", former)
        return former

    def seen(self, topic: str, count: int) -> None:
        """A look at the input topic found so many partitions: makes the other topics fit, or stops the service.

        Called before anything is committed that was read after the look. A start from now on would say the same.
        Raises SettingsError, BrokerError.
        """
        if topic != self._settings.input_topic or count <= self._partitions:
            return
        log.warning("topic %r has %d partitions now, and had %d", topic, count, self._partitions)
        self._partitions = count
        self._cluster.refresh()
        self._check_session_all()
        if self._changelog:
            self._check_changelog()
        elif self._stateful and self._settings.session == "key":
            log.warning("sessions of keys that moved begin anew: no state is kept (--no-changelog)")
        self._check_outputs()
        self.on_more(
            [*self._settings.output_topics().values(), *filter(None, [self._settings.evaluations(), self._changelog])]
        )
