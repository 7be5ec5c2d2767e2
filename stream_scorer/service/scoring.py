"""The model's half of a worker, made from settings: codecs, sessions, scorer and judge. Nothing here knows of Kafka."""

from __future__ import annotations

import logging
from typing import Any

from stream_scorer.codec.evaluations import evaluation_codec
from stream_scorer.codec.logical_fields import meaning_of
from stream_scorer.codec.registry import Registry
from stream_scorer.errors import SettingsError
from stream_scorer.evaluate.drift import Drift
from stream_scorer.evaluate.judge import StreamJudge, check_fields
from stream_scorer.evaluate.rolling import RollingFigures
from stream_scorer.model.locate import Located
from stream_scorer.model.module import Module
from stream_scorer.model.program import Program
from stream_scorer.model.reference import REFERENCE, parse_reference, read_reference
from stream_scorer.scoring.hosting import HostedModel, Wired
from stream_scorer.service.policies import FailurePolicy, RestorePolicy
from stream_scorer.service.settings import RunSettings

log = logging.getLogger(__name__)


def check_outputs(program: Program, settings: RunSettings) -> None:
    """Compares output slots and topics, before the model is loaded.

    Raises SettingsError: an output slot in use has no topic. ModelError: the module cannot be read.
    """
    path, in_use, topics = program.path, program.annotations.outputs, settings.output_topics()
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


def judge_of(
    hosted: HostedModel, settings: RunSettings, located: Located, registry: Registry | None
) -> StreamJudge | None:
    """The judge of the model's forecasts; None if they are not judged.

    Raises SettingsError: no numbers to judge, no reference sample where one was named, no scipy.
    """
    topic = settings.evaluations()
    if topic is None:
        return None
    for slot in (0, settings.forecasts()):
        schema = hosted.schemas.get(slot)
        if schema is not None:
            check_fields(settings.evaluate_field, settings.evaluate_date, slot, schema.parsed)
    window = settings.evaluate_window
    return StreamJudge(
        evaluation_codec(settings.output_encoding, registry, f"{topic}-value"),
        RollingFigures(window, Drift(window, _reference(settings, located))),
        slot=settings.forecasts(),
        field=settings.evaluate_field,
        low=settings.evaluate_low,
        high=settings.evaluate_high,
        date=settings.evaluate_date,
        inputs=meaning_of(hosted.schemas.get(0)),
        outputs=meaning_of(hosted.schemas.get(settings.forecasts())),
    )


def _reference(settings: RunSettings, located: Located) -> list[float] | None:
    """The sample that the inputs are compared with: the one that the settings name, else the model's; None: there is none."""
    if settings.reference is not None:
        return read_reference(settings.reference)
    path = located.module.parent / REFERENCE
    try:
        data = located.beside(REFERENCE)
    except OSError:
        return read_reference(path)  # which says why it cannot be read
    return None if data is None else parse_reference(data, path)


def wire(hosted: HostedModel, settings: RunSettings, registry: Registry | None, judge: StreamJudge | None) -> Wired:
    """Sessions and a scorer with the codecs of the topics. Raises ModelError: a slot has no schema, or state cannot be kept."""
    framed: dict[str, Any] = {"framing": settings.framing, "registry": registry}
    decoder = hosted.codec(0, settings.input_encoding, subject=f"{settings.input_topic}-value", **framed)
    encoders = {
        slot: hosted.codec(
            slot, settings.output_encoding, subject=f"{topic}-value", schema_id=settings.output_schema_id, **framed
        )
        for slot, topic in settings.output_topics().items()
        if slot in hosted.module.annotations.slots_in_use
    }
    ttl_ms = None if settings.session_ttl is None else round(settings.session_ttl * 1000)
    by_key = settings.session == "key"
    return hosted.wire(decoder, encoders, judge=judge, by_key=by_key, ttl_ms=ttl_ms, cap=settings.max_sessions)


def restore_policy(settings: RunSettings, module: Module) -> RestorePolicy:
    return RestorePolicy(
        start=settings.start,
        window=module.annotations.window,
        warm_up=settings.warm_up,
        on_mismatch=settings.mismatch_policy(stateful=bool(module.state_names)),
        on_gap=settings.on_gap,
    )


def failure_policy(settings: RunSettings) -> FailurePolicy:
    return FailurePolicy(
        fail_on_reject=settings.on_bad_record == "fail", max_rejects_in_row=settings.max_rejects_in_row
    )
