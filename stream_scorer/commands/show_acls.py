"""`--show-acls`: what the user of a command needs to be allowed on a broker with ACLs."""

from __future__ import annotations

import argparse
from collections.abc import Iterable

from stream_scorer.kafka.rights import READ, TOPIC, TRANSACTIONAL_ID, WRITE, Right, configs, create, show
from stream_scorer.safe_text import say
from stream_scorer.settings.kafka import KafkaSettings


def add_show_acls(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--show-acls",
        action="store_true",
        help="print what the user needs to be allowed on a broker with ACLs, as commands of kafka-acls.sh, and end; no broker "
        "is asked",
    )


def show_acls(rights: Iterable[Right], settings: KafkaSettings) -> int:
    """Print the rights. Returns the exit code."""
    for line in show(list(rights), {"bootstrap.servers": settings.bootstrap_servers, **settings.kafka}):
        say(line)
    return 0


def tail_rights(evaluations: str, scores: str | None) -> list[Right]:
    return [Right(READ, TOPIC, topic) for topic in (evaluations, scores) if topic]


def replay_rights(topic: str, *, creates: bool) -> list[Right]:
    made = [create(topic, "only until the topic exists: --create-topic creates it")] if creates else []
    return [Right(WRITE, TOPIC, topic), *made, *configs([topic])]


def dead_letter_rights(
    verb: str, topic: str, receipts: str, transactional_id: str, targets: Iterable[str]
) -> list[Right]:
    """verb: list, show or resubmit. targets: the topics that letters are sent to."""
    rights = [Right(READ, TOPIC, topic)]
    if verb == "list":
        rights.append(Right(READ, TOPIC, receipts, when="without it letters that were re-submitted are not marked"))
    if verb == "resubmit":
        targets = list(targets)
        rights += [Right(READ, TOPIC, receipts), Right(WRITE, TOPIC, receipts), create(receipts)]
        rights += [Right(WRITE, TOPIC, target) for target in targets]
        rights += [Right(WRITE, TRANSACTIONAL_ID, transactional_id), *configs(targets)]
    return rights
