"""The composition root of `run`: settings in, a wired service out."""

from __future__ import annotations

import gc
import logging
import socket
import time
from collections.abc import Callable
from pathlib import Path
from signal import SIGINT, SIGTERM
from typing import TYPE_CHECKING, Any

from stream_scorer.codec.evaluations import evaluation_codec
from stream_scorer.codec.logical_fields import meaning_of
from stream_scorer.codec.registry import Registry, open_registry
from stream_scorer.errors import EXIT_DONE, EXIT_NOTHING, SettingsError
from stream_scorer.evaluate.drift import Drift
from stream_scorer.evaluate.judge import StreamJudge, check_fields
from stream_scorer.evaluate.live import Live
from stream_scorer.model.locate import Located, locate
from stream_scorer.model.program import read_program
from stream_scorer.model.reference import REFERENCE, read_reference
from stream_scorer.scoring.hosting import Opened, Wired, opened, paths
from stream_scorer.scoring.progress_lines import all_rejected, summary
from stream_scorer.scoring.totals import Totals
from stream_scorer.service.lifeline import Lifeline
from stream_scorer.service.progress import Show
from stream_scorer.service.settings import RunSettings
from stream_scorer.system.exit import Closing
from stream_scorer.system.signals import stopping

if TYPE_CHECKING:
    from stream_scorer.service.http import HttpControl
    from stream_scorer.service.loop import Loop
    from stream_scorer.service.status import Status

log = logging.getLogger(__name__)
LONGEST_CALL_S = 120.0
"""A call to an unreachable broker ends sooner."""


def serve(model: str, settings: RunSettings, show: Show | None = None, line: Lifeline | None = None) -> int:
    """The worker of a process of its own: `work` until a signal, a stop request or, if asked, the end of the input.

    Returns the exit code. Raises what `work` raises.

    Args:
        show: draws, for a person who watches, how far the restore of a partition is.
        line: leads to a supervisor.
    """
    totals: Totals | None = None  # a signal may end the block at any place
    with stopping(by=[SIGTERM] if line else [SIGTERM, SIGINT]) as signals, Closing() as closing:

        def begun(loop: Loop, _: Status) -> None:
            _tame_collector()
            signals.stops(loop.stop)
            if line:
                line.ready(lambda: loop.stopping or loop.idle_s() < max(settings.longest_step_s(), LONGEST_CALL_S))

        totals = work(model, settings, closing, begun, show)
    if totals and settings.until_end and (text := all_rejected(totals)):
        log.error("%s", text)
        # With several workers, one may have only bad partitions: the scores of the others count.
        return signals.code or (EXIT_DONE if line else EXIT_NOTHING)
    return signals.code


def work(
    model: str,
    settings: RunSettings,
    closing: Closing,
    begun: Callable[[Loop, Status], None],
    show: Show | None = None,
) -> Totals:
    """One worker: reads, scores and commits until its loop is stopped or, if asked, until the input ends.

    Leaves signals, logs and the garbage collector of the process alone. Blocks. Raises StreamScorerError.

    Args:
        model: path of a module or bundle, or name of a shipped model.
        closing: closes what is opened here; at the latest before the model's `end` is called.
        begun: called once, before the first record, with the loop and what it tells of itself.
        show: draws how far the restore of a partition is.
    """
    from stream_scorer.service.wiring import KafkaService  # Kafka's library only where there is Kafka

    located = locate(model)
    check_outputs(located.module, settings)
    control = _control_of(settings, closing)
    registry = open_registry(settings.schema_registry, settings.registry) if settings.schema_registry else None
    group = settings.group or located.module.stem
    service = KafkaService(settings, group=group, host=socket.gethostname(), closing=closing)
    service.check_topics()
    attachment = settings.attachment.resolve() if settings.attachment else None
    with opened(located, attachment, paths(settings.schema)) as found:
        judge = judge_of(found, settings, located, registry)
        started = time.perf_counter()
        try:
            wired = wire(found, settings, registry, judge)
            loop = service.wire(found, wired, judge, show, registry.check if registry else lambda: None)
            if control:
                control.show(service.status)
            begun(loop, service.status)
            totals = loop.run()
        finally:
            closing.close()  # before the model's `end`, which may take its time: others wait for the partitions
        log.info("stopped: %s", summary(totals, time.perf_counter() - started))
    return totals


def _control_of(settings: RunSettings, closing: Closing) -> HttpControl | None:
    """Before what costs more: a port that is taken ends the command at once, and operators see the worker load."""
    if not settings.http:
        return None
    from stream_scorer.service.http import HttpControl  # an HTTP server only where one is wanted

    control = HttpControl(settings.http_address())
    closing.add("the HTTP server", control.close)
    return control


def _tame_collector() -> None:
    """Keep Python's garbage collector from the objects loaded so far (a million, with TensorFlow): they stay.

    And let it run seldom: a batch makes thousands of objects, none of them in a cycle.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


def wire(found: Opened, settings: RunSettings, registry: Registry | None, judge: StreamJudge | None) -> Wired:
    """Sessions and a scorer with the codecs of the topics. Raises ModelError: a slot has no schema, or state cannot be kept."""
    framed: dict[str, Any] = {"framing": settings.framing, "registry": registry}
    decoder = found.codec(0, settings.input_encoding, subject=f"{settings.input_topic}-value", **framed)
    encoders = {
        slot: found.codec(
            slot, settings.output_encoding, subject=f"{topic}-value", schema_id=settings.output_schema_id, **framed
        )
        for slot, topic in settings.output_topics().items()
        if slot in found.module.annotations.slots_in_use
    }
    ttl_ms = None if settings.session_ttl is None else round(settings.session_ttl * 1000)
    by_key = settings.session == "key"
    return found.wire(decoder, encoders, judge=judge, by_key=by_key, ttl_ms=ttl_ms, cap=settings.max_sessions)


def check_outputs(path: Path, settings: RunSettings) -> None:
    """Before the model is loaded. Raises SettingsError: an output slot in use has no topic. ModelError."""
    in_use, topics = read_program(path).annotations.outputs, settings.output_topics()
    if lacking := sorted(set(in_use) - topics.keys()):
        given = ",".join(f"{slot}={topics.get(slot, 'TOPIC')}" for slot in in_use)
        raise SettingsError(
            f"--output-topic: output slot {lacking[0]} of {path.name} is in use and has no topic. Give --output-topic "
            f"{given}, or say '# fastscore.slot.{lacking[0]}: unused' in the model."
        )
    for slot in sorted(topics.keys() - set(in_use)):
        log.warning(
            "--output-topic %d=%s: %s has no such output. What it writes there is rejected, unless "
            "'# fastscore.slot.%d: in-use' is in the model",
            slot,
            topics[slot],
            path.name,
            slot,
        )


def judge_of(found: Opened, settings: RunSettings, located: Located, registry: Registry | None) -> StreamJudge | None:
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
