"""stream-scorer backtest"""

from __future__ import annotations

import argparse
import datetime
from pathlib import Path

from stream_scorer.errors import SettingsError
from stream_scorer.settings.arguments import number, whole_number, writable_folder

ABSURD = 10
"""Times the error of the last value: no forecast of a price is that bad."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help="module file, bundle directory or name of a shipped model")
    parser.add_argument("--prices", type=Path, required=True, metavar="CSV", help="dates and prices, one row a date")
    parser.add_argument("--column", default="Close", metavar="NAME", help="column of prices (default: Close)")
    parser.add_argument("--date-column", default="Date", metavar="NAME", help="column of dates (default: Date)")
    parser.add_argument(
        "--symbol", default="SP500", metavar="SYM", help="of records, where they have one (default: SP500)"
    )
    parser.add_argument(
        "--cpi",
        type=Path,
        metavar="CSV",
        help="give the model prices / CPI last published, less the trend of its attachment, as tf_sp500_lstm takes them",
    )
    parser.add_argument(
        "--cpi-lag-days",
        type=whole_number(0, 36_500),
        default=31,
        metavar="N",
        help="days after its month has ended until a CPI figure counts (default: 31)",
    )
    parser.add_argument(
        "--from", dest="first", metavar="DATE", help="judge forecasts of this day and later; all prices are scored"
    )
    parser.add_argument("--to", dest="last", metavar="DATE", help="judge forecasts of this day and before")
    parser.add_argument(
        "--out",
        type=writable_folder,
        required=True,
        metavar="DIR",
        help="where report.html, report.json, inputs.jsonl and scores.jsonl go",
    )
    parser.add_argument(
        "--forecast-field",
        metavar="NAME",
        help="field of output records that holds the forecast (default: close, forecast, ...)",
    )
    parser.add_argument(
        "--level",
        type=number(0, 1, open_ends=True),
        default=0.9,
        metavar="P",
        help="of an interval that does not say its own (default: 0.9)",
    )
    parser.add_argument(
        "--rolling",
        type=whole_number(1),
        default=5,
        metavar="N",
        help="closes of the rolling mean beside it (default: 5)",
    )
    parser.add_argument("--attachment", type=Path, metavar="FILE", help="archive of the model's files")
    parser.add_argument(
        "--schema", action="append", default=[], metavar="NAME=FILE", help="Avro schema for a name the model uses"
    )


def run(args: argparse.Namespace) -> int:
    first, last = _date("--from", args.first), _date("--to", args.last)
    from stream_scorer.evaluate.accuracy import LAST_VALUE
    from stream_scorer.prices.history import read_prices
    from stream_scorer.report import backtest as report
    from stream_scorer.scoring import hosting
    from stream_scorer.scoring.walk import walk
    from stream_scorer.settings.declared import to_map
    from stream_scorer.system import logs

    logs.set_up("WARNING")
    out = args.out.resolve()
    prices = read_prices(args.prices, args.column, args.date_column)
    walked = walk(
        args.model,
        prices,
        attachment=args.attachment,
        schemas=hosting.paths(to_map(args.schema, "--schema")),
        symbol=args.symbol,
        cpi=args.cpi.resolve() if args.cpi else None,
        lag_days=args.cpi_lag_days,
        field=args.forecast_field,
    )
    found, judged = report.summary(walked, prices, first=first, last=last, rolling=args.rolling, level=args.level)
    report.write(out, walked, prices, found, judged)
    print(found["verdict"])
    errors_of = found["errors"]
    for name, errors in errors_of.items():
        skill = "" if errors["skill"] is None else f"  skill {errors['skill']:+.2%}"
        print(f"  {name:<20} RMSE {errors['rmse']:>12,.4f}{skill}")
    if args.cpi is None and errors_of["model"]["rmse"] > ABSURD * errors_of[LAST_VALUE]["rmse"]:
        print(
            "The forecasts are not in the unit of the prices. A model of adjusted values, as the flagship, needs --cpi CSV."
        )
    print(f"{found['judged']:,} days judged, {found['rejected']['count']:,} prices rejected. {out / 'report.html'}")
    return 0


def _date(option: str, text: str | None) -> datetime.date | None:
    try:
        return None if text is None else datetime.date.fromisoformat(text)
    except ValueError:
        raise SettingsError(f"{option} {text}: no date. Write it as 2007-06-01.") from None
