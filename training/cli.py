"""stream-scorer train"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

from stream_scorer.errors import SettingsError
from stream_scorer.stderr import without_banners


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--prices", type=Path, required=True, metavar="CSV", help="closes: columns Date and Close")
    parser.add_argument("--cpi", type=Path, required=True, metavar="CSV", help="CPI: columns DATE and CPIAUCSL")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="where weights, report and plots go")
    parser.add_argument(
        "--iterations", type=int, default=1500, metavar="N", help="batches of 100 windows (default: 1500)"
    )
    parser.add_argument("--seed", type=int, default=2017, metavar="N", help="of weights and batches (default: 2017)")
    parser.add_argument("--no-plots", action="store_true", help="write no pictures")


def run(args: argparse.Namespace) -> int:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    # More threads inside one op of this size cost more than they bring; two ops may run side by side.
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
    try:
        with without_banners():
            import tensorflow as tf

            from training.train import train

            tf.constant(0)  # looks for devices, and tells of those it lacks
    except ImportError as error:
        raise SettingsError(f"training needs {error.name}: pip install 'stream-scorer[train]'") from error
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console()
    columns = (
        TextColumn("training"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("loss {task.fields[loss]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("training", total=args.iterations, loss="-")

        def on_loss(iteration: int, loss: float) -> None:
            progress.update(task, completed=iteration + 1, loss=f"{loss:.5f}")

        report = train(
            args.prices,
            args.cpi,
            args.out,
            iterations=args.iterations,
            seed=args.seed,
            with_plots=not args.no_plots,
            on_loss=on_loss,
        )
    _print(console, report, args.out)
    return 0


def _print(console: Any, report: dict[str, Any], out: Path) -> None:
    from rich.table import Table

    training, test = report["training"], report["test"]
    table = Table(title="what the weights are worth", title_justify="left")
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
    console.print(report["why_two_figures"])
    console.print(f"written to {out}")
