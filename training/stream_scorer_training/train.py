"""Trains the S&P 500 LSTM as the tutorial does, and judges its forecasts."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import tensorflow as tf

from stream_scorer.errors import SettingsError
from stream_scorer.model.reference import REFERENCE
from stream_scorer.models import tf_sp500_lstm as module
from stream_scorer_training import data, network, report_page
from stream_scorer_training.checkpoint import Checkpoint, digest
from stream_scorer_training.evaluate import WHY, Errors, by_year, errors_of, evaluate, forecaster, tutorial_windows
from stream_scorer_training.prepare import SPLIT, Prepared, prepare
from stream_scorer_training.trainer import CHUNK, State, Trainer
from stream_scorer_training.windows import training_starts

ITERATIONS = 1500
BATCH_SIZE = 100
SEED = 2017
LEARNING_RATE = 1e-3
LAST = 100
"""Number of last iterations whose mean loss is reported too, since the loss of a single batch is noisy."""
SAVED_EVERY = 100
"""Iterations between checkpoints. They take a second or two, which is what a kill loses."""
CPI_GAP_DAYS = 31


@dataclass(frozen=True)
class Run:
    """The training of one seed.

    losses: before each iteration. final_batch_mse: of the last batch, after the last iteration.
    """

    seed: int
    state: State
    losses: list[float]
    final_batch_mse: float

    def figures(self, iterations: int) -> dict[str, Any]:
        """Return what reports say of the training."""
        return {
            "iterations": iterations,
            "seed": self.seed,
            "batch_size": BATCH_SIZE,
            "final_batch_mse": self.final_batch_mse,
            "mean_mse_of_last_100_batches": float(np.mean(self.losses[-LAST:])),
        }


@dataclass(frozen=True)
class Listener:
    """Callbacks during training.

    resumed(seed, iterations already done): a checkpoint was loaded. progressed(seed, iterations done, last loss).
    """

    resumed: Callable[[int, int], None] = lambda *_: None
    progressed: Callable[[int, int, float], None] = lambda *_: None


# 51 lines: a straight script, read top to bottom. Its steps are functions; what is left is their order.
def train(
    prices: str | Path,
    cpi: str | Path,
    out: Path,
    *,
    iterations: int = ITERATIONS,
    seeds: Sequence[int] = (SEED,),
    with_plots: bool = True,
    fred_key_file: Path | None = None,
    max_gap_days: int = 7,
    listener: Listener | None = None,
) -> dict[str, Any]:
    """Write weights, facts, reference.json, report.json, report.html and plots into `out`. Returns the report. Blocks.

    There is one training per seed; the weights of the first are written. On one kind of machine the same data and seeds
    give the same bytes, even if the training was killed and started again, as checkpoints are in `out` until it is done.
    Raises SettingsError: the data cannot be read, are not daily closes and a monthly CPI, or are too short.

    Args:
        prices, cpi: sources as in `data.load_prices`.
        max_gap_days: longer gaps between closes are listed in the report.
    """
    closes = data.load_prices(prices, fred_key_file=fred_key_file)
    months = data.load_cpi(cpi, fred_key_file)
    prepared = prepare(*_enough(closes, months))
    runs, checkpoints = fit(prepared, iterations, seeds, out, listener or Listener())
    first = runs[0]
    out.mkdir(parents=True, exist_ok=True)
    network.save(first.state.by_name(), out / module.save_name)
    training = first.figures(iterations)
    _write(out / f"{module.save_name}.json", _facts(prepared, training, closes, months))
    # The whole training part: `export` reduces it to a sample.
    _write(out / REFERENCE, prepared.training.tolist())

    windows = [tutorial_windows(prepared, forecaster(run.state.by_name())) for run in runs]
    tests = [evaluate(prepared, of_seed).as_dict() for of_seed in windows]
    errors = errors_of(prepared, windows[0])
    sources = _data(prepared, closes, months, max_gap_days)
    report = _report([run.figures(iterations) for run in runs], tests, errors, sources)
    _write(out / "report.json", report)
    losses = {run.seed: run.losses for run in runs}
    shown = report_page.Shown(prepared, months.series, losses, windows[0], errors)
    (out / "report.html").write_text(report_page.html(report, shown), encoding="utf-8")
    if with_plots:
        from stream_scorer_training import plots

        plots.training_plots(out, prepared, months.series, windows[0])
        plots.loss_plot(out / "loss.png", first.losses)
    for checkpoint in checkpoints:
        checkpoint.remove()
    return report


def _report(
    trainings: Sequence[dict[str, Any]], tests: Sequence[dict[str, Any]], errors: Errors, sources: dict[str, Any]
) -> dict[str, Any]:
    """The content of report.json. trainings, tests: figures of each seed."""
    report = {
        "verdict": "",
        "why_two_figures": WHY,
        "training": trainings[0],
        "test": tests[0],
        "by_year": by_year(errors),
        "seeds": [{"training": training, "test": test} for training, test in zip(trainings, tests, strict=True)],
        "split": SPLIT,
        "data": sources | {"judged_from": str(errors.dates[0].date())},
        "versions": {"tensorflow": tf.__version__, "numpy": np.__version__},
    }
    report["verdict"] = report_page.verdict(report)
    return report


def fit(
    prepared: Prepared, iterations: int, seeds: Sequence[int], folder: Path, listener: Listener
) -> tuple[list[Run], list[Checkpoint]]:
    """Train once per seed, from its checkpoint in `folder` if there is one. Returns the runs and checkpoints. Blocks."""
    series = prepared.training.to_numpy()
    trainer = Trainer(series, BATCH_SIZE, LEARNING_RATE)
    settings = {
        "series_sha256": digest(series),
        "batch_size": BATCH_SIZE,
        "learning_rate": LEARNING_RATE,
        "tensorflow": tf.__version__,
    }
    runs, checkpoints = [], []
    for seed in seeds:
        checkpoint = Checkpoint(folder / f"checkpoint-{seed}.npz", settings | {"seed": seed})
        runs.append(_fit_one(trainer, len(series), iterations, seed, checkpoint, listener))
        checkpoints.append(checkpoint)
    return runs, checkpoints


def _fit_one(
    trainer: Trainer, size: int, iterations: int, seed: int, checkpoint: Checkpoint, listener: Listener
) -> Run:
    def starts(first: int, count: int) -> list[list[int]]:
        return [
            training_starts(size, BATCH_SIZE, module.n_steps, seed + iteration)
            for iteration in range(first, first + count)
        ]

    saved = checkpoint.load(iterations)
    state, losses = saved or (State.start(network.initial_weights(seed)), [])
    if saved:
        listener.resumed(seed, state.done)
    while state.done < iterations:
        state, new = trainer.advance(state, starts(state.done, min(CHUNK, iterations - state.done)))
        losses += new.tolist()
        if state.done % SAVED_EVERY == 0 or state.done == iterations:
            checkpoint.save(state, losses)
        listener.progressed(seed, state.done, losses[-1])
    # An iteration returns the loss before it. The loss after the last one comes from repeating it; its weights are dropped.
    _, after = trainer.advance(state, starts(iterations - 1, 1))
    return Run(seed, state, losses, float(after[0]))


def _enough(closes: data.Loaded, months: data.Loaded) -> tuple[pd.Series, pd.Series]:
    """Return the two series.

    Raises SettingsError: closes are not daily or the CPI is not monthly, or too few days on a side of the split have both.
    """
    for loaded, wanted, low, high in ((closes, "daily closes", 0, 5), (months, "monthly figures", 27, 32)):
        every = data.usual_step(loaded.series)
        if not low <= every <= high:
            raise SettingsError(
                f"{loaded.source}: a value every {every:g} days; {wanted} are needed. Were --prices and --cpi exchanged?"
            )
    last_month = months.series.index[-1]
    days = closes.series[months.series.index[0] : last_month].index
    for part, count, least in (
        ("up to", int((days <= SPLIT).sum()), BATCH_SIZE + module.n_steps + 1),
        ("from", int((days >= SPLIT).sum()), module.n_steps + 2),
    ):
        if count < least:
            raise SettingsError(
                f"{closes.source} and {months.source}: {count} days {part} {SPLIT} have a close and a CPI, {least} are "
                f"needed. The closes are of {closes.series.index[0].date()} to {closes.series.index[-1].date()}, the CPI "
                f"of {months.series.index[0].date()} to {last_month.date()}. Give longer series."
            )
    return closes.series, months.series


def _facts(prepared: Prepared, training: dict[str, Any], closes: data.Loaded, months: data.Loaded) -> dict[str, Any]:
    """Return what serving needs besides the weights, and what the weights were made from."""
    return {
        "trend": {
            "epoch": str(prepared.trend.epoch.date()),
            "slope": prepared.trend.slope,
            "intercept": prepared.trend.intercept,
        },
        "n_steps": module.n_steps,
        "training": training,
        "split": SPLIT,
        "data": {"prices_sha256": closes.sha256, "cpi_sha256": months.sha256},
        "tensorflow": tf.__version__,
    }


def _data(prepared: Prepared, closes: data.Loaded, months: data.Loaded, max_gap_days: int) -> dict[str, Any]:
    return {
        "rows": len(prepared.adjusted),
        "first": str(prepared.adjusted.index[0].date()),
        "last": str(prepared.adjusted.index[-1].date()),
        "training_rows": len(prepared.training),
        "test_rows": len(prepared.test),
        "prices_without_cpi": len(closes.series) - len(prepared.adjusted),
        "cpi_months_dropped": int((pd.DatetimeIndex(months.series.index).dayofweek >= 5).sum()),
        "prices": closes.facts(max_gap_days),
        "cpi": months.facts(CPI_GAP_DAYS),
    }


def _write(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n")
