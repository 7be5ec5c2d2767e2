"""The flags of `stream-scorer train`, its progress bars and what it prints."""

from __future__ import annotations

import argparse
import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stream_scorer.errors import SettingsError
from stream_scorer.safe_text import one_line
from stream_scorer.settings.arguments import whole_number, writable_folder
from stream_scorer.system.stderr import without_banners

if TYPE_CHECKING:
    from rich.console import Console

    from stream_scorer_training.train import Listener


def add_arguments(parser: argparse.ArgumentParser) -> None:
    source = "a CSV or Parquet file, or fred:ID"
    parser.add_argument("--prices", required=True, metavar="SOURCE", help=f"daily closes: {source}")
    parser.add_argument("--cpi", required=True, metavar="SOURCE", help=f"consumer price index by month: {source}")
    parser.add_argument(
        "--fred-key-file",
        type=Path,
        metavar="FILE",
        help="file with the key to FRED's API, for fred:ID (default: the variable FRED_API_KEY)",
    )
    parser.add_argument(
        "--out", type=writable_folder, required=True, metavar="DIR", help="folder for weights, report and plots"
    )
    parser.add_argument(
        "--iterations",
        type=whole_number(1),
        default=1500,
        metavar="N",
        help="number of training steps, each on a batch of 100 windows (default: 1500)",
    )
    parser.add_argument(
        "--seed",
        type=whole_number(0),
        default=2017,
        metavar="N",
        help="seed of the initial weights and of the batches (default: 2017)",
    )
    parser.add_argument(
        "--seeds",
        type=whole_number(1),
        default=3,
        metavar="N",
        help="number of trainings, each with the next seed, to show how much the figures vary; the weights of the first are "
        "written (default: 3)",
    )
    _add_report_flags(parser)


def _add_report_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--max-gap",
        type=whole_number(1),
        default=7,
        metavar="DAYS",
        help="report gaps between prices that are longer than this (default: 7)",
    )
    parser.add_argument("--no-plots", action="store_true", help="write no plots beside the report")


def run(args: argparse.Namespace) -> int:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    try:
        with without_banners():
            import tensorflow as tf

            from stream_scorer_training.train import train
            from stream_scorer_training.trainer import use_two_devices

            use_two_devices()
            tf.constant(0)  # looks for devices, and logs those that are missing
    except ImportError as error:
        raise SettingsError(f"training needs {error.name}: pip install 'stream-scorer[train]'") from error
    from rich.console import Console

    console = Console()
    with _bars(console, args) as listener:
        report = train(
            args.prices,
            args.cpi,
            args.out,
            iterations=args.iterations,
            seeds=range(args.seed, args.seed + args.seeds),
            with_plots=not args.no_plots,
            fred_key_file=args.fred_key_file,
            max_gap_days=args.max_gap,
            listener=listener,
        )
    _print(console, report, args.out)
    return 0


@contextlib.contextmanager
def _bars(console: Console, args: argparse.Namespace) -> Iterator[Listener]:
    """Give a listener that draws a progress bar for each seed."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

    from stream_scorer_training.train import Listener

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("loss {task.fields[loss]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as progress:
        tasks: dict[int, TaskID] = {}

        def progressed(seed: int, done: int, loss: float) -> None:
            if seed not in tasks:  # not earlier: errors in the data are printed before any bar
                tasks[seed] = progress.add_task(f"seed {seed}", total=args.iterations, loss="-")
            progress.update(tasks[seed], completed=done, loss=f"{loss:.5f}")

        def resumed(seed: int, done: int) -> None:
            _say(console, f"seed {seed} goes on after {done:,} iterations: {args.out} holds them")

        yield Listener(resumed, progressed)


def _print(console: Any, report: dict[str, Any], out: Path) -> None:
    from rich.table import Table

    for name in ("prices", "cpi"):
        source = report["data"][name]
        for gap in source["gaps"]:
            _say(console, f"{source['source']}: nothing between {gap['after']} and {gap['before']}, {gap['days']} days")
    training, test = report["training"], report["test"]
    table = Table(title=f"what the weights are worth (seed {training['seed']})", title_justify="left")
    table.add_column("figure")
    table.add_column("value", justify="right")
    for name, value in (
        ("training MSE, last batch", f"{training['final_batch_mse']:.6f}"),
        ("training MSE, mean of the last 100 batches", f"{training['mean_mse_of_last_100_batches']:.6f}"),
        ("test MSE as the tutorial computes it (against the last input)", f"{test['tutorial_mse']:.6f}"),
        ("test MSE of the forecast against the day forecast", f"{test['honest_mse']:.6f}"),
        ("test MSE of yesterday's value as the forecast", f"{test['persistence_mse']:.6f}"),
        ("skill against yesterday's value", f"{test['skill']:+.1%}"),
        ("Diebold-Mariano t of that", f"{test['diebold_mariano_t']:+.1f}"),
        (
            "RMSE in index points: forecast / yesterday's value",
            f"{test['honest_rmse_points']:.2f} / {test['persistence_rmse_points']:.2f}",
        ),
    ):
        table.add_row(name, value)
    console.print(table)
    _say(console, report["why_two_figures"])
    _say(console, report["verdict"], "bold")
    _say(console, f"written to {out}; the whole report: {out / 'report.html'}")


def _say(console: Any, text: str, style: str = "") -> None:
    """Print a text that may name files: neither markup nor control characters of their names count."""
    console.print(one_line(text), style=style, markup=False)
