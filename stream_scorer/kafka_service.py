"""A worker's parts that talk to Kafka, made from settings and wired to a model."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

from stream_scorer.engine.loop import Loop
from stream_scorer.engine.pace import Pace
from stream_scorer.engine.progress import Progress, Show
from stream_scorer.engine.report import Reporter
from stream_scorer.engine.restore import Restorer
from stream_scorer.engine.scoring import Scorer
from stream_scorer.engine.watchdog import Watchdog
from stream_scorer.errors import BrokerError, SettingsError
from stream_scorer.evaluate.judge import StreamJudge
from stream_scorer.model.module import Module
from stream_scorer.ports import Codec
from stream_scorer.records import EVALUATIONS, Origin, Partition
from stream_scorer.retention import retention_ms, topic_config
from stream_scorer.run_settings import RunSettings
from stream_scorer.slots import Slot
from stream_scorer.state.sessions import Sessions
from stream_scorer.state.snapshots import SnapshotWriter
from stream_scorer.status import Status
from stream_scorer.supervisor import is_worker
from stream_scorer.transports import kafka_config
from stream_scorer.transports.kafka_admin import Cluster
from stream_scorer.transports.kafka_changelog import KafkaChangelog, changelog_name, former_changelog_name, owner
from stream_scorer.transports.kafka_hanging import Probe
from stream_scorer.transports.kafka_inputs import KafkaInputs
from stream_scorer.transports.kafka_retention import Keeping, RetentionWatch, look_for_gone, remarks
from stream_scorer.transports.kafka_routes import Routes
from stream_scorer.transports.kafka_sink import AckingSink, Changelog, TransactionalSink
from stream_scorer.transports.kafka_source import KafkaSource
from stream_scorer.transports.kafka_topic_ids import TopicIds

log = logging.getLogger(__name__)

CHANGELOG_CONFIG = {
    "cleanup.policy": "compact",
    # Small segments, so that what is superseded is cleaned soon and a restore reads little twice.
    "segment.bytes": str(16 << 20),
    "min.cleanable.dirty.ratio": "0.2",
}


class KafkaService:
    """Raises SettingsError (before any socket opens), BrokerError."""

    def __init__(self, settings: RunSettings, *, group: str, host: str) -> None:
        kafka_config.check_extra(settings.kafka, transactional=settings.delivery == "exactly-once")
        self._settings = settings
        self._group = group
        self._instance = settings.instance or host
        self._consumer = kafka_config.consumer(settings.bootstrap_servers, group, settings.kafka)
        self._cluster = Cluster(kafka_config.common(settings.bootstrap_servers, settings.kafka))
        self._partitions = 0
        self._store: KafkaChangelog | None = None
        self._watch = RetentionWatch([], "")
        self._source: KafkaSource | None = None
        self._sink: TransactionalSink | AckingSink | None = None
        self._loop: Loop | None = None

    def check_topics(self) -> None:
        """All topics, before the model is loaded: a typing error should not cost an import of TensorFlow."""
        settings, cluster = self._settings, self._cluster
        replication, kept = settings.replication_factor, topic_config(retention_ms(settings.retention))
        if settings.create_topics:
            cluster.create(settings.input_topic, settings.partitions, replication, kept)
        self._partitions = cluster.partitions(settings.input_topic, "--input-topic", maker="--create-topics")
        if settings.session == "all" and self._partitions != 1:
            raise SettingsError(
                f"--session all is one state for all records, and {settings.input_topic!r} has {self._partitions} "
                "partitions, which workers share. Use a topic of one partition, or --session partition."
            )
        for topic in settings.output_topics().values():
            if settings.create_topics:
                cluster.create(topic, self._partitions, replication, kept)
            self._check_partitions(topic, "--output-topic", "scores")
        if dead_letters := settings.dead_letters():
            cluster.create(dead_letters, self._partitions, replication, kept)
        if evaluations := settings.evaluations():
            cluster.create(evaluations, self._partitions, replication, kept)
            self._check_partitions(evaluations, "--evaluation-topic", "evaluations")
        self._watch = self._check_retention([*settings.output_topics().values(), evaluations, dead_letters])

    def _check_retention(self, written: Sequence[str | None]) -> RetentionWatch:
        """What the topics will not keep: what is known now is told, the rest is watched for.

        Raises BrokerError: all that was to be read up to the end is gone.
        """
        settings, servers = self._settings, self._settings.bootstrap_servers
        topics = [settings.input_topic, *filter(None, written)]
        configs = self._cluster.configs(topics, log.warning)
        keepings = {topic: Keeping.of(topic, config) for topic, config in configs.items()}
        for topic, keeping in keepings.items():
            for remark in remarks(keeping) if topic != settings.input_topic else ():
                log.warning("%s", remark)
        if settings.start != "latest":
            gone = look_for_gone(self._consumer, settings.input_topic, self._partitions)
            if gone.counts:
                text = gone.text(settings.input_topic, keepings.get(settings.input_topic), self._group, servers)
                if gone.alone and settings.until_end:
                    raise BrokerError(text)
                log.warning("%s", text)
        return RetentionWatch(keepings.values(), servers, rejects=settings.dead_letters())

    def _check_partitions(self, topic: str, setting: str, what: str) -> None:
        settings = self._settings
        count = self._cluster.partitions(topic, setting, maker="--create-topics")
        if count < self._partitions and settings.output_partition == "same":
            raise SettingsError(
                f"topic {topic!r} has {count} partitions and {settings.input_topic!r} has {self._partitions}: {what} "
                "keep their input's partition number. Add partitions, or give --output-partition key."
            )

    def wire(
        self,
        module: Module,
        identity: str,
        decoder: Codec,
        encoders: Mapping[int, Codec],
        judge: StreamJudge | None = None,
        show: Show | None = None,
    ) -> Loop:
        """The loop of this worker, joined to its group. Close it by `close`.

        Args:
            identity: of the model: saved state of another one is not used.
            show: draws how far the restore of a partition is.
        """
        settings = self._settings
        sessions = Sessions(
            module,
            module.state_names,
            by_key=settings.session == "key",
            ttl_ms=None if settings.session_ttl is None else round(settings.session_ttl * 1000),
            cap=settings.max_sessions,
            noted=judge is not None,
        )
        scorer = Scorer(module, sessions, decoder, encoders, judge)
        ids = TopicIds(kafka_config.common(settings.bootstrap_servers, settings.kafka))
        progress = Progress(show)
        changelog = self._changelog(identity, sessions, ids)
        inputs = KafkaInputs(self._consumer)
        if judge is not None and (topic := settings.evaluations()):
            # Figures that begin anew with each worker would be of nothing for months where a value comes once a day.
            partitions = range(self._cluster.partitions(topic, "--evaluation-topic"))
            judge.recall(
                record for at in partitions for record in inputs.last(Partition(topic, at), settings.evaluate_window)
            )
        if changelog:
            self._store = KafkaChangelog(self._consumer, changelog[0], progress)
        restorer = Restorer(
            sessions,
            scorer,
            self._store,
            inputs,
            model=identity,
            origin=Origin("", self._group, settings.session),
            start=settings.start,
            window=module.annotations.window,
            warm_up=settings.warm_up,
            on_mismatch=self._on_mismatch(module),
            on_gap=settings.on_gap,
            watch=progress,
        )
        source = self._source = KafkaSource(
            self._consumer,
            [settings.input_topic],
            ids=ids,
            begin=restorer.begin,
            dropped=sessions.drop,
            until_end=settings.until_end,
            gather_s=settings.commit_interval,
            alive=lambda: loop.alive("restoring"),
        )
        sink = self._sink = self._make_sink(module, changelog, source)
        expelled_s = int(self._consumer.get("max.poll.interval.ms", 300_000)) / 1000
        loop = self._loop = Loop(
            source,
            scorer,
            sessions,
            sink,
            pace=self._pace(expelled_s),
            fail_on_reject=settings.on_bad_record == "fail",
            max_rejects_in_row=settings.max_rejects_in_row,
            on_commit=Reporter(),
        )
        status = Status(
            module.name,
            module.sha256,
            loop,
            sessions,
            source.lag,
            lambda: source.rebalances,
            progress,
            alive_s=expelled_s,
            connected=lambda: source.health.connected,
            reason=lambda: source.health.reason,
            live=judge.live if judge is not None else None,
            at_risk=self._watch.at_risk,
            ended_hanging=lambda: sink.ended_hanging if isinstance(sink, TransactionalSink) else 0,
        )
        if settings.http:
            from stream_scorer import control

            control.start(settings.http, status)
        Watchdog(loop, limit_s=expelled_s / 3, expelled_s=expelled_s, orphan_stops=is_worker())
        log.info(
            "ready: %s -> %s, group %s, %s", settings.input_topic, settings.output_topic, self._group, settings.delivery
        )
        return loop

    def close(self) -> None:
        """The producer first: what it holds is settled or dropped before the partitions go to others."""
        if self._sink is not None:
            self._sink.close()
        if self._source is not None:
            self._source.close()
        if self._store is not None:
            self._store.close()

    def _pace(self, expelled_s: float) -> Pace:
        """Half of half the time there is: for scoring before the group expels us, for a commit before it is fenced."""
        settings = self._settings
        fenced_s = int(settings.kafka.get("transaction.timeout.ms", kafka_config.TRANSACTION_TIMEOUT_MS)) / 1000
        commit_s = min(expelled_s, fenced_s) / 4
        return Pace(settings.batch, max_batch_s=expelled_s / 4, aim_s=settings.batch_time, max_commit_s=commit_s)

    def _on_mismatch(self, module: Module) -> str:
        """A model without state has notes at most: where they are lost, a forecast of each key is not judged."""
        how = self._settings.on_state_mismatch
        return "restart" if how == "auto" and not module.state_names else how

    def _changelog(self, identity: str, sessions: Sessions, ids: TopicIds) -> Changelog | None:
        if not sessions.stateful or not self._settings.changelog:
            return None
        topic = self._changelog_topic()
        if self._cluster.exists(topic):
            self._cluster.check_compacted(topic)
        self._cluster.create(topic, self._partitions, self._settings.replication_factor, CHANGELOG_CONFIG)
        count = self._cluster.partitions(topic, "--changelog-topic")
        if count != self._partitions:
            raise SettingsError(
                f"changelog {topic!r} has {count} partitions and {self._settings.input_topic!r} has {self._partitions}: "
                "keys have moved to other partitions since. Give a new --changelog-topic, and --on-state-mismatch rebuild."
            )

        def origin(partition: Partition) -> Origin:
            return Origin(ids.known(partition.topic), self._group, self._settings.session)

        return topic, SnapshotWriter(identity, sessions.stream_time, origin)

    def _changelog_topic(self) -> str:
        """As set; else by the names of group and input topic, in the form of earlier versions where that is in use."""
        settings = self._settings
        if settings.changelog_topic:
            return settings.changelog_topic
        former = former_changelog_name(self._group, settings.input_topic)
        name = changelog_name(self._group, settings.input_topic)
        if self._cluster.exists(name) or not self._cluster.exists(former):
            return name
        if owner(self._consumer, former, self._cluster.partitions(former, "the changelog")) != settings.input_topic:
            return name
        log.info("state is on %s, as an earlier version named it", former)
        return former

    def _make_sink(
        self, module: Module, changelog: Changelog | None, source: KafkaSource
    ) -> TransactionalSink | AckingSink:
        settings = self._settings
        topics = settings.output_topics()
        if evaluations := settings.evaluations():
            topics[EVALUATIONS] = evaluations
        routes = Routes(
            topics,
            f"{module.name}@{module.sha256}",
            keep_partition=settings.output_partition == "same",
            pass_headers=settings.pass_headers,
            dead_letters=settings.dead_letters(),
            group=self._group,
            watch=self._watch,
        )
        if settings.delivery == "at-least-once":
            properties = kafka_config.producer(settings.bootstrap_servers, settings.kafka)
            return AckingSink(properties, routes, changelog, source.commit)
        self._slot = Slot(f"{settings.bootstrap_servers}/{self._group}/{self._instance}")
        transactional_id = f"stream-scorer.{self._group}.{self._instance}.{self._slot.number}"
        log.info("transactional id %s", transactional_id)
        properties = kafka_config.transactional_producer(settings.bootstrap_servers, transactional_id, settings.kafka)
        written = [*topics.values(), *filter(None, [routes.dead_letters, changelog and changelog[0]])]
        probe = Probe(self._consumer, written, settings.input_topic, self._stopping)
        return TransactionalSink(
            properties, routes, changelog, source.group_metadata, source.offsets, probe, self._stopping
        )

    def _stopping(self) -> bool:
        return self._loop is not None and self._loop.stopping
