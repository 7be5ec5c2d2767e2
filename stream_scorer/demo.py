"""The main job in one process: prices onto a topic, scores off another, forecasts beside what then happened."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from confluent_kafka import Consumer, Producer, TopicPartition

from stream_scorer.app import serve
from stream_scorer.errors import BrokerError
from stream_scorer.settings import RunSettings
from stream_scorer.transports.kafka_config import librdkafka_log
from stream_scorer.transports.kafka_embedded import embedded_broker

if TYPE_CHECKING:
    import pandas as pd

MODEL = "tf_sp500_lstm"
PRICES, SCORES = "prices", "scores"


class Forecasts(NamedTuple):
    """Adjusted values by date: what came in, and the forecast made for the next date from it."""

    prices_in: int
    scores_out: int
    values: dict[int, float]


def run(adjusted: pd.Series) -> Forecasts:
    """Send adjusted values (index: dates) through the service on an embedded broker; `values` is by input offset."""
    with embedded_broker(PRICES, SCORES) as servers:
        _send(servers, adjusted)
        serve(
            MODEL,
            RunSettings(
                bootstrap_servers=servers,
                input_topic=PRICES,
                output_topic=SCORES,
                group="demo",
                until_end=True,
                changelog=False,  # the embedded broker has no compacted topics, and the demo no tomorrow
                on_bad_record="fail",
            ),
        )
        return _receive(servers, len(adjusted))


def _send(servers: str, adjusted: pd.Series) -> None:
    producer = Producer({"bootstrap.servers": servers}, logger=librdkafka_log)
    for date, value in adjusted.items():
        producer.produce(
            PRICES, struct.pack("<d", value), b"SP500", partition=0, timestamp=int(date.timestamp() * 1000)
        )
    if producer.flush(30):
        raise BrokerError("the embedded broker did not take the prices")


def _receive(servers: str, prices: int) -> Forecasts:
    consumer = Consumer(
        {"bootstrap.servers": servers, "group.id": "reader", "enable.partition.eof": True}, logger=librdkafka_log
    )
    consumer.assign([TopicPartition(SCORES, 0, 0)])
    values: dict[int, float] = {}
    count = 0
    try:
        while (message := consumer.poll(10)) is not None and message.error() is None:
            source = dict(message.headers() or [])["scorer-source"]
            assert source is not None
            values[int(source.rsplit(b"/", 1)[1])] = struct.unpack("<d", message.value() or b"")[0]
            count += 1
    finally:
        consumer.close()
    return Forecasts(prices, count, values)


def table(dates: Sequence[str], observed: Sequence[float], forecast: Sequence[float | None], last: int) -> str:
    """The last forecasts beside the closes of the days they were for."""
    lines = [f"  {'for':10}  {'forecast':>10}  {'happened':>10}  {'error':>8}  {'day before':>10}"]
    for at in range(len(dates) - last, len(dates)):
        made = forecast[at]
        if made is not None:
            lines.append(
                f"  {dates[at]:10}  {made:10.2f}  {observed[at]:10.2f}  {made - observed[at]:+8.2f}  {observed[at - 1]:10.2f}"
            )
    return "\n".join(lines)


def picture_path(folder: Path) -> Path:
    return folder / "demo-forecasts.png"
