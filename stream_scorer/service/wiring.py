"""Makes the Kafka half of a worker from settings: its clients and its loop. `app.work` uses it, and closes what it opens."""

from __future__ import annotations

import contextlib
import logging
import socket
from collections.abc import Callable, Sequence

from stream_scorer.evaluate.judge import StreamJudge
from stream_scorer.kafka import config as kafka_config
from stream_scorer.kafka.admin import Cluster
from stream_scorer.kafka.changelog import KafkaChangelog
from stream_scorer.kafka.hanging import Probe
from stream_scorer.kafka.inputs import KafkaInputs
from stream_scorer.kafka.routes import Routes
from stream_scorer.kafka.sink import AckingSink, Changelog, TransactionalSink
from stream_scorer.kafka.source import KafkaSource
from stream_scorer.kafka.topic_ids import TopicIds
from stream_scorer.model.module import Module
from stream_scorer.records import EVALUATIONS, Origin, Partition
from stream_scorer.scoring.hosting import HostedModel, Wired
from stream_scorer.scoring.progress_lines import ProgressLog
from stream_scorer.service.loop import Loop
from stream_scorer.service.pace import Pace
from stream_scorer.service.progress import Progress, Show
from stream_scorer.service.restore import Restorer
from stream_scorer.service.rights import run_rights
from stream_scorer.service.scoring import failure_policy, restore_policy
from stream_scorer.service.settings import RunSettings
from stream_scorer.service.status import Status
from stream_scorer.service.topics import ServiceTopics
from stream_scorer.service.transactional_id import InstanceNumber
from stream_scorer.service.watchdog import Watchdog
from stream_scorer.state.sessions import Sessions
from stream_scorer.state.snapshots import SnapshotWriter
from stream_scorer.system.exit import Closing

log = logging.getLogger(__name__)


