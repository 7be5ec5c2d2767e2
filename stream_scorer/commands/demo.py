"""stream-scorer demo"""

from __future__ import annotations

import argparse
import math
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from stream_scorer.errors import SettingsError
from stream_scorer.safe_text import say
from stream_scorer.settings.arguments import whole_number, writable_folder

if TYPE_CHECKING:
    import pandas as pd


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--prices", type=Path, metavar="CSV", help="prices: columns Date and Close (default: synthetic prices)"
    )
    parser.add_argument(
        "--cpi", type=Path, metavar="CSV", help="CPI: columns DATE and CPIAUCSL (default: steady inflation)"
    )
    parser.add_argument(
        "--days",
        type=whole_number(31, 50_000),
        default=1000,
        metavar="N",
        help="number of prices; of a file the last N (default: 1000)",
    )
    parser.add_argument(
        "--out",
        type=writable_folder,
        default=".",
        metavar="DIR",
        help="folder for the picture (default: the current directory)",
    )
    parser.add_argument(
        "--show",
        type=whole_number(0),
        default=10,
        metavar="N",
        help="number of forecasts to print, the last N (default: 10)",
    )


def run(args: argparse.Namespace) -> int:
    try:
        from stream_scorer_training import plots, prepare, shipped
    except ImportError as error:
        raise SettingsError(f"the demo needs {error.name}: pip install 'stream-scorer[demo]'") from error
    from stream_scorer.programs import demo
    from stream_scorer.system import logs

    logs.set_up("WARNING")
    say("stream-scorer demo: prices -> topic -> LSTM -> topic")
    say("  The broker is embedded: a stand-in in memory that speaks Kafka's protocol. It shows the path, not")
    say("  the guarantees; those are tested on a real Kafka (make test).")
    series = _series(args)
    say(f"  Prices: {series.origin}.")
    say(f"  CPI: {series.cpi_origin}.")
    trend = shipped.shipped_trend()
    adjusted = prepare.adjust(series.prices, series.cpi, trend).iloc[-args.days :]
    if len(adjusted) < 31:
        raise SettingsError(
            f"{len(adjusted)} prices with a CPI, and the model needs 30 before its first forecast. Give more prices."
        )
    started = time.perf_counter()
    result = demo.run(adjusted)
    seconds = time.perf_counter() - started
    observed = series.prices.reindex(adjusted.index)
    targets = adjusted.index[1:]
    values = [result.values.get(offset, math.nan) for offset in range(len(adjusted) - 1)]
    forecast = prepare.unadjust(values, targets, series.cpi, trend)
    say(
        f"\n{result.prices_in:,} prices in, {result.scores_out:,} scores out, {seconds:.1f} s with the model's start.\n"
    )
    say("Forecasts in index points, beside the close of the day each was for:")
    shown = [None if math.isnan(value) else float(value) for value in [math.nan, *forecast]]
    say(demo.table([str(date.date()) for date in adjusted.index], list(observed), shown, args.show))
    args.out.mkdir(parents=True, exist_ok=True)
    picture = demo.picture_path(args.out)
    title = "Forecast and what then happened"
    plots.forecast_plot(picture, targets, observed.iloc[1:], forecast, title, f"Prices: {series.origin}")
    say(f"\nPicture: {picture}")
    return 0


class _Series(NamedTuple):
    """Prices and CPI, and where each came from, for people."""

    prices: pd.Series
    origin: str
    cpi: pd.Series
    cpi_origin: str


def _series(args: argparse.Namespace) -> _Series:
    from stream_scorer_training import data

    if args.prices:
        prices = data.read_prices(args.prices)
        origin = f"{args.prices.name}, the last {args.days:,} prices"
        cpi, cpi_origin = data.steady_cpi(prices.index), "steady inflation, a stand-in (give --cpi CSV)"
    else:
        prices, cpi = data.synthetic_prices(args.days)
        origin = f"SYNTHETIC, {args.days:,} made-up prices (seed 2017); give your own by --prices CSV --cpi CSV"
        cpi_origin = "synthetic"
    if args.cpi:
        cpi, cpi_origin = data.read_cpi(args.cpi), args.cpi.name
    return _Series(prices, origin, cpi, cpi_origin)
