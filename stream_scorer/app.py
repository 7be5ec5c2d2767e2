"""The composition root: settings in, a wired service out. The only file that knows every part."""

from __future__ import annotations

import contextlib
import gc
import logging
import signal
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import BinaryIO, TextIO

from stream_scorer.codec import codec_for
from stream_scorer.codec.evaluations import evaluation_codec
from stream_scorer.codec.registry import Registry
from stream_scorer.codec.schema import Schema, load_schema
from stream_scorer.engine.loop import Loop, Pace
from stream_scorer.engine.report import summary
from stream_scorer.engine.scoring import Scorer
from stream_scorer.errors import EXIT_DONE, EXIT_INTERRUPTED, ModelError
from stream_scorer.evaluate.drift import Drift
from stream_scorer.evaluate.judge import StreamJudge, check_fields
from stream_scorer.evaluate.live import Live
from stream_scorer.model.locate import Located, locate
from stream_scorer.model.module import Module
from stream_scorer.model.sandbox import sandbox
from stream_scorer.ports import Codec
from stream_scorer.records import Control
from stream_scorer.reference import REFERENCE, read_reference
from stream_scorer.run_settings import RunSettings
from stream_scorer.settings import to_map
from stream_scorer.state.sessions import Sessions
from stream_scorer.transports.lines import LinesSink, LinesSource

log = logging.getLogger(__name__)


class Opened:
    """A module begun in its sandbox, with the schema of each slot in use (None: untyped)."""

    def __init__(self, module: Module, schemas: dict[int, Schema | None]) -> None:
        self.module = module
        self.schemas = schemas


@contextlib.contextmanager
def opened(located: Located, attachment: Path | None, schema_files: Mapping[str, Path]) -> Iterator[Opened]:
    """Load and begin a model, with its attachment unpacked around it; `end` it after the block. Raises ModelError."""
    with sandbox(attachment or located.attachment):
        started = time.perf_counter()
        module = Module(located.module)
        names = module.annotations.schemas
        schemas = {
            slot: load_schema(names[slot], schema_files, located.schema_dir) if slot in names else None
            for slot in sorted(module.annotations.slots_in_use)
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
    """One worker: run until stopped or, if asked, until the input ends. Raises StreamScorerError."""
    from stream_scorer.kafka_service import KafkaService  # Kafka's library only where there is Kafka

    located = locate(model)
    service = KafkaService(settings, group=settings.group or located.module.stem, host=socket.gethostname())
    service.check_topics()
    attachment = settings.attachment.resolve() if settings.attachment else None
    with opened(located, attachment, paths(settings.schema)) as found:
        registry = Registry(settings.schema_registry) if settings.schema_registry else None
        judge = _judge(found, settings, located, registry)
        loop = service.wire(found.module, *_codecs(found, settings, registry), judge)
        _tame_collector()
        with stopping(loop) as stopped_by:
            started = time.perf_counter()
            try:
                totals = loop.run()
            finally:
                service.close()
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
    with opened(located, attachment.resolve() if attachment else None, paths(to_map(list(schemas)))) as found:
        module = found.module
        sessions = Sessions(module, module.state_names, by_key=False)
        encoders = {slot: codec_for("json", schema, strict=False) for slot, schema in found.schemas.items() if slot % 2}
        scorer = Scorer(module, sessions, codec_for("json", found.schemas.get(0), strict=False), encoders)
        source = LinesSource(lines, control=_control, pig=lambda pig: _pass_on(pig, out))
        pace = Pace(batch, max_batch_s=float("inf"))
        loop = Loop(source, scorer, sessions, LinesSink(out, rejects), pace=pace)
        with stopping(loop) as stopped_by:
            loop.run()
        return EXIT_INTERRUPTED if signal.SIGINT in stopped_by else EXIT_DONE


def _control(line: bytes) -> Control | None:
    from stream_scorer.codec.control_records import CONTROL_FORMS  # most inputs have none

    return CONTROL_FORMS["json"].read(line)


def _pass_on(pig: Control, out: BinaryIO) -> None:
    from stream_scorer.codec.control_records import CONTROL_FORMS

    out.write(CONTROL_FORMS["json"].write(pig) + b"\n")
    out.flush()


def _tame_collector() -> None:
    """What was loaded so far stays (TensorFlow is a million objects): not to be looked through again and again.

    And seldom for the rest: a batch makes objects by the thousand, none of them in a cycle.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


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


def paths(schemas: Mapping[str, str]) -> dict[str, Path]:
    return {name: Path(path).resolve() for name, path in schemas.items()}


def _codecs(found: Opened, settings: RunSettings, registry: Registry | None) -> tuple[Codec, dict[int, Codec]]:
    decoder = codec_for(
        settings.input_encoding,
        _schema(found, 0, settings.input_encoding),
        framing=settings.framing,
        registry=registry,
        subject=f"{settings.input_topic}-value",
    )
    encoders = {
        slot: codec_for(
            settings.output_encoding,
            _schema(found, slot, settings.output_encoding),
            framing=settings.framing,
            registry=registry,
            subject=f"{topic}-value",
            schema_id=settings.output_schema_id,
        )
        for slot, topic in settings.output_topics().items()
    }
    return decoder, encoders


def _judge(found: Opened, settings: RunSettings, located: Located, registry: Registry | None) -> StreamJudge | None:
    """Raises SettingsError: no numbers to judge, no reference sample where one was named, no scipy."""
    topic = settings.evaluations()
    if topic is None:
        return None
    for slot in (0, settings.forecasts()):
        schema = found.schemas.get(slot)
        if schema is not None:
            check_fields(settings.evaluate_field, settings.evaluate_date, slot, schema.parsed)
    beside = located.module.parent / REFERENCE
    reference = settings.reference or (beside if beside.is_file() else None)
    window = settings.evaluate_window
    return StreamJudge(
        evaluation_codec(settings.output_encoding, registry, f"{topic}-value"),
        Live(window, Drift(window, None if reference is None else read_reference(reference))),
        slot=settings.forecasts(),
        field=settings.evaluate_field,
        low=settings.evaluate_low,
        high=settings.evaluate_high,
        date=settings.evaluate_date,
    )


def _schema(found: Opened, slot: int, encoding: str) -> Schema | None:
    schema = found.schemas.get(slot)
    if schema is None and encoding != "json":
        raise ModelError(
            f"{found.module.path}: no schema for slot {slot}, which Avro needs. "
            f"Add the comment '# fastscore.schema.{slot}: NAME', or use --input-encoding and --output-encoding json."
        )
    return schema