class KafkaService:
    """The Kafka half of a worker. Call `check_topics`, then `wire`, once each.

    All three block while the cluster answers, and raise SettingsError and BrokerError. `closing` gets all that `wire` opens,
    and closes in this order: the loop and its watchdog, the producer (which aborts an open transaction), its transactional
    id, the consumer (which leaves the group), and the reader of the changelog.

    Attributes:
        status: of the worker; set by `wire`.
    """

    status: Status

    def __init__(self, settings: RunSettings, *, group: str, closing: Closing) -> None:
        kafka_config.check_extra(settings.kafka, transactional=settings.delivery == "exactly-once")
        self._settings, self._group, self._closing = settings, group, closing
        self._common = kafka_config.common(settings.bootstrap_servers, settings.kafka)
        self._consumer = kafka_config.consumer(settings.bootstrap_servers, group, settings.kafka)
        self._cluster = Cluster(self._common, run_rights(settings, group, stateful=False))
        self._topics = ServiceTopics(settings, group, self._cluster, self._consumer)
        self._loop: Loop | None = None

    def check_topics(self) -> None:
        """Check all topics. Call it before the model is loaded, so that a wrong name does not cost an import of TensorFlow."""
        self._topics.check()
        self._cluster.check_rights()
        self._retention = self._topics.check_retention()

    def explaining(self) -> contextlib.AbstractContextManager[None]:
        """As `Cluster.explaining`."""
        return self._cluster.explaining()

    def wire(
        self,
        hosted: HostedModel,
        wired: Wired,
        judge: StreamJudge | None = None,
        show: Show | None = None,
        answers: Callable[[], None] = lambda: None,
    ) -> Loop:
        """Open the clients and return the loop of this worker. Its consumer joins the group at the first poll.

        Args:
            hosted: the model. State is used only if a model of the same identity saved it.
            wired: its sessions and scorer, with the codecs of the topics.
            show: draws how far the restore of a partition is.
            answers: as in `Loop`.
        """
        ids = TopicIds(self._common, self._topics.seen)
        progress, inputs = Progress(show), KafkaInputs(self._consumer)
        changelog = self._changelog(hosted.identity, wired.sessions, ids)
        self._recall(judge, inputs)
        store = self._open_store(changelog, progress)
        source = self._open_source(ids, self._restorer(hosted, wired, store, inputs, progress), wired.sessions)
        sink = self._open_sink(hosted.module, changelog, source)
        self._topics.on_more = lambda topics: _look_again(topics, sink, store)
        loop = self._loop = self._make_loop(source, wired, sink, answers)
        self.status = Status(
            hosted.module,
            loop,
            wired.sessions,
            source.status,
            progress,
            alive_s=self._settings.longest_step_s(),
            live=judge.rolling if judge is not None else None,
            at_risk=self._retention.at_risk,
            ended_hanging=lambda: sink.ended_hanging if isinstance(sink, TransactionalSink) else 0,
        )
        return loop

    def _changelog(self, identity: str, sessions: Sessions, ids: TopicIds) -> Changelog | None:
        """Return the changelog's topic, which is made if it does not exist, and its writer; None: no state is kept."""
        self._cluster.need(run_rights(self._settings, self._group, stateful=sessions.stateful))
        topic = self._topics.changelog(stateful=sessions.stateful)
        self._cluster.check_rights()
        if topic is None:
            return None

        def origin(partition: Partition) -> Origin:
            return Origin(ids.known(partition.topic), self._group, self._settings.session)

        return topic, SnapshotWriter(identity, sessions.stream_time, origin)

    def _recall(self, judge: StreamJudge | None, inputs: KafkaInputs) -> None:
        """Read the last evaluations back into the judge, so that a restart does not empty its rolling figures.

        With one value per day they would take months to fill again.
        """
        if judge is not None and (topic := self._settings.evaluations()):
            partitions = [Partition(topic, at) for at in range(self._cluster.partitions(topic, "--evaluation-topic"))]
            window = self._settings.evaluate_window
            judge.recall(record for partition in partitions for record in inputs.last(partition, window))

    def _open_store(self, changelog: Changelog | None, progress: Progress) -> KafkaChangelog | None:
        if changelog is None:
            return None
        store = KafkaChangelog(self._consumer, changelog[0], progress)
        self._closing.add("the reader of the changelog", store.close)
        return store

    def _restorer(
        self, hosted: HostedModel, wired: Wired, store: KafkaChangelog | None, inputs: KafkaInputs, progress: Progress
    ) -> Restorer:
        return Restorer(
            *wired,
            store,
            inputs,
            model=hosted.identity,
            origin=Origin("", self._group, self._settings.session),
            policy=restore_policy(self._settings, hosted.module),
            watch=progress,
        )

    def _open_source(self, ids: TopicIds, restorer: Restorer, sessions: Sessions) -> KafkaSource:
        settings = self._settings

        def alive() -> bool:
            return self._loop is None or self._loop.alive("waiting" if source.waits_for else "restoring")

        source = KafkaSource(
            self._consumer,
            [settings.input_topic],
            ids=ids,
            begin=restorer.begin,
            dropped=sessions.drop,
            start="earliest" if settings.start == "committed" else settings.start,
            until_end=settings.until_end,
            gather_s=settings.commit_interval,
            alive=alive,
        )
        self._closing.add("the consumer", source.close)
        return source

    def _open_sink(
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
            watch=self._retention,
        )
        sink: TransactionalSink | AckingSink
        if settings.delivery == "exactly-once":
            sink = self._open_transactional_sink(routes, changelog, source)
        else:
            properties = kafka_config.producer(settings.bootstrap_servers, settings.kafka)
            sink = AckingSink(properties, routes, changelog, source.commit)
        # Before the consumer: what it holds is settled or dropped before the partitions go to others.
        self._closing.add("the producer", sink.close)
        return sink

    def _open_transactional_sink(
        self, routes: Routes, changelog: Changelog | None, source: KafkaSource
    ) -> TransactionalSink:
        settings = self._settings
        name = f"{kafka_config.OUR_IDS}{self._group}.{settings.instance or socket.gethostname()}"
        number = InstanceNumber(f"{self._cluster.id}/{name}")
        self._closing.add(
            "the transactional id", number.release
        )  # after the producer: another service may take it then
        transactional_id = f"{name}.{number.text}"
        log.info("transactional id %s", transactional_id)
        written = [*routes.topics.values(), *filter(None, [routes.dead_letters, changelog and changelog[0]])]
        return TransactionalSink(
            kafka_config.transactional_producer(settings.bootstrap_servers, transactional_id, settings.kafka),
            routes,
            changelog,
            source.group_metadata,
            source.offsets,
            Probe(self._consumer, written, settings.input_topic, self._stopping),
            self._stopping,
        )

    def _stopping(self) -> bool:
        return self._loop is not None and self._loop.stopping

    def _make_loop(
        self, source: KafkaSource, wired: Wired, sink: TransactionalSink | AckingSink, answers: Callable[[], None]
    ) -> Loop:
        settings = self._settings
        expelled_s = settings.longest_step_s()
        loop = Loop(
            source,
            wired.scorer,
            wired.sessions,
            sink,
            pace=self._pace(expelled_s),
            policy=failure_policy(settings),
            on_commit=ProgressLog(source.lag),
            answers=answers,
        )
        Watchdog(loop, limit_s=expelled_s / 3, expelled_s=expelled_s)
        self._closing.add("the loop and its watchdog", loop.stop)
        log.info(
            "ready: %s -> %s, group %s, %s", settings.input_topic, settings.output_topic, self._group, settings.delivery
        )
        return loop

    def _pace(self, expelled_s: float) -> Pace:
        """Return limits with a margin: a batch takes at most a quarter of the time until the group expels the worker.

        A commit takes at most a quarter of that time or of the broker's limit for a transaction, whichever is shorter.
        """
        settings = self._settings
        fenced_s = int(settings.kafka.get("transaction.timeout.ms", kafka_config.TRANSACTION_TIMEOUT_MS)) / 1000
        commit_s = min(expelled_s, fenced_s) / 4
        return Pace(settings.batch, max_batch_s=expelled_s / 4, aim_s=settings.batch_time, max_commit_s=commit_s)


def _look_again(topics: Sequence[str], sink: TransactionalSink | AckingSink, store: KafkaChangelog | None) -> None:
    """Refresh the clients for topics that got more partitions: they would refuse the partitions that they do not know."""
    sink.look_again(topics)
    if store:
        store.close()
