"""A worker's parts that talk to Kafka, made from settings and wired to a model."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from stream_scorer.errors import BrokerError
from stream_scorer.evaluate.judge import StreamJudge
from stream_scorer.kafka import config as kafka_config
from stream_scorer.kafka.admin import Cluster
from stream_scorer.kafka.changelog import KafkaChangelog
from stream_scorer.kafka.hanging import Probe
from stream_scorer.kafka.inputs import KafkaInputs
from stream_scorer.kafka.retention import Keeping, RetentionWatch, look_for_gone, remarks
from stream_scorer.kafka.routes import Routes
from stream_scorer.kafka.sink import AckingSink, Changelog, TransactionalSink
from stream_scorer.kafka.source import KafkaSource
from stream_scorer.kafka.topic_ids import TopicIds
from stream_scorer.model.module import Module
from stream_scorer.records import EVALUATIONS, Origin, Partition
from stream_scorer.scoring.hosting import Opened, Wired
from stream_scorer.scoring.progress_lines import Reporter
from stream_scorer.service.failure_policy import FailurePolicy
from stream_scorer.service.loop import Loop
from stream_scorer.service.pace import Pace
from stream_scorer.service.progress import Progress, Show
from stream_scorer.service.restore import RestorePolicy, Restorer
from stream_scorer.service.settings import RunSettings
from stream_scorer.service.status import Status
from stream_scorer.service.topics import ServiceTopics
from stream_scorer.service.transactional_id import Slot
from stream_scorer.service.watchdog import Watchdog
from stream_scorer.state.sessions import Sessions
from stream_scorer.state.snapshots import SnapshotWriter
from stream_scorer.system.exit import Closing

log = logging.getLogger(__name__)


class KafkaService:
    """Raises SettingsError (before any socket opens), BrokerError. `closing` closes what is opened here."""

    status: Status
    """Of the loop that was wired."""

    def __init__(self, settings: RunSettings, *, group: str, host: str, closing: Closing) -> None:
        kafka_config.check_extra(settings.kafka, transactional=settings.delivery == "exactly-once")
        self._settings, self._closing = settings, closing
        self._group = group
        self._instance = settings.instance or host
        self._consumer = kafka_config.consumer(settings.bootstrap_servers, group, settings.kafka)
        self._cluster = Cluster(kafka_config.common(settings.bootstrap_servers, settings.kafka))
        self._topics = ServiceTopics(settings, group, self._cluster, self._consumer)
        self._partitions = 0
        self._watch = RetentionWatch([], "")
        self._loop: Loop | None = None

    def check_topics(self) -> None:
        """All topics, before the model is loaded: a typing error should not cost an import of TensorFlow."""
        settings = self._settings
        self._partitions = self._topics.check()
        self._watch = self._check_retention(
            [*settings.output_topics().values(), settings.evaluations(), settings.dead_letters()]
        )

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

    def wire(
        self,
        found: Opened,
        wired: Wired,
        judge: StreamJudge | None = None,
        show: Show | None = None,
        answers: Callable[[], None] = lambda: None,
    ) -> Loop:
        """The loop of this worker, joined to its group.

        Args:
            found: the model. State is used only if a model of the same identity saved it.
            wired: its sessions and scorer, with the codecs of the topics.
            show: draws how far the restore of a partition is.
            answers: raises Unanswered as long as what the codecs need does not answer.
        """
        settings, module, identity = self._settings, found.module, found.identity
        sessions, scorer = wired
        ids = TopicIds(kafka_config.common(settings.bootstrap_servers, settings.kafka), self._topics.seen)
        progress = Progress(show)
        changelog = self._changelog(identity, sessions, ids)
        inputs = KafkaInputs(self._consumer)
        if judge is not None:
            self._recall(judge, inputs)
        store = KafkaChangelog(self._consumer, changelog[0], progress) if changelog else None
        if store:
            self._closing.add("the reader of the changelog", store.close)
        restorer = Restorer(
            sessions,
            scorer,
            store,
            inputs,
            model=identity,
            origin=Origin("", self._group, settings.session),
            policy=RestorePolicy(
                start=settings.start,
                window=module.annotations.window,
                warm_up=settings.warm_up,
                on_mismatch=settings.mismatch_policy(stateful=bool(module.state_names)),
                on_gap=settings.on_gap,
            ),
            watch=progress,
        )
        source = KafkaSource(
            self._consumer,
            [settings.input_topic],
            ids=ids,
            begin=restorer.begin,
            dropped=sessions.drop,
            start="earliest" if settings.start == "committed" else settings.start,
            until_end=settings.until_end,
            gather_s=settings.commit_interval,
            alive=lambda: loop.alive("waiting" if source.waits_for else "restoring"),
        )
        self._closing.add("the consumer", source.close)
        sink = self._make_sink(module, changelog, source)
        # Before the consumer: what it holds is settled or dropped before the partitions go to others.
        self._closing.add("the producer", sink.close)

        def look_again(topics: Sequence[str]) -> None:
            """Clients that know these topics with fewer partitions would refuse those that were added."""
            sink.look_again(topics)
            if store:
                store.close()

        self._topics.on_more = look_again
        expelled_s = settings.longest_step_s()
        loop = self._loop = Loop(
            source,
            scorer,
            sessions,
            sink,
            pace=self._pace(expelled_s),
            policy=FailurePolicy(
                fail_on_reject=settings.on_bad_record == "fail", max_rejects_in_row=settings.max_rejects_in_row
            ),
            on_commit=Reporter(source.lag),
            answers=answers,
        )
        self.status = self._status(module, loop, sessions, source, sink, progress, judge)
        Watchdog(loop, limit_s=expelled_s / 3, expelled_s=expelled_s)
        self._closing.add("the loop and its watchdog", loop.stop)
        log.info(
            "ready: %s -> %s, group %s, %s", settings.input_topic, settings.output_topic, self._group, settings.delivery
        )
        return loop

    def _recall(self, judge: StreamJudge, inputs: KafkaInputs) -> None:
        """The last evaluations: figures that begin anew with each worker would be of nothing for months where a value
        comes once a day."""
        if topic := self._settings.evaluations():
            places = [Partition(topic, at) for at in range(self._cluster.partitions(topic, "--evaluation-topic"))]
            judge.recall(record for at in places for record in inputs.last(at, self._settings.evaluate_window))

    def _status(
        self,
        module: Module,
        loop: Loop,
        sessions: Sessions,
        source: KafkaSource,
        sink: TransactionalSink | AckingSink,
        progress: Progress,
        judge: StreamJudge | None,
    ) -> Status:
        return Status(
            module,
            loop,
            sessions,
            source.status,
            progress,
            alive_s=self._settings.longest_step_s(),
            live=judge.live if judge is not None else None,
            at_risk=self._watch.at_risk,
            ended_hanging=lambda: sink.ended_hanging if isinstance(sink, TransactionalSink) else 0,
        )

    def _pace(self, expelled_s: float) -> Pace:
        """Half of half the time there is: for scoring before the group expels us, for a commit before it is fenced."""
        settings = self._settings
        fenced_s = int(settings.kafka.get("transaction.timeout.ms", kafka_config.TRANSACTION_TIMEOUT_MS)) / 1000
        commit_s = min(expelled_s, fenced_s) / 4
        return Pace(settings.batch, max_batch_s=expelled_s / 4, aim_s=settings.batch_time, max_commit_s=commit_s)

    def _changelog(self, identity: str, sessions: Sessions, ids: TopicIds) -> Changelog | None:
        topic = self._topics.changelog(stateful=sessions.stateful)
        if topic is None:
            return None

        def origin(partition: Partition) -> Origin:
            return Origin(ids.known(partition.topic), self._group, self._settings.session)

        return topic, SnapshotWriter(identity, sessions.stream_time, origin)

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
        named = f"{kafka_config.OUR_IDS}{self._group}.{self._instance}"
        slot = Slot(f"{self._cluster.id}/{named}")
        self._closing.add("the transactional id", slot.release)  # after the producer: another service may take it then
        transactional_id = f"{named}.{slot.number}"
        log.info("transactional id %s", transactional_id)
        properties = kafka_config.transactional_producer(settings.bootstrap_servers, transactional_id, settings.kafka)
        written = [*topics.values(), *filter(None, [routes.dead_letters, changelog and changelog[0]])]
        probe = Probe(self._consumer, written, settings.input_topic, self._stopping)
        return TransactionalSink(
            properties, routes, changelog, source.group_metadata, source.offsets, probe, self._stopping
        )

    def _stopping(self) -> bool:
        return self._loop is not None and self._loop.stopping
