"""stream-scorer tail"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from stream_scorer.commands.kafka_flags import TailSettings, add_kafka_flags, load_kafka
from stream_scorer.commands.model_flags import add_trust_flags, trust_of
from stream_scorer.commands.show_acls import add_show_acls, show_acls, tail_rights
from stream_scorer.errors import DecodeError, SettingsError
from stream_scorer.parsing.times import start_ms
from stream_scorer.safe_text import one_line, say
from stream_scorer.settings.arguments import whole_number

if TYPE_CHECKING:
    from stream_scorer.codec.schema import Schema
    from stream_scorer.commands.tail_view import View
    from stream_scorer.evaluate.tail import Tail
    from stream_scorer.kafka.follow import Follower


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--from",
        dest="start",
        default="latest",
        metavar="earliest|latest|TIME",
        help="where to start reading: earliest, latest, or an ISO 8601 time or ms since 1970 (default: latest)",
    )
    parser.add_argument("--limit", type=whole_number(1), metavar="N", help="exit after N evaluations")
    parser.add_argument("--until-end", action="store_true", help="exit where the topics end now")
    parser.add_argument("--json", action="store_true", help="print one JSON object a line")
    parser.add_argument("--field", default="", metavar="NAME", help="field of scores with the forecast")
    schema = parser.add_mutually_exclusive_group()
    schema.add_argument(
        "--for", dest="model", metavar="MODEL", help="the model that wrote the scores, for its output schema"
    )
    schema.add_argument(
        "--schema", type=Path, metavar="FILE", help="Avro schema file of the scores, if there is no model file"
    )
    add_trust_flags(parser)
    add_show_acls(parser)
    add_kafka_flags(parser, TailSettings)


def run(args: argparse.Namespace) -> int:
    settings = load_kafka(TailSettings, args)
    scores, evaluations = settings.scores(), settings.evaluations()
    rights = tail_rights(evaluations, scores)
    if args.show_acls:
        return show_acls(rights, settings)
    _check_start(args.start)
    schema = _schema(args.model, args.schema, args)
    from stream_scorer.codec.evaluations import AnyEvaluation
    from stream_scorer.commands.tail_view import view
    from stream_scorer.evaluate.tail import Tail
    from stream_scorer.kafka import config as kafka_config
    from stream_scorer.kafka.admin import Cluster
    from stream_scorer.kafka.follow import Follower
    from stream_scorer.system import logs

    logs.set_up("ERROR")
    servers, extra = settings.bootstrap_servers, settings.kafka
    kafka_config.check_extra(extra)
    cluster = Cluster(kafka_config.common(servers, extra), rights)
    cluster.partitions(evaluations, "--evaluation-topic")
    if scores:
        cluster.partitions(scores, "--output-topic")
    cluster.check_rights()
    tail = Tail(AnyEvaluation().decode, _forecasts(args.field, schema))
    topics = {evaluations: args.start} | ({scores: args.start} if scores else {})
    # librdkafka needs a group name, but no group is joined: the service loses no partitions.
    properties = kafka_config.consumer(servers, "stream-scorer-tail", extra)
    with (
        cluster.explaining(),
        contextlib.closing(Follower(properties, topics)) as follower,
        view(tail, evaluations, as_json=args.json) as output,
    ):
        _follow(follower, tail, evaluations, output, args.limit, until_end=args.until_end)
    if tail.skipped:
        more = ""
        if scores and args.model is None and args.schema is None:
            more = " Scores that are Avro records need --for MODEL (or --schema FILE) and --field NAME."
        problem = one_line(tail.problem)
        say(f"stream-scorer tail: {tail.skipped:,} records skipped. {problem}{more}", file=sys.stderr)
    return 0


def _follow(
    follower: Follower, tail: Tail, evaluations: str, output: View, limit: int | None, *, until_end: bool
) -> None:
    for records in follower.records(until_end=until_end):
        for record in records:
            if record.partition.topic != evaluations:
                tail.add_score(record)
            elif (row := tail.add_evaluation(record)) is not None:
                output.add(row)
                if tail.judged == limit:
                    return
        output.refresh(changed=bool(records))


def _check_start(start: str) -> None:
    if start not in ("earliest", "latest"):
        try:
            start_ms(start)
        except ValueError:
            raise SettingsError(
                f"--from {start!r} is not earliest, latest, a date or time such as 2024-02-29T14:30, or ms since 1970."
            ) from None


def _schema(model: str | None, file: Path | None, args: argparse.Namespace) -> Schema:
    from stream_scorer.codec.schema import make_schema
    from stream_scorer.codec.schema_rules import checked_schema
    from stream_scorer.commands.model_schema import schema_of

    if model is not None:
        return schema_of(model, 1, trust_of(args))
    if file is None:
        return make_schema("score", "double")
    try:
        return checked_schema("score", json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, RecursionError) as error:
        raise SettingsError(f"--schema {file}: cannot be read as a JSON schema ({error}).") from error


def _forecasts(field: str, schema: Schema) -> Callable[[bytes | None], float | None]:
    """A function that reads a score as a number, or None: JSON, the Avro schema, or the same behind a registry's bytes."""
    from stream_scorer.codec import codec_for
    from stream_scorer.codec.evaluations import FRAME
    from stream_scorer.codec.logical_fields import meaning_of
    from stream_scorer.evaluate.judge import finite

    avro = codec_for("avro-binary", schema)
    text = codec_for("json", None)
    meaning = meaning_of(schema) or (lambda _, value: value)

    def forecast(value: bytes | None) -> float | None:
        score = None
        for codec, data in ((text, value), (avro, value), (avro, value[FRAME:] if value else None)):
            try:
                score = codec.decode(data)
                break
            except DecodeError as error:
                problem = error
        else:
            raise problem
        return finite(meaning(field, score.get(field)) if isinstance(score, dict) else meaning("", score))

    return forecast
