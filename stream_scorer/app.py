"""The composition root: settings in, a wired service out. The only file that knows every part."""

from __future__ import annotations

import contextlib
import logging
import signal
import socket
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import BinaryIO, TextIO

from stream_scorer.codec import codec_for
from stream_scorer.codec.registry import Registry
from stream_scorer.codec.schema import Schema, load_schema
from stream_scorer.engine.loop import Loop, Pace, Totals
from stream_scorer.engine.scoring import Scorer
from stream_scorer.errors import EXIT_DONE, EXIT_INTERRUPTED, ModelError, SettingsError
from stream_scorer.model.locate import Located, locate
from stream_scorer.model.module import Module
from stream_scorer.model.sandbox import sandbox
from stream_scorer.ports import Codec
from stream_scorer.settings import RunSettings, to_map
from stream_scorer.state.sessions import Sessions
from stream_scorer.transports import kafka_config
from stream_scorer.transports.kafka_admin import Cluster
from stream_scorer.transports.kafka_sink import AckingSink, Routes, TransactionalSink
from stream_scorer.transports.kafka_source import KafkaSource
from stream_scorer.transports.lines import LinesSink, LinesSource

log = logging.getLogger(__name__)

REPORT_EVERY_S = 10.0


class Opened:
    """A module begun in its sandbox, with the schemas of its slots."""

    def __init__(self, module: Module, schemas: dict[int, Schema | None]) -> None:
        self.module = module
        self.schemas = schemas


@contextlib.contextmanager
def opened(located: Located, attachment: Path | None, schema_files: dict[str, Path]) -> Iterator[Opened]:
    """Load and begin a model, with its attachment unpacked around it; `end` it after the block. Raises ModelError."""
    with sandbox(attachment or located.attachment):
        started = time.perf_counter()
        module = Module(located.module)
        schemas = {
            slot: load_schema(name, schema_files, located.schema_dir) if name else None
            for slot, name in ((slot, module.annotations.schemas.get(slot)) for slot in module.annotations.slots_in_use)
        }
        module.begin()
        log.info(
            "model %s sha256=%s begun in %.1f s, state: %s%s",
            module.name,
            module.sha256,
            time.perf_counter() - started,
            ", ".join(module.state_names) or "none",
            ", batched" if module.batched else "",
        )
        try:
            yield Opened(module, schemas)
        finally:
            module.end()


def serve(model: str, settings: RunSettings) -> int:
    """Run the service until it is stopped or, if asked, the input ends. Raises StreamScorerError."""
    kafka_config.check_extra(settings.kafka)
    located = locate(model)
    group = settings.group or located.module.stem
    cluster = Cluster(kafka_config.common(settings.bootstrap_servers, settings.kafka))
    _check_topics(cluster, settings)
    attachment = settings.attachment.resolve() if settings.attachment else None
    with opened(located, attachment, _paths(settings.schema)) as model_:
        module = model_.module
        sessions = Sessions(module, module.state_names, settings.session)
        scorer = Scorer(module, sessions, *_codecs(model_, settings))

        def removed(partitions: list) -> None:  # type: ignore[type-arg]
            for partition in partitions:
                sessions.drop(partition)

        source = KafkaSource(
            kafka_config.consumer(settings.bootstrap_servers, group, settings.kafka),
            [settings.input_topic],
            on_removed=removed,
            until_end=settings.until_end,
        )
        routes = Routes(
            settings.output_topics(),
            f"{module.name}@{module.sha256}",
            keep_partition=settings.output_partition == "same",
            pass_headers=settings.pass_headers,
            dead_letters=settings.dead_letters(),
            group=group,
        )
        sink: TransactionalSink | AckingSink
        if settings.delivery == "exactly-once":
            transactional_id = f"stream-scorer.{group}.{settings.instance or socket.gethostname()}"
            properties = kafka_config.transactional_producer(
                settings.bootstrap_servers, transactional_id, settings.kafka
            )
            sink = TransactionalSink(properties, routes, source.group_metadata)
        else:
            properties = kafka_config.producer(settings.bootstrap_servers, settings.kafka)
            sink = AckingSink(properties, routes, source.commit)
        max_poll_s = int(settings.kafka.get("max.poll.interval.ms", 300_000)) / 1000
        loop = Loop(
            source,
            scorer,
            sessions,
            sink,
            pace=Pace(settings.batch, max_batch_s=max_poll_s / 4),
            fail_on_reject=settings.on_bad_record == "fail",
            on_commit=Reporter(),
        )
        log.info(
            "ready: %s -> %s, group %s, %s", settings.input_topic, settings.output_topic, group, settings.delivery
        )
        with stopping(loop) as stopped_by:
            started = time.perf_counter()
            try:
                totals = loop.run()
            finally:
                # The producer first: what it holds must be settled before the partitions go to others.
                sink.close()
                source.close()
        log.info("stopped: %s", summary(totals, time.perf_counter() - started))
        return EXIT_INTERRUPTED if signal.SIGINT in stopped_by else EXIT_DONE


