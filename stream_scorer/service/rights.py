"""What the user of `run` needs to be allowed on the broker."""

from __future__ import annotations

import ast

from stream_scorer.kafka import config as kafka_config
from stream_scorer.kafka.changelog import changelog_name
from stream_scorer.kafka.rights import (
    ALTER,
    GROUP,
    READ,
    TOPIC,
    TRANSACTIONAL_ID,
    WRITE,
    Right,
    configs,
    create,
)
from stream_scorer.model import callbacks
from stream_scorer.model.program import Program
from stream_scorer.model.state_names import StateFinder
from stream_scorer.service.settings import RunSettings

_MORE_PARTITIONS = "only if the input topic gets more partitions than this one: they are added"
_BY_FLAG = "only until the topic exists: --create-topics creates it"


def run_rights(settings: RunSettings, group: str, *, stateful: bool) -> list[Right]:
    """The rights that a service needs, and those for what it does now and then. Asks no broker.

    Args:
        group: of the consumer.
        stateful: whether the sessions have state, so that there is a changelog, unless the settings say that there is none.
    """
    outputs = list(dict.fromkeys(settings.output_topics().values()))
    evaluations, dead_letters = settings.evaluations(), settings.dead_letters()
    changelog = settings.changelog_topic or changelog_name(group, settings.input_topic)
    keeps = stateful and settings.changelog
    rights = [Right(READ, TOPIC, settings.input_topic), Right(READ, GROUP, group)]
    rights += [Right(WRITE, TOPIC, topic) for topic in outputs]
    if dead_letters:
        rights.append(Right(WRITE, TOPIC, dead_letters))
    for topic in ([evaluations] if evaluations else []) + ([changelog] if keeps else []):
        rights += [Right(READ, TOPIC, topic), Right(WRITE, TOPIC, topic)]
    if settings.delivery == "exactly-once":
        rights.append(Right(WRITE, TRANSACTIONAL_ID, transactional_ids(settings, group), prefixed=True))
    made = [topic for topic in (dead_letters, evaluations, changelog if keeps else None) if topic]
    rights += [create(topic) for topic in made]
    if settings.create_topics:
        rights += [create(topic, _BY_FLAG) for topic in (settings.input_topic, *outputs)]
        if settings.output_partition == "same":
            grow = [*outputs, *([evaluations] if evaluations else [])]
            rights += [Right(ALTER, TOPIC, topic, when=_MORE_PARTITIONS) for topic in grow]
    if keeps and settings.session == "partition":
        rights.append(Right(ALTER, TOPIC, changelog, when=_MORE_PARTITIONS))
    return rights + configs([settings.input_topic, *outputs, *made])


def transactional_ids(settings: RunSettings, group: str) -> str:
    """What the transactional ids of a service begin with. Without --instance the host's name follows, which may change."""
    prefix = f"{kafka_config.OUR_IDS}{group}."
    return f"{prefix}{settings.instance}." if settings.instance else prefix


def seems_stateful(program: Program) -> bool:
    """Whether a model seems to have state, by its source alone: nothing of it is executed."""
    annotations = program.annotations
    if annotations.state is not None:
        return bool(annotations.state)
    names = {*(annotations.batch or ()), *callbacks.action_names(program, 0)}
    functions = (node for node in ast.walk(ast.parse(program.source)) if isinstance(node, ast.FunctionDef))
    numbered = any(
        node.name in names and len(node.args.args) == 3 for node in functions
    )  # the sequence number is state
    return numbered or bool(StateFinder(program.source, names, {}).names())
