"""The flags of `stream-scorer train-forecaster`, and what it prints."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from stream_scorer.errors import SettingsError
from stream_scorer.safe_text import one_line, say
from stream_scorer.settings.arguments import whole_number, writable_folder
from stream_scorer.system.stderr import without_banners


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--prices", type=Path, required=True, metavar="CSV", help="closes: columns Date and Close")
    parser.add_argument("--cpi", type=Path, required=True, metavar="CSV", help="CPI: columns DATE and CPIAUCSL")
    parser.add_argument(
        "--out", type=writable_folder, required=True, metavar="DIR", help="folder for attachment, weights and reports"
    )
    parser.add_argument(
        "--split",
        default="2007-06-01",
        metavar="DATE",
        help="first day of the test part; only days before it are used to choose and fit (default: 2007-06-01)",
    )
    parser.add_argument(
        "--cpi-lag-days",
        type=whole_number(0, 36_500),
        default=31,
        metavar="N",
        help="days from the end of a month until its CPI figure is used (default: 31)",
    )
    parser.add_argument(
        "--symbol", default="SP500", metavar="SYM", help="symbol in the records of the test (default: SP500)"
    )


def run(args: argparse.Namespace) -> int:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    # As in the service: for operations of this size, more threads take longer.
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
    try:
        with without_banners():
            import tensorflow as tf

            from stream_scorer_training import forecaster, forecaster_report

            tf.constant(0)  # looks for devices, and logs those that are missing
    except ImportError as error:
        raise SettingsError(f"training needs {error.name}: pip install 'stream-scorer[train]'") from error
    out = args.out.resolve()
    with without_banners():
        choice = forecaster.train(
            args.prices,
            args.cpi,
            out,
            split=args.split,
            lag_days=args.cpi_lag_days,
            on_step=lambda text: say(text, flush=True),
        )
    report = forecaster_report.test_once(args.prices, out, choice, args.symbol)
    say(report["verdict"])
    say(f"written to {one_line(out)}: {choice['attachment']} is the attachment, the whole report: report.html")
    return 0
