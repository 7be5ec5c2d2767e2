"""The composition root of `stream-scorer demo`: one process with an embedded broker, a producer and the service.

`run` starts the broker, sends prices to a topic, runs the service until the end of that topic, reads the scores, and stops
the broker.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from stream_scorer.codec import codec_for
from stream_scorer.codec.schema import make_schema
from stream_scorer.errors import EXIT_INTERRUPTED
from stream_scorer.kafka import config as kafka_config
from stream_scorer.kafka.embedded import embedded_broker
from stream_scorer.kafka.reader import read_topic
from stream_scorer.kafka.replay import Replayer
from stream_scorer.kafka.replay_rows import rows_of
from stream_scorer.service.app import serve
from stream_scorer.service.settings import RunSettings

if TYPE_CHECKING:
    import pandas as pd

MODEL = "tf_sp500_lstm"
PRICES, SCORES = "prices", "scores"


class Forecasts(NamedTuple):
    """The result of the demo: numbers of records, and the forecasts by the index of the input after which they were made."""

    prices_in: int
    scores_out: int
    values: dict[int, float]


def run(adjusted: pd.Series) -> Forecasts:
    """Send adjusted closes, indexed by date, through the service on an embedded broker.

    Blocks for seconds, as TensorFlow loads. Raises StreamScorerError, and KeyboardInterrupt after SIGINT.
    """
    codec = codec_for("avro-binary", make_schema("double", "double"))
    with embedded_broker(PRICES, SCORES) as servers:
        replayer = Replayer(kafka_config.producer(servers, {}), PRICES, codec, b"SP500")
        sent = replayer.send(rows_of(adjusted), None, lambda _: None)
        code = serve(
            MODEL,
            RunSettings(
                bootstrap_servers=servers,
                input_topic=PRICES,
                output_topic=SCORES,
                group="demo",
                until_end=True,
                changelog=False,  # the embedded broker has no compacted topics, and nothing outlasts the demo
                on_bad_record="fail",
            ),
        )
        if code == EXIT_INTERRUPTED:
            raise KeyboardInterrupt
        scores = list(read_topic(kafka_config.consumer(servers, "reader", {}), SCORES))
    values = {_offset(score.headers): codec.decode(score.value) for score in scores}
    return Forecasts(sent, len(scores), values)


def _offset(headers: Sequence[tuple[str, str | bytes | None]] | None) -> int:
    """Return the offset of a score's input, from the header `scorer-source`: topic/partition/offset."""
    source = dict(headers or ())["scorer-source"]
    assert isinstance(source, bytes)
    return int(source.rsplit(b"/", 1)[1])


def table(dates: Sequence[str], observed: Sequence[float], forecast: Sequence[float | None], last: int) -> str:
    """Return the last `last` forecasts as lines of text, with the closes of the day forecast and of the day before.

    All values are in index points. forecast: of the same days as `dates` and `observed`; None: there is none.
    """
    lines = [f"  {'for':10}  {'forecast':>10}  {'happened':>10}  {'error':>8}  {'day before':>10}"]
    for at in range(max(1, len(dates) - last), len(dates)):
        made = forecast[at]
        if made is not None:
            error = made - observed[at]
            lines.append(
                f"  {dates[at]:10}  {made:10.2f}  {observed[at]:10.2f}  {error:+8.2f}  {observed[at - 1]:10.2f}"
            )
    return "\n".join(lines)


def picture_path(folder: Path) -> Path:
    """Return the file that the demo's plot is written to."""
    return folder / "demo-forecasts.png"
