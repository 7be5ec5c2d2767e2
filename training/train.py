"""Train the S&P 500 LSTM as the tutorial does, and say what its forecasts are worth."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from training import data, network
from training.evaluate import WHY, Figures, evaluate, tutorial_window
from training.model import tf_sp500_lstm as module
from training.prepare import SPLIT, Prepared, prepare
from training.windows import make_training_sequences

ITERATIONS = 1500
BATCH_SIZE = 100
SEED = 2017
LEARNING_RATE = 1e-3
LAST = 100
"""Iterations whose mean loss is reported beside the last one's: a single batch is noisy."""


def train(
    prices: Path,
    cpi: Path,
    out: Path,
    *,
    iterations: int = ITERATIONS,
    seed: int = SEED,
    with_plots: bool = True,
    on_loss: Callable[[int, float], None] = lambda *_: None,
) -> dict[str, Any]:
    """Write weights, facts, report and plots into `out`; the report is returned.

    `on_loss` hears (iteration, loss before it) after each. The same data and seed give the same
    weights, bit for bit, on one kind of machine. Raises SettingsError on data that cannot be used.
    """
    cpi_series = data.read_cpi(cpi)
    prepared = prepare(data.read_prices(prices), cpi_series)
    weights, losses = fit(prepared, iterations, seed, on_loss)
    out.mkdir(parents=True, exist_ok=True)
    network.save(weights, out / module.save_name)
    last_batch = make_training_sequences(prepared.training, BATCH_SIZE, module.n_steps, seed + iterations - 1)
    training = {
        "iterations": iterations,
        "seed": seed,
        "batch_size": BATCH_SIZE,
        "final_batch_mse": network.batch_error(weights, *last_batch),
        "mean_mse_of_last_100_batches": float(np.mean(losses[-LAST:])),
    }
    _write(out / f"{module.save_name}.json", _facts(prepared, training, prices, cpi))
    report = _report(prepared, training, evaluate(prepared, weights))
    _write(out / "report.json", report)
    if with_plots:
        _draw(out, prepared, cpi_series, weights, losses)
    return report


def fit(
    prepared: Prepared, iterations: int, seed: int, on_loss: Callable[[int, float], None]
) -> tuple[network.Weights, list[float]]:
    """Weights after `iterations` batches of the training part, and the loss of each batch."""
    series = prepared.training.to_numpy()
    trainer = network.Trainer(network.initial_weights(seed), LEARNING_RATE)
    losses = []
    for iteration in range(iterations):
        batch = make_training_sequences(series, BATCH_SIZE, module.n_steps, seed + iteration)
        losses.append(trainer.step(*batch))
        on_loss(iteration, losses[-1])
    return trainer.weights(), losses


def _facts(prepared: Prepared, training: dict[str, Any], prices: Path, cpi: Path) -> dict[str, Any]:
    """What serving needs besides the weights, and where they came from."""
    return {
        "trend": {
            "epoch": str(prepared.trend.epoch.date()),
            "slope": prepared.trend.slope,
            "intercept": prepared.trend.intercept,
        },
        "n_steps": module.n_steps,
        "training": training,
        "split": SPLIT,
        "data": {"prices_sha256": _sha256(prices), "cpi_sha256": _sha256(cpi)},
        "tensorflow": tf.__version__,
    }


def _report(prepared: Prepared, training: dict[str, Any], figures: Figures) -> dict[str, Any]:
    return {
        "why_two_figures": WHY,
        "training": training,
        "test": figures.as_dict(),
        "data": {
            "rows": len(prepared.adjusted),
            "first": str(prepared.adjusted.index[0].date()),
            "last": str(prepared.adjusted.index[-1].date()),
            "training_rows": len(prepared.training),
            "test_rows": len(prepared.test),
        },
        "versions": {"tensorflow": tf.__version__, "numpy": np.__version__},
    }


def _draw(out: Path, prepared: Prepared, cpi: Any, weights: network.Weights, losses: list[float]) -> None:
    from training import plots

    steps = len(prepared.test) - module.n_steps + 1
    windows = {
        "2007-07-01_120_days": tutorial_window(prepared, weights, "2007-07-01", 120),
        "2007-06-01_whole_test": tutorial_window(prepared, weights, SPLIT, steps),
    }
    plots.training_plots(out, prepared, cpi, windows)
    plots.loss_plot(out / "loss.png", losses)


def _write(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n")


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
