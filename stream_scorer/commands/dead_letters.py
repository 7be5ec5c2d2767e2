"""stream-scorer dead-letters"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from stream_scorer.commands.kafka_flags import DeadLetterSettings, add_kafka_flags, load_kafka
from stream_scorer.commands.show_acls import add_show_acls, dead_letter_rights, show_acls
from stream_scorer.errors import SettingsError
from stream_scorer.kafka.rights import READ, TOPIC, Right, receipts_topic
from stream_scorer.safe_text import lines, one_line, say
from stream_scorer.settings.arguments import whole_number

if TYPE_CHECKING:
    from stream_scorer.kafka.admin import Cluster
    from stream_scorer.kafka.dead_letters import DeadLetter

SHOWN_BYTES = 200
"""Bytes of a value that `show` prints."""
SHOWN_CHARACTERS = 100
"""Characters of a header that `list` prints."""
SHOWN_LINES = 20
"""Most lines that `resubmit` prints about single dead letters."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="list|show|resubmit")
    for verb, text in (
        ("list", "list dead letters, one a line: place, source record, step that failed and reason"),
        ("show", "print all headers and the value of dead letters"),
        ("resubmit", "send dead letters again to the topic they came from; do it after the cause is fixed"),
    ):
        command = verbs.add_parser(verb, help=text, description=text[0].upper() + text[1:] + ".")
        add_show_acls(command)
        add_kafka_flags(command, DeadLetterSettings)
        text = "same as --dead-letter-topic"
        command.add_argument("--topic", dest="dead_letter_topic", metavar="TOPIC", default=argparse.SUPPRESS, help=text)
        if verb == "list":
            command.add_argument("--last", type=whole_number(1), metavar="N", help="list the last N only")
        else:
            command.add_argument(
                "places", nargs="*", metavar="PARTITION@OFFSET", help="dead letters, as `list` prints them"
            )
        if verb == "resubmit":
            command.add_argument("--all", action="store_true", help="re-submit all dead letters of the topic")
            command.add_argument(
                "--again", action="store_true", help="also re-submit those that were re-submitted before"
            )
            command.add_argument(
                "--to", metavar="TOPIC", help="send them to this topic (default: the topic they came from)"
            )
            text = "also send those that say they came from this topic, and not from --input-topic; may be repeated"
            command.add_argument("--allow", metavar="TOPIC", action="append", default=[], help=text)


def run(args: argparse.Namespace) -> int:
    settings = load_kafka(DeadLetterSettings, args)
    topic, rights = settings.topic(), _rights(settings, args)
    if args.show_acls:
        return show_acls(rights, settings)
    if args.verb != "list" and not args.places and not getattr(args, "all", False):
        more = ", or --all" if args.verb == "resubmit" else ""
        raise SettingsError(
            f"dead-letters {args.verb} needs PARTITION@OFFSET, as `dead-letters list` prints them{more}."
        )
    from stream_scorer.kafka import config as kafka_config
    from stream_scorer.kafka.admin import Cluster
    from stream_scorer.system import logs

    logs.set_up("ERROR")
    servers, extra = settings.bootstrap_servers, settings.kafka
    kafka_config.check_extra(extra, transactional=args.verb == "resubmit")
    cluster = Cluster(kafka_config.common(servers, extra), rights)
    cluster.partitions(topic, "--dead-letter-topic")
    with cluster.explaining():
        return _do(cluster, settings, args)


def _do(cluster: Cluster, settings: DeadLetterSettings, args: argparse.Namespace) -> int:
    from stream_scorer.kafka import config as kafka_config
    from stream_scorer.kafka.dead_letters import read_dead_letters, select

    servers, topic, extra = settings.bootstrap_servers, settings.topic(), settings.kafka
    if args.verb != "resubmit":  # whose topic of receipts may have to be made first
        cluster.check_rights()
    letters = read_dead_letters(kafka_config.consumer(servers, "dead-letters", extra), topic)
    if args.verb == "list":
        return _list(list(letters)[-args.last :] if args.last else list(letters), _was_resubmitted(cluster, settings))
    selected = list(letters) if getattr(args, "all", False) else select(letters, args.places)
    if args.verb == "show":
        for letter in selected:
            _show(letter)
        return 0
    return _resubmit(cluster, selected, settings, args, _allowed(settings, args))


def _allowed(settings: DeadLetterSettings, args: argparse.Namespace) -> set[str]:
    """The topics that records may go back to: whoever can write a dead letter can put any topic into it.

    Raises SettingsError: there is none, and no --to.
    """
    allowed = {*args.allow, settings.source()} - {""}
    if not allowed and not args.to:
        raise SettingsError(
            "dead-letters resubmit needs --input-topic TOPIC, the topic that the records came from and go back to, or --to "
            "TOPIC. What a dead letter says of it is not enough."
        )
    return allowed


def _resubmit(
    cluster: Cluster,
    letters: list[DeadLetter],
    settings: DeadLetterSettings,
    args: argparse.Namespace,
    allowed: set[str],
) -> int:
    """Send dead letters again. Returns 0; 1 if some were not sent, whose reasons are printed. Raises StreamScorerError."""
    from stream_scorer.kafka import config as kafka_config
    from stream_scorer.kafka.resubmit import RECEIPTS_CONFIG, Resubmission

    servers, topic, extra = settings.bootstrap_servers, settings.topic(), settings.kafka
    if args.to:
        cluster.partitions(args.to, "--to")
    receipts = receipts_topic(topic)
    cluster.create(receipts, 1, config=RECEIPTS_CONFIG)
    cluster.check_rights()
    producer = kafka_config.transactional_producer(servers, _transactional_id(topic), extra)
    resubmission = Resubmission(producer, receipts, _topic_id(settings), args.to)
    reader = kafka_config.consumer(servers, "dead-letters", extra)
    new = letters if args.again else resubmission.new(letters, reader)
    good = _without_obstacles(cluster, new, args.to, allowed, servers)
    outcome = resubmission.outcome
    try:
        resubmission.send(good)
    finally:
        summary = f"{outcome.sent:,} re-submitted to {args.to or 'where they came from'}; they stay on {topic} as well"
        if outcome.known:
            summary += f". {outcome.known:,} were re-submitted before (--again sends them once more)"
        if outcome.unsure:
            summary += f". Of {outcome.unsure:,} it is not certain: the same command sends those that were not"
        _warn_lines(outcome.refused)
        if left := len(new) - len(good) + len(outcome.refused):
            summary += f". {left:,} were not, see above"
        say(summary)
    return 1 if left else 0


