"""The composition root: settings in, a wired service out. The only file that knows every part."""

from __future__ import annotations

import contextlib
import gc
import hashlib
import logging
import socket
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from signal import SIGINT, SIGTERM
from typing import TYPE_CHECKING, BinaryIO, TextIO

from stream_scorer.codec import codec_for
from stream_scorer.codec.evaluations import evaluation_codec
from stream_scorer.codec.meaning import meaning_of
from stream_scorer.codec.registry import Registry, open_registry
from stream_scorer.codec.schema import Schema, load_schema
from stream_scorer.ending import Closing
from stream_scorer.engine.loop import Loop
from stream_scorer.engine.pace import Pace
from stream_scorer.engine.progress import Show
from stream_scorer.engine.report import all_rejected, summary
from stream_scorer.engine.scoring import Scorer
from stream_scorer.errors import EXIT_DONE, EXIT_NOTHING, ModelError
from stream_scorer.evaluate.drift import Drift
from stream_scorer.evaluate.judge import StreamJudge, check_fields
from stream_scorer.evaluate.live import Live
from stream_scorer.lifeline import Lifeline
from stream_scorer.model.locate import Located, locate
from stream_scorer.model.module import Module
from stream_scorer.model.sandbox import sandbox
from stream_scorer.ports import Codec
from stream_scorer.records import Control
from stream_scorer.reference import REFERENCE, read_reference
from stream_scorer.run_settings import RunSettings
from stream_scorer.settings import to_map
from stream_scorer.signals import stopping
from stream_scorer.state.sessions import Sessions
from stream_scorer.transports.lines import LinesSink, LinesSource

if TYPE_CHECKING:
    from stream_scorer.control import HttpControl

log = logging.getLogger(__name__)
LONGEST_CALL_S = 120.0
"""No call to a broker that is away takes so long."""


class Opened:
    """A module begun in its sandbox, with the schema of each slot in use (None: untyped)."""

    def __init__(self, module: Module, schemas: dict[int, Schema | None], attachment: Path | None) -> None:
        self.module = module
        self.schemas = schemas
        self.identity = module.sha256 if attachment is None else f"{module.sha256}+{_sha256(attachment)}"
        """Of module and attachment: state that another one saved is not this one's."""


@contextlib.contextmanager
def opened(located: Located, attachment: Path | None, schema_files: Mapping[str, Path]) -> Iterator[Opened]:
    """Load and begin a model, with its attachment unpacked around it; `end` it after the block. Raises ModelError."""
    attachment = attachment or located.attachment
    with sandbox(attachment):
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
            yield Opened(module, schemas, attachment)
        finally:
            module.end()


def serve(model: str, settings: RunSettings, show: Show | None = None, line: Lifeline | None = None) -> int:
    """One worker: run until stopped or, if asked, until the input ends. Raises StreamScorerError.

    `show` draws, for a person who watches, how far the restore of a partition is. `line` leads to a supervisor.
    """
    from stream_scorer.kafka_service import KafkaService  # Kafka's library only where there is Kafka

    wasted = None  # a signal may end the block at any place
    with stopping(by=[SIGTERM] if line else [SIGTERM, SIGINT]) as signals, Closing() as closing:
        located = locate(model)
        control = _control_of(settings, closing)
        registry = open_registry(settings.schema_registry, settings.registry) if settings.schema_registry else None
        group = settings.group or located.module.stem
        service = KafkaService(settings, group=group, host=socket.gethostname(), closing=closing)
        service.check_topics()
        attachment = settings.attachment.resolve() if settings.attachment else None
        with opened(located, attachment, paths(settings.schema)) as found:
            judge = _judge(found, settings, located, registry)
            _tame_collector()
            started = time.perf_counter()
            try:
                codecs = _codecs(found, settings, registry)
                answers = registry.check if registry else lambda: None
                loop = service.wire(found.module, found.identity, *codecs, judge, show, answers)
                signals.stops(loop.stop)
                if control:
                    control.show(service.status)
                if line:
                    line.ready(lambda: loop.stopping or loop.idle_s() < max(settings.longest_step_s(), LONGEST_CALL_S))
                totals = loop.run()
            finally:
                closing.close()  # before the model's `end`, which may take its time: others wait for the partitions
            log.info("stopped: %s", summary(totals, time.perf_counter() - started))
            wasted = all_rejected(totals) if settings.until_end else None
    if wasted:
        log.error("%s", wasted)
        # Of several workers one may well have the bad partitions: the others' scores count.
        return signals.code or (EXIT_DONE if line else EXIT_NOTHING)
    return signals.code


def _control_of(settings: RunSettings, closing: Closing) -> HttpControl | None:
    """Before what costs more: a port that is taken ends the command at once, and operators see the worker load."""
    if not settings.http:
        return None
    from stream_scorer.control import HttpControl  # an HTTP server only where one is wanted

    control = HttpControl(settings.http_address())
    closing.add("the HTTP server", control.close)
    return control


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
    with opened(
        located, attachment.resolve() if attachment else None, paths(to_map(list(schemas), "--schema"))
    ) as found:
        module = found.module
        sessions = Sessions(module, module.state_names, by_key=False)
        encoders = {slot: codec_for("json", schema, strict=False) for slot, schema in found.schemas.items() if slot % 2}
        scorer = Scorer(module, sessions, codec_for("json", found.schemas.get(0), strict=False), encoders)
        source = LinesSource(lines, control=_control, pig=lambda pig: _pass_on(pig, out))
        pace = Pace(batch, max_batch_s=float("inf"))
        loop = Loop(source, scorer, sessions, LinesSink(out, rejects), pace=pace)
        text = None
        with stopping() as signals:
            signals.stops(loop.stop)
            text = all_rejected(loop.run())
        if text:
            print(f"stream-scorer score: {text}", file=sys.stderr)
            return signals.code or EXIT_NOTHING
        return signals.code


def _control(line: bytes) -> Control | None:
    from stream_scorer.codec.control_records import CONTROL_FORMS  # most inputs have none

    return CONTROL_FORMS["json"].read(line)


def _pass_on(pig: Control, out: BinaryIO) -> None:
    from stream_scorer.codec.control_records import CONTROL_FORMS

    out.write(CONTROL_FORMS["json"].write(pig) + b"\n")
    out.flush()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _tame_collector() -> None:
    """What was loaded so far stays (TensorFlow is a million objects): not to be looked through again and again.

    And seldom for the rest: a batch makes objects by the thousand, none of them in a cycle.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


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
        inputs=meaning_of(found.schemas.get(0)),
        outputs=meaning_of(found.schemas.get(settings.forecasts())),
    )


def _schema(found: Opened, slot: int, encoding: str) -> Schema | None:
    schema = found.schemas.get(slot)
    if schema is None and encoding != "json":
        raise ModelError(
            f"{found.module.path}: no schema for slot {slot}, which Avro needs. "
            f"Add the comment '# fastscore.schema.{slot}: NAME', or use --input-encoding and --output-encoding json."
        )
    return schema