def score_lines(
    model: str,
    attachment: Path | None,
    schemas: Sequence[str],
    lines: int,
    out: BinaryIO,
    rejects: TextIO,
    batch: int,
) -> int:
    """The same engine on JSON lines, no broker: descriptor `lines` in, `out` out. Raises StreamScorerError."""
    located = locate(model)
    with opened(located, attachment.resolve() if attachment else None, _paths(to_map(list(schemas)))) as model_:
        module = model_.module
        sessions = Sessions(module, module.state_names, "all")
        encoders = {
            slot: codec_for("json", schema) for slot, schema in model_.schemas.items() if slot % 2
        }
        scorer = Scorer(module, sessions, codec_for("json", model_.schemas.get(0)), encoders)
        loop = Loop(
            LinesSource(lines), scorer, sessions, LinesSink(out, rejects), pace=Pace(batch, max_batch_s=float("inf"))
        )
        with stopping(loop) as stopped_by:
            loop.run()
        return EXIT_INTERRUPTED if signal.SIGINT in stopped_by else EXIT_DONE


@contextlib.contextmanager
def stopping(loop: Loop) -> Iterator[set[int]]:
    """SIGTERM and SIGINT finish the step in hand; a second one gives up at once. Yields the signals that came."""
    came: set[int] = set()

    def on_signal(number: int, _: FrameType | None) -> None:
        if came:
            raise KeyboardInterrupt
        came.add(number)
        log.info("%s: finishing the step in hand", signal.Signals(number).name)
        loop.stop()

    before = {number: signal.signal(number, on_signal) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield came
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Reporter:
    """A line of progress every 10 s while there is work."""

    def __init__(self) -> None:
        self._at = time.perf_counter()
        self._records = 0

    def __call__(self, totals: Totals) -> None:
        now = time.perf_counter()
        if now - self._at >= REPORT_EVERY_S:
            log.info("%s", summary(totals, now - self._at, totals.records - self._records))
            self._at, self._records = now, totals.records


def summary(totals: Totals, seconds: float, recent: int | None = None) -> str:
    recent = totals.records if recent is None else recent
    busy = totals.scoring_s + totals.commit_s
    return (
        f"{totals.records:,} records, {totals.scores:,} scores, {totals.rejects:,} rejects, "
        f"{totals.commits:,} commits, {totals.aborts:,} aborts; {recent / max(seconds, 1e-9):,.0f} records/s, "
        f"{totals.scoring_s / max(busy, 1e-9):.0%} of work in scoring"
    )


def _check_topics(cluster: Cluster, settings: RunSettings) -> None:
    """All topics before the model is loaded: a typing error should not cost an import of TensorFlow."""
    if settings.create_topics:
        cluster.create(settings.input_topic, settings.partitions, settings.replication_factor)
    partitions = cluster.partitions(settings.input_topic, "--input-topic")
    for topic in settings.output_topics().values():
        if settings.create_topics:
            cluster.create(topic, partitions, settings.replication_factor)
        count = cluster.partitions(topic, "--output-topic")
        if count < partitions and settings.output_partition == "same":
            raise SettingsError(
                f"topic {topic!r} has {count} partitions and {settings.input_topic!r} has {partitions}: scores keep "
                "their input's partition number. Add partitions, or give --output-partition key."
            )
    if dead_letters := settings.dead_letters():
        cluster.create(dead_letters, partitions, settings.replication_factor)


def _codecs(model: Opened, settings: RunSettings) -> tuple[Codec, dict[int, Codec]]:
    registry = Registry(settings.schema_registry) if settings.schema_registry else None
    decoder = codec_for(
        settings.input_encoding, _schema(model, 0), framing=settings.framing, registry=registry, subject=f"{settings.input_topic}-value"
    )
    encoders = {
        slot: codec_for(
            settings.output_encoding,
            _schema(model, slot),
            framing=settings.framing,
            registry=registry,
            subject=f"{topic}-value",
            schema_id=settings.output_schema_id,
        )
        for slot, topic in settings.output_topics().items()
    }
    return decoder, encoders


def _schema(model: Opened, slot: int) -> Schema:
    schema = model.schemas.get(slot)
    if schema is None:
        raise ModelError(
            f"{model.module.path}: no schema for slot {slot}, which Avro needs. "
            f"Add the comment '# fastscore.schema.{slot}: NAME', or use --input-encoding and --output-encoding json."
        )
    return schema


def _paths(schemas: dict[str, str]) -> dict[str, Path]:
    return {name: Path(path).resolve() for name, path in schemas.items()}
