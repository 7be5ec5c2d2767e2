"""stream-scorer backtest"""

from __future__ import annotations

import argparse
import datetime
from pathlib import Path

from stream_scorer.commands.model_flags import add_model_flags, attachment_and_schemas, trust_of
from stream_scorer.errors import SettingsError
from stream_scorer.safe_text import one_line, say
from stream_scorer.settings.arguments import number, whole_number, writable_folder

WRONG_UNIT = 10
"""A model whose RMSE is this many times that of the last value forecasts in another unit than the prices."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_model_flags(parser)
    parser.add_argument(
        "--out",
        type=writable_folder,
        required=True,
        metavar="DIR",
        help="folder for report.html, report.json, inputs.jsonl and scores.jsonl",
    )
    _add_inputs(parser)
    _add_judging(parser)


def _add_inputs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--prices", type=Path, required=True, metavar="CSV", help="dates and prices, one row a date")
    parser.add_argument("--column", default="Close", metavar="NAME", help="column of prices (default: Close)")
    parser.add_argument("--date-column", default="Date", metavar="NAME", help="column of dates (default: Date)")
    parser.add_argument(
        "--symbol",
        default="SP500",
        metavar="SYM",
        help="symbol in input records that have such a field (default: SP500)",
    )
    parser.add_argument(
        "--cpi",
        type=Path,
        metavar="CSV",
        help="CPI by month: give the model prices / CPI last published, minus the trend in its attachment, which is what "
        "tf_sp500_lstm takes",
    )
    parser.add_argument(
        "--cpi-lag-days",
        type=whole_number(0, 36_500),
        default=31,
        metavar="N",
        help="days from the end of a month until its CPI figure is used (default: 31)",
    )


def _add_judging(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--from", dest="first", metavar="DATE", help="judge forecasts for this day and later; all prices are scored"
    )
    parser.add_argument("--to", dest="last", metavar="DATE", help="judge forecasts for this day and earlier")
    parser.add_argument(
        "--forecast-field",
        metavar="NAME",
        help="field of output records with the forecast (default: the first of close, forecast, prediction, ...)",
    )
    parser.add_argument(
        "--level",
        type=number(0, 1, open_ends=True),
        default=0.9,
        metavar="P",
        help="level of intervals that do not state their own, between 0 and 1 (default: 0.9)",
    )
    parser.add_argument(
        "--rolling",
        type=whole_number(1),
        default=5,
        metavar="N",
        help="closes in the rolling mean that the forecasts are compared with (default: 5)",
    )


def run(args: argparse.Namespace) -> int:
    first, last = _date("--from", args.first), _date("--to", args.last)
    from stream_scorer.evaluate.accuracy import LAST_VALUE
    from stream_scorer.prices.history import read_prices
    from stream_scorer.report import backtest as report
    from stream_scorer.scoring.walk import walk
    from stream_scorer.system import logs

    logs.set_up("WARNING")
    out = args.out.resolve()
    prices = read_prices(args.prices, args.column, args.date_column)
    attachment, schemas = attachment_and_schemas(args)
    walked = walk(
        args.model,
        prices,
        attachment=attachment,
        schemas=schemas,
        symbol=args.symbol,
        cpi=args.cpi.resolve() if args.cpi else None,
        lag_days=args.cpi_lag_days,
        field=args.forecast_field,
        trust=trust_of(args),
    )
    summary, judged = report.summary(walked, prices, first=first, last=last, rolling=args.rolling, level=args.level)
    report.write(out, walked, prices, summary, judged)
    say(summary["verdict"])
    errors_by_name = summary["errors"]
    for name, errors in errors_by_name.items():
        skill = "" if errors["skill"] is None else f"  skill {errors['skill']:+.2%}"
        say(f"  {one_line(name):<20} RMSE {errors['rmse']:>12,.4f}{skill}")
    if args.cpi is None and errors_by_name["model"]["rmse"] > WRONG_UNIT * errors_by_name[LAST_VALUE]["rmse"]:
        say(
            "The forecasts are not in the unit of the prices. A model of adjusted values, as the flagship, needs --cpi CSV."
        )
    say(f"{summary['judged']:,} days judged, {summary['rejected']['count']:,} prices rejected. {out / 'report.html'}")
    return 0


def _date(option: str, text: str | None) -> datetime.date | None:
    try:
        return None if text is None else datetime.date.fromisoformat(text)
    except ValueError:
        raise SettingsError(f"{option} {text}: expected a date such as 2007-06-01.") from None
