"""stream-scorer replay"""

from __future__ import annotations

import argparse
import itertools
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stream_scorer.commands.kafka_flags import add_kafka_flags, load_kafka
from stream_scorer.commands.model_flags import add_trust_flags, trust_of
from stream_scorer.commands.show_acls import add_show_acls, replay_rights, show_acls
from stream_scorer.errors import SettingsError
from stream_scorer.kafka.replay_rows import Row, read_rows, rows_of
from stream_scorer.parsing.retention import FOREVER, retention_ms, topic_config
from stream_scorer.parsing.times import timestamp_ms
from stream_scorer.records import TOPIC_ENCODINGS
from stream_scorer.safe_text import one_line, say
from stream_scorer.settings.arguments import number, whole_number
from stream_scorer.settings.kafka import KafkaSettings

if TYPE_CHECKING:
    import pandas as pd

    from stream_scorer.codec.schema import Schema
    from stream_scorer.kafka.admin import Cluster
    from stream_scorer.kafka.replay import Replayer
    from stream_scorer.kafka.rights import Right

SYNTHETIC = "synthetic"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    _add_records(parser)
    _add_values(parser)
    add_show_acls(parser)
    add_kafka_flags(parser, KafkaSettings)
    _add_new_topic(parser)


def _add_records(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "file",
        metavar="FILE",
        help="CSV of prices; or `synthetic`: 1,000 random prices, or as many as --limit says (the flagship knows no prices "
        "as high as those after the first 4,000)",
    )
    parser.add_argument("--topic", required=True, metavar="TOPIC", help="topic to publish to")
    parser.add_argument("--column", default="Close", metavar="NAME", help="column of values (default: Close)")
    parser.add_argument("--date-column", default="Date", metavar="NAME", help="column of dates (default: Date)")
    parser.add_argument("--key", metavar="SYM", help="key of every record (default: none)")
    parser.add_argument("--limit", type=whole_number(1), metavar="N", help="publish the first N rows only")
    parser.add_argument(
        "--timestamps",
        default="event",
        choices=("event", "now"),
        help="time of a record: the date of its row (event), or the time of sending (now) (default: event)",
    )
    parser.add_argument(
        "--rate", type=number(0, open_ends=True), metavar="N", help="records per second (default: no limit)"
    )


def _add_values(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--adjusted",
        action="store_true",
        help="publish prices / CPI minus their trend, which is what tf_sp500_lstm takes; needs --cpi",
    )
    parser.add_argument("--cpi", type=Path, metavar="CSV", help="CPI for --adjusted: columns DATE and CPIAUCSL")
    parser.add_argument(
        "--for",
        dest="model",
        metavar="MODEL",
        help="publish records of this model's input schema, with the date, close, symbol (--key) and other columns of FILE",
    )
    add_trust_flags(parser)
    parser.add_argument(
        "--encoding",
        default="avro-binary",
        choices=TOPIC_ENCODINGS,
        help="encoding of values (default: avro-binary)",
    )
    parser.add_argument(
        "--framing",
        default="none",
        choices=("none", "registry"),
        help="registry: values begin with the schema registry's five bytes (default: none)",
    )
    parser.add_argument("--schema-id", type=whole_number(0), metavar="N", help="schema id for --framing registry")


