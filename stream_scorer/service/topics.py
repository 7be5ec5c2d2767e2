"""The topics of a service: checked and created at the start, and when the input gets more partitions while it runs."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from stream_scorer.errors import BrokerError, SettingsError
from stream_scorer.kafka.admin import Cluster
from stream_scorer.kafka.changelog import changelog_name, former_changelog_name, owner
from stream_scorer.kafka.clients import Properties
from stream_scorer.kafka.retention import Keeping, RetentionWatch, find_deleted_unread, remarks
from stream_scorer.parsing.retention import retention_ms, topic_config
from stream_scorer.service.settings import RunSettings

log = logging.getLogger(__name__)

CHANGELOG_CONFIG = {
    "cleanup.policy": "compact",
    # Small segments, so that superseded records are deleted soon and a restore reads few of them.
    "segment.bytes": str(16 << 20),
    "min.cleanable.dirty.ratio": "0.2",
}


class ServiceTopics:
    """The topics of one service. Their partition counts must fit each other, at the start and later.

    Args:
        consumer: properties of a consumer of the group.
    """

    def __init__(self, settings: RunSettings, group: str, cluster: Cluster, consumer: Properties) -> None:
        self._settings, self._group = settings, group
        self._cluster, self._consumer = cluster, consumer
        self._partitions = 0
        self._changelog = ""
        self._stateful = False
        self.on_more: Callable[[Sequence[str]], None] = lambda _: None
        """Called with topics that have, or may have, more partitions than before."""

    def check(self) -> None:
        """Checks all topics but the changelog, and creates those that are missing if the settings ask for it.

        Raises SettingsError, BrokerError.
        """
        settings, cluster = self._settings, self._cluster
        config = topic_config(retention_ms(settings.retention))
        if settings.create_topics:
            cluster.create(settings.input_topic, settings.partitions, settings.replication_factor, config)
        self._partitions = cluster.partitions(settings.input_topic, "--input-topic", maker="--create-topics")
        self._check_session_all()
        if settings.create_topics:
            for topic in settings.output_topics().values():
                cluster.create(topic, self._partitions, settings.replication_factor, config)
        for topic in filter(None, (settings.dead_letters(), settings.evaluations())):
            cluster.create(topic, self._partitions, settings.replication_factor, config)
        self._check_outputs()

    def check_retention(self) -> RetentionWatch:
        """Logs which records the topics will not keep, as far as that is known now. The result watches for the rest.

        Raises BrokerError: all records that were to be read, up to the end of the input, are deleted.
        """
        settings, servers = self._settings, self._settings.bootstrap_servers
        outputs = [*settings.output_topics().values(), settings.evaluations(), settings.dead_letters()]
        configs = self._cluster.configs([settings.input_topic, *filter(None, outputs)], log.warning)
        keepings = {topic: Keeping.of(topic, config) for topic, config in configs.items()}
        for topic, keeping in keepings.items():
            for remark in remarks(keeping) if topic != settings.input_topic else ():
                log.warning("%s", remark)
        if settings.start != "latest":
            unread = find_deleted_unread(self._consumer, settings.input_topic, self._partitions)
            if unread.counts:
                text = unread.text(settings.input_topic, keepings.get(settings.input_topic), self._group, servers)
                if unread.nothing_left and settings.until_end:
                    raise BrokerError(text)
                log.warning("%s", text)
        return RetentionWatch(keepings.values(), servers, rejects=settings.dead_letters())

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

    def _check_output(self, topic: str, setting: str, records: str) -> None:
        """`records`: what the topic gets, for the text of the error."""
        settings = self._settings
        count = self._cluster.partitions(topic, setting, maker="--create-topics")
        if count >= self._partitions or settings.output_partition != "same":
            return
        if not settings.create_topics:
            raise SettingsError(
                f"topic {topic!r} has {count} partitions and {settings.input_topic!r} has {self._partitions}: {records} "
                "keep their input's partition number. Add partitions (--create-topics does), or give --output-partition key."
            )
        self._cluster.add_partitions(topic, self._partitions)

    def changelog(self, *, stateful: bool) -> str | None:
        """The topic of session state, created if it does not exist; None if no state is to be kept.

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
            "inputs that are still on the topic); or copy the records to a new topic and score that one with another --group."
        )

    def _changelog_topic(self) -> str:
        """As set; else from the names of group and input topic, in the form of earlier versions if it exists in that form."""
        settings = self._settings
        if settings.changelog_topic:
            return settings.changelog_topic
        former = former_changelog_name(self._group, settings.input_topic)
        name = changelog_name(self._group, settings.input_topic)
        if self._cluster.exists(name) or not self._cluster.exists(former):
            return name
        if owner(self._consumer, former) != settings.input_topic:
            return name
        log.info("state is on %s, the name that an earlier version gave to the changelog", former)
        return former

    def seen(self, topic: str, count: int) -> None:
        """The partition count of a topic when it was looked up last. If the input has more, the other topics must follow.

        Called before anything is committed that was read after that. Raises SettingsError, BrokerError, as a start would.
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
