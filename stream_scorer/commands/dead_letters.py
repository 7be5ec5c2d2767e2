"""stream-scorer dead-letters"""

from __future__ import annotations

import argparse
import sys
import time
import uuid
from typing import TYPE_CHECKING

from stream_scorer.arguments import whole
from stream_scorer.commands.kafka_flags import DeadLetterSettings, add_kafka_flags, load_kafka
from stream_scorer.errors import SettingsError

if TYPE_CHECKING:
    from stream_scorer.transports.kafka_admin import Cluster
    from stream_scorer.transports.kafka_dead_letters import DeadLetter

SHOWN = 200
"""Characters or bytes of a value that `show` prints."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="list|show|resubmit")
    for verb, text in (
        ("list", "a line for each: place, where it came from, step and reason"),
        ("show", "all that is known of some"),
        ("resubmit", "send some again to the topic they came from, once the cause is mended"),
    ):
        one = verbs.add_parser(verb, help=text, description=text[0].upper() + text[1:] + ".")
        add_kafka_flags(one, DeadLetterSettings)
        text = "the same as --dead-letter-topic"
        one.add_argument("--topic", dest="dead_letter_topic", metavar="T", default=argparse.SUPPRESS, help=text)
        if verb == "list":
            one.add_argument("--last", type=whole(1), metavar="N", help="the last N only")
        else:
            one.add_argument("places", nargs="*", metavar="PARTITION@OFFSET", help="as `list` tells them")
        if verb == "resubmit":
            one.add_argument("--all", action="store_true", help="every one there is")
            one.add_argument("--to", metavar="TOPIC", help="another topic than the one they came from")


def run(args: argparse.Namespace) -> int:
    settings = load_kafka(DeadLetterSettings, args)
    topic = settings.topic()
    if args.verb != "list" and not args.places and not getattr(args, "all", False):
        more = ", or --all" if args.verb == "resubmit" else ""
        raise SettingsError(
            f"dead-letters {args.verb} needs PARTITION@OFFSET, as `dead-letters list` tells them{more}."
        )
    from stream_scorer import logs
    from stream_scorer.transports import kafka_config
    from stream_scorer.transports.kafka_admin import Cluster
    from stream_scorer.transports.kafka_dead_letters import chosen, read_dead_letters, resubmit

    logs.set_up("ERROR")
    servers, extra = settings.bootstrap_servers, settings.kafka
    kafka_config.check_extra(extra, transactional=args.verb == "resubmit")
    cluster = Cluster(kafka_config.common(servers, extra))
    cluster.partitions(topic, "--dead-letter-topic")
    letters = read_dead_letters(kafka_config.consumer(servers, "dead-letters", extra), topic)
    if args.verb == "list":
        return _list(list(letters)[-args.last :] if args.last else list(letters))
    found = list(letters) if getattr(args, "all", False) else chosen(letters, args.places)
    if args.verb == "show":
        for letter in found:
            _show(letter)
        return 0
    _tell_of_retention(cluster, found, args.to, servers)
    name = f"stream-scorer.dead-letters.{uuid.uuid4().hex[:8]}"
    count = resubmit(kafka_config.transactional_producer(servers, name, extra), found, args.to)
    print(f"{count:,} re-submitted to {args.to or 'where they came from'}; they stay on {topic} as well")
    return 0


def _tell_of_retention(cluster: Cluster, letters: list[DeadLetter], to: str | None, servers: str) -> None:
    from stream_scorer.transports.kafka_retention import Keeping, check_resubmitted

    def tell(text: str) -> None:
        print(f"stream-scorer dead-letters: {text}", file=sys.stderr)

    times: dict[str, list[int]] = {}
    for letter in letters:
        if (topic := to or letter.told.get("topic")) and letter.record.timestamp is not None:
            times.setdefault(topic, []).append(letter.record.timestamp)
    for topic, config in cluster.configs(filter(cluster.exists, times), tell).items():
        now_ms = time.time_ns() // 1_000_000
        for text in check_resubmitted(Keeping.of(topic, config), times[topic], now_ms, servers):
            tell(text)


def _list(letters: list[DeadLetter]) -> int:
    for letter in letters:
        told = letter.told
        message = told.get("message", "").splitlines()[:1] or [""]
        print(
            f"{letter.place:>10}  {letter.source}  {told.get('stage', '?'):7}  {told.get('exception', '?')}: {message[0][:100]}"
        )
    print(f"{len(letters):,} dead letters")
    return 0


def _show(letter: DeadLetter) -> None:
    record = letter.record
    print(f"{letter.place} from {letter.source}" + (f": {letter.incomplete}" if letter.incomplete else ""))
    value = "null" if record.value is None else f"{len(record.value)} bytes: {record.value[:SHOWN].hex(' ')}"
    for name, text in (
        ("key", "null" if (key := letter.original_key()) is None else repr(key)[1:]),
        ("timestamp", str(letter.original_timestamp())),
        ("value", value),
        *((name, str(header)) for name, header in letter.original_headers()),
        *letter.told.items(),
    ):
        print(f"  {name:<10} " + text.rstrip().replace("\n", "\n" + " " * 13))
    print()