def _without_obstacles(
    cluster: Cluster, letters: list[DeadLetter], to: str | None, allowed: set[str], servers: str
) -> list[DeadLetter]:
    """The letters that can be sent. Prints why the others cannot, and which ones their topic will not keep for long."""
    from stream_scorer.kafka.dead_letters import obstacles
    from stream_scorer.kafka.retention import Keeping, check_resubmitted

    times: dict[str, list[int]] = {}
    for letter in letters:
        topic = to or letter.facts.get("topic", "")
        if (to or topic in allowed) and letter.record.timestamp is not None:
            times.setdefault(topic, []).append(letter.record.timestamp)
    configs = cluster.configs(filter(cluster.exists, times), _warn)
    keepings = {topic: Keeping.of(topic, config) for topic, config in configs.items()}
    for topic, keeping in keepings.items():
        for text in check_resubmitted(keeping, times[topic], time.time_ns() // 1_000_000, servers):
            _warn(text)
    checked = list(obstacles(letters, to, allowed, cluster.count, keepings))
    _warn_lines([f"{letter.place}: {obstacle}" for letter, obstacle in checked if obstacle])
    return [letter for letter, obstacle in checked if not obstacle]


def _transactional_id(topic: str) -> str:
    """Of whoever re-submits letters of this topic: at most one at a time."""
    return f"stream-scorer.dead-letters.{topic}"


def _rights(settings: DeadLetterSettings, args: argparse.Namespace) -> list[Right]:
    topic = settings.topic()
    targets = [args.to] if getattr(args, "to", None) else [*getattr(args, "allow", []), settings.source()]
    receipts = receipts_topic(topic)
    return dead_letter_rights(args.verb, topic, receipts, _transactional_id(topic), filter(None, targets))


def _warn_lines(lines: list[str]) -> None:
    for line in lines[:SHOWN_LINES]:
        _warn(line)
    if len(lines) > SHOWN_LINES:
        _warn(f"and {len(lines) - SHOWN_LINES:,} more")


def _warn(text: str) -> None:
    say(f"stream-scorer dead-letters: {one_line(text)}", file=sys.stderr)


def _topic_id(settings: DeadLetterSettings) -> str:
    from stream_scorer.kafka import config as kafka_config
    from stream_scorer.kafka.topic_ids import TopicIds

    return TopicIds(kafka_config.common(settings.bootstrap_servers, settings.kafka)).look_up(settings.topic())


def _was_resubmitted(cluster: Cluster, settings: DeadLetterSettings) -> Callable[[DeadLetter], bool]:
    """A function: was this letter re-submitted to the topic it came from?"""
    from stream_scorer.kafka import config as kafka_config
    from stream_scorer.kafka.resubmit import read_receipts, receipt_key

    receipts_on = receipts_topic(settings.topic())
    if not cluster.exists(receipts_on):
        if cluster.hidden(receipts_on):
            _warn(
                f"whether letters were re-submitted is not known: {cluster.lacks_text([Right(READ, TOPIC, receipts_on)])}."
            )
        return lambda _: False
    reader = kafka_config.consumer(settings.bootstrap_servers, "dead-letters", settings.kafka)
    receipts, topic_id = read_receipts(reader, receipts_on), _topic_id(settings)
    return lambda letter: receipt_key(topic_id, letter, letter.facts.get("topic", "")) in receipts


def _list(letters: list[DeadLetter], resubmitted: Callable[[DeadLetter], bool]) -> int:
    again = 0
    for letter in letters:
        headers = letter.facts
        done = resubmitted(letter)
        again += done
        say(
            f"{letter.place:>10}  {_shown(letter.source)}  {_shown(headers.get('stage', '?')):7}  "
            f"{_shown(headers.get('exception', '?'))}: {_shown(headers.get('message', '').partition(chr(10))[0])}"
            f"{'  (re-submitted)' if done else ''}"
        )
    say(f"{len(letters):,} dead letters" + (f", {again:,} of them re-submitted" if again else ""))
    return 0


def _shown(text: str) -> str:
    """A header of a dead letter, whoever wrote it, as a part of a line of the list."""
    return one_line(text, SHOWN_CHARACTERS)


def _show(letter: DeadLetter) -> None:
    record = letter.record
    incomplete = one_line(letter.incomplete or "")
    say(f"{letter.place} from {one_line(letter.source)}" + (f": {incomplete}" if incomplete else ""))
    value = "null" if record.value is None else f"{len(record.value)} bytes: {record.value[:SHOWN_BYTES].hex(' ')}"
    for name, text in (
        ("key", "null" if (key := letter.original_key()) is None else repr(key)[1:]),
        ("timestamp", str(letter.original_timestamp())),
        ("value", value),
        *((name, str(header)) for name, header in letter.original_headers()),
        *letter.facts.items(),
    ):
        say(f"  {one_line(name):<10} {lines(text.rstrip(), ' ' * 13)}")
    say()