def _add_new_topic(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--create-topic", action="store_true", help="create the topic if it does not exist")
    parser.add_argument(
        "--partitions", type=whole_number(1), default=1, metavar="N", help="partitions of a new topic (default: 1)"
    )
    parser.add_argument(
        "--replication-factor",
        type=whole_number(-1, 32_767),
        default=-1,
        metavar="N",
        help="replication factor of a new topic (default: the broker's)",
    )
    parser.add_argument(
        "--retention",
        metavar="SPAN",
        help="how long a new topic keeps records, by record time: forever, or 7d, 12h, 30m (default: forever)",
    )


def run(args: argparse.Namespace) -> int:
    settings = load_kafka(KafkaSettings, args)
    kept_ms = _check(args)
    if args.show_acls:
        return show_acls(_rights(args), settings)
    from stream_scorer.codec.schema import make_schema
    from stream_scorer.commands.model_schema import schema_of

    schema = schema_of(args.model, 0, trust_of(args)) if args.model else make_schema("double", "double")
    rows = list(itertools.islice(_records(args, schema) if args.model else _rows(args), args.limit))
    from stream_scorer.codec import codec_for
    from stream_scorer.kafka import config as kafka_config
    from stream_scorer.kafka.replay import Replayer
    from stream_scorer.system import logs

    logs.set_up("ERROR")
    kafka_config.check_extra(settings.kafka)
    codec = codec_for(args.encoding, schema, framing=args.framing, schema_id=args.schema_id)
    cluster = _prepare_topic(args, rows, lambda: sum(len(codec.encode(row.value)) for row in rows), kept_ms, settings)
    replayer = Replayer(
        kafka_config.producer(settings.bootstrap_servers, settings.kafka),
        args.topic,
        codec,
        _key(args),
        dated=args.timestamps == "event",
    )
    started = time.monotonic()
    with cluster.explaining():
        count = _send(replayer, rows, args)
    seconds = time.monotonic() - started
    say(f"{count:,} records to {one_line(args.topic)} in {seconds:.1f} s, {count / max(seconds, 1e-9):,.0f} records/s")
    return 0


def _rights(args: argparse.Namespace) -> list[Right]:
    return replay_rights(args.topic, creates=args.create_topic)


def _check(args: argparse.Namespace) -> int:
    """The retention of a new topic, ms. Raises SettingsError if flags contradict each other."""
    if args.framing == "registry" and args.schema_id is None:
        raise SettingsError("--framing registry needs --schema-id N.")
    if args.model and args.adjusted:
        raise SettingsError(
            "--adjusted publishes numbers, --for MODEL records of the model's schema. Give one of the two."
        )
    if args.retention is not None and not args.create_topic:
        raise SettingsError("--retention needs --create-topic: it is the retention of a new topic.")
    return retention_ms(args.retention or FOREVER)


def _key(args: argparse.Namespace) -> bytes | None:
    return args.key.encode() if args.key else None


def _prepare_topic(
    args: argparse.Namespace, rows: list[Row], size: Callable[[], int], kept_ms: int, settings: KafkaSettings
) -> Cluster:
    """Create the topic if asked to, and check that it takes the rows and keeps them. Raises BrokerError if not.

    size: gives the bytes of all values. kept_ms: retention of a new topic.
    """
    from stream_scorer.kafka import config as kafka_config
    from stream_scorer.kafka.admin import Cluster
    from stream_scorer.kafka.retention import Keeping, check_replay, remarks

    cluster = Cluster(kafka_config.common(settings.bootstrap_servers, settings.kafka), _rights(args))
    stamps = [row.timestamp for row in rows] if args.timestamps == "event" else None

    def check(keeping: Keeping) -> None:
        now_ms = time.time_ns() // 1_000_000
        check_replay(keeping, stamps, _key(args), len(rows), now_ms, settings.bootstrap_servers)

    if args.create_topic and not cluster.exists(args.topic):
        check(Keeping(args.topic, kept_ms))
        cluster.create(args.topic, args.partitions, args.replication_factor, topic_config(kept_ms))
    cluster.partitions(args.topic, "--topic", maker="--create-topic")
    cluster.check_rights()
    for config in cluster.configs([args.topic], _warn).values():
        keeping = Keeping.of(args.topic, config)
        check(keeping)
        for remark in remarks(keeping, size) if stamps else ():
            _warn(remark)
    return cluster


def _warn(text: str) -> None:
    say(f"stream-scorer replay: {one_line(text)}", file=sys.stderr)


def _send(replayer: Replayer, rows: list[Row], args: argparse.Namespace) -> int:
    """Send all rows, with a progress bar on stderr. Returns their number."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn(f"replay to {args.topic}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[speed]}"),
        TimeRemainingColumn(),
    )
    started = time.monotonic()
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task("replay", total=len(rows), speed="")

        def on_sent(count: int) -> None:
            if count % 256 == 0 or args.rate is not None:
                progress.update(task, completed=count, speed=f"{count / (time.monotonic() - started):,.0f}/s")

        count = replayer.send(rows, args.rate, on_sent)
        progress.update(task, completed=count)
    return count


def _records(args: argparse.Namespace, schema: Schema) -> Iterator[Row]:
    from stream_scorer.prices.feed import inputs
    from stream_scorer.prices.history import Prices, read_prices

    path = Path(args.file)
    if args.file == SYNTHETIC:
        prices = Prices.of(_pipeline()[0].synthetic_prices(args.limit or 1000)[0], path)
    else:
        prices = read_prices(path, args.column, args.date_column)
    values = inputs(schema, prices, args.key or path.stem, None)
    return (Row(timestamp_ms(date.isoformat()), value) for date, value in zip(prices.dates, values, strict=True))


def _rows(args: argparse.Namespace) -> Iterator[Row]:
    if not args.adjusted and args.file != SYNTHETIC:
        return read_rows(Path(args.file), args.column, args.date_column)
    return _pipeline_rows(args)


def _pipeline() -> tuple[Any, Any, Any]:
    try:
        from stream_scorer_training import data, prepare, shipped
    except ImportError as error:
        raise SettingsError(
            f"--adjusted and synthetic prices need {error.name}: pip install 'stream-scorer[adjust]'"
        ) from error
    return data, prepare, shipped


def _pipeline_rows(args: argparse.Namespace) -> Iterator[Row]:
    data, prepare, shipped = _pipeline()
    cpi: pd.Series
    if args.file == SYNTHETIC:
        prices, cpi = data.synthetic_prices(args.limit or 1000)
    else:
        prices = data.read_prices(Path(args.file), args.column, args.date_column)
        if args.cpi is None:
            raise SettingsError("--adjusted needs --cpi CSV: prices are divided by the consumer price index.")
    if args.cpi is not None:
        cpi = data.read_cpi(args.cpi)
    values = prepare.adjust(prices, cpi, shipped.shipped_trend()) if args.adjusted else prices
    return rows_of(values)
