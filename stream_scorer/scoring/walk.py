"""Scores a history of prices in order with the service's scorer, for a backtest."""

from __future__ import annotations

import dataclasses
import datetime
import itertools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stream_scorer.errors import SettingsError
from stream_scorer.evaluate.accuracy import Forecast
from stream_scorer.evaluate.judge import finite
from stream_scorer.model.locate import locate
from stream_scorer.model.trust import CHECKED, Trust
from stream_scorer.parsing.times import DAY_MS, EPOCH, moment_ms
from stream_scorer.prices.adjust import LAG_DAYS, Adjustment, adjustment
from stream_scorer.prices.feed import inputs
from stream_scorer.prices.history import Prices
from stream_scorer.records import Outgoing, Partition, Record
from stream_scorer.scoring.hosting import host_model

BATCH = 1024
FIELDS = ("close", "forecast", "prediction", "price", "value", "score")


@dataclass(frozen=True)
class Walk:
    """A scored history.

    model, sha256: of the module.
    inputs, scores: JSON values, as `stream-scorer score` reads and writes them, without line ends.
    forecasts: in the order of the rows that they were made on, at most one per row; in index points.
    rejects: a line of text for each rejected record, which begins with its date.
    """

    model: str
    sha256: str
    inputs: list[bytes]
    scores: list[bytes]
    forecasts: list[Forecast]
    rejects: list[str]


def walk(
    model: str,
    prices: Prices,
    *,
    attachment: Path | None = None,
    schemas: Mapping[str, Path] | None = None,
    symbol: str = "SP500",
    cpi: Path | None = None,
    lag_days: int = LAG_DAYS,
    field: str | None = None,
    trust: Trust = CHECKED,
) -> Walk:
    """Score every row of a history in order. Blocks until all rows are scored.

    Args:
        model, attachment, trust: as in `locate`. schemas: absolute paths of Avro schemas by name.
        symbol: put into each input record, and the key of the records.
        cpi: file of the consumer price index, which adjusts the model's inputs; its forecasts are converted back.
        lag_days: days from the end of a month until its CPI figure is used.
        field: field of the output records that holds the forecast; None: the first of FIELDS with a number.
    Raises:
        SettingsError: the files cannot be used, or no output is a forecast. ModelError: the model fails.
    """
    located = locate(model, attachment, trust)
    adjusted = adjustment(located, cpi, lag_days) if cpi else None
    with host_model(located, schemas or {}) as hosted:
        values = inputs(hosted.schemas.get(0), prices, symbol, adjusted)
        module = hosted.module
        lines = [json.dumps(value).encode() for value in values]
        partition, key = Partition(prices.path.name, 0), symbol.encode()
        records = [Record(partition, offset, key, line, None, None) for offset, line in enumerate(lines)]
        scored = hosted.wire_json().score(records, itertools.repeat(BATCH))
        outs = [result for result in scored if isinstance(result, Outgoing)]
        rejects = [
            f"{prices.dates[result.source.offset]}: {result.message}"
            for result in scored
            if not isinstance(result, Outgoing)
        ]
        scores = [out.value or b"null" for out in outs]
        forecasts = _forecasts(outs, prices, adjusted, field)
        return Walk(module.name, module.sha256, lines, scores, forecasts, rejects)


def _forecasts(outs: list[Outgoing], prices: Prices, adjusted: Adjustment | None, field: str | None) -> list[Forecast]:
    """Return for each row the first output of slot 1 that is a forecast.

    Raises SettingsError: there are outputs, but none of them is a forecast.
    """
    rows = {date.isoformat(): at for at, date in enumerate(prices.dates)}
    forecasts: dict[int, Forecast] = {}
    for out in outs:
        made = out.source.offset
        if out.slot != 1 or made in forecasts:
            continue
        forecast = _forecast(json.loads(out.value or b"null"), made, rows, prices, field)
        if forecast is not None:
            forecasts[made] = _restored(forecast, prices, adjusted) if adjusted else forecast
    if outs and not forecasts:
        shown = (outs[0].value or b"null").decode()[:120]
        raise SettingsError(
            f"none of the {len(outs)} outputs is a number or a record with one; the first is {shown}. "
            "Name the field that holds the forecast by --forecast-field."
        )
    return list(forecasts.values())


def _forecast(value: Any, made: int, rows: Mapping[str, int], prices: Prices, field: str | None) -> Forecast | None:
    """Return the forecast in an output, or None. made: index of the row it was made on. rows: indices by ISO date."""
    following = made + 1 if made + 1 < len(prices) else None
    day = None if following is None else prices.dates[following].isoformat()
    if not isinstance(value, dict):
        number = finite(value)
        return None if number is None else Forecast(made, following, day, number)
    name = field or next((name for name in FIELDS if finite(value.get(name)) is not None), None)
    number = finite(value.get(name)) if name else None
    if number is None:
        return None
    date, target = _day(value.get("date")), following
    if (
        date is not None and date > prices.dates[made].isoformat()
    ):  # otherwise it is the day on which the forecast was made
        target = rows.get(date)
    else:
        date = day
    low, high, level = (finite(value.get(name)) for name in ("low", "high", "level"))
    if low is None or high is None:
        low = high = None
    return Forecast(made, target, date, number, low, high, level)


def _restored(forecast: Forecast, prices: Prices, adjusted: Adjustment) -> Forecast:
    """Return the forecast in index points. The last one's day has no row; it is taken to be the next weekday."""
    made = prices.dates[forecast.made]
    if forecast.target is not None:
        target = prices.dates[forecast.target]
    else:
        target = made + datetime.timedelta(days=3 if made.weekday() == 4 else 1)
    value, low, high = (
        None if number is None else adjusted.restore(made, target, number)
        for number in (forecast.value, forecast.low, forecast.high)
    )
    assert value is not None
    return dataclasses.replace(forecast, value=value, low=low, high=high)


def _day(value: Any) -> str | None:
    """Return a field's date or time as an ISO date; None if it is neither."""
    moment = moment_ms(value)
    if moment is None or not 0 < (day := EPOCH + moment // DAY_MS) <= datetime.date.max.toordinal():
        return None
    return datetime.date.fromordinal(day).isoformat()
