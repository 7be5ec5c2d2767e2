"""Rolling figures of a worker: how good its last forecasts were. docs/evaluation.md explains each."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from stream_scorer.evaluate.drift import Drift
from stream_scorer.records import Evaluation


class Figures(NamedTuple):
    """Figures of `judged` forecasts; None where nothing can be computed.

    mse: mean of (forecast - actual)^2, in the squared unit of the values. mae: mean of |forecast - actual|.
    rmse: root of mse. naive_mse: mse of the last value as the forecast. skill: 1 - mse / naive_mse (Murphy 1988).
    coverage: share of the actual values within the interval, bounds included.
    """

    judged: int
    mse: float | None
    mae: float | None
    rmse: float | None
    naive_mse: float | None
    skill: float | None
    coverage: float | None


def figures(errors: np.ndarray, naive_errors: np.ndarray, inside: np.ndarray) -> Figures:
    """Arrays [T]. `inside`: 1 or 0 for a forecast with an interval, NaN for others."""
    if not len(errors):
        return Figures(0, *[None] * 6)
    mse, naive_mse = float(np.mean(errors**2)), float(np.mean(naive_errors**2))
    judged = inside[~np.isnan(inside)]
    return Figures(
        judged=len(errors),
        mse=mse,
        mae=float(np.mean(np.abs(errors))),
        rmse=math.sqrt(mse),
        naive_mse=naive_mse,
        skill=1 - mse / naive_mse if naive_mse else None,
        coverage=float(np.mean(judged)) if len(judged) else None,
    )


class RollingFigures:
    """The last judged forecasts. `add` and `recall` are for the loop's thread, the rest for any thread.

    A batch costs a few numpy calls, whatever its size.

    Args:
        window: number of the last judged forecasts that the figures cover.
        drift: gets the inputs.
    """

    def __init__(self, window: int, drift: Drift) -> None:
        self._drift = drift
        self._lock = threading.Lock()
        self._rows = np.zeros((window, 3))  # error, naive error, inside
        self._seen = self._judged = self._missed = 0

    def add(self, evaluations: Sequence[Evaluation], inputs: Sequence[float], missed: int) -> None:
        """Add one committed batch. `missed`: forecasts that can no longer be judged."""
        rows = [
            _row(made.forecast, made.naive, made.low, made.high, actual)
            for made, _, actual in evaluations[-len(self._rows) :]
        ]
        with self._lock:
            self._judged += len(evaluations)
            self._missed += missed
            self._write(rows)
        self._drift.add(inputs)

    def recall(self, before: Sequence[tuple[float, float, float | None, float | None, float]]) -> None:
        """Add forecasts that were judged before this worker began, in order: forecast, naive, low, high, actual.

        Counters do not count them.
        """
        with self._lock:
            self._write([_row(*row) for row in before[-len(self._rows) :]])
        self._drift.add([actual for *_, actual in before])

    def _write(self, rows: Sequence[tuple[float, float, float]]) -> None:
        first, self._seen = self._seen, self._seen + len(rows)
        self._rows[np.arange(first, self._seen) % len(self._rows)] = np.array(rows).reshape(-1, 3)

    def figures(self) -> Figures:
        with self._lock:
            rows = self._rows[: self._seen].copy()
        return figures(*rows.T)

    def counters(self) -> Iterator[tuple[str, float]]:
        """(name, value) of metrics that only grow."""
        yield "evaluations", self._judged
        yield "evaluations_missed", self._missed

    def gauges(self) -> Iterator[tuple[str, float]]:
        """(name, value) of the metrics that can be computed so far."""
        figures = self.figures()
        yield "evaluation_window", figures.judged
        for name, value in (
            ("forecast_mse", figures.mse),
            ("forecast_mae", figures.mae),
            ("forecast_rmse", figures.rmse),
            ("naive_mse", figures.naive_mse),
            ("forecast_skill", figures.skill),
            ("interval_coverage", figures.coverage),
            ("input_drift_ks", self._drift.statistic()),
        ):
            if value is not None and math.isfinite(value):
                yield name, value


def _row(
    forecast: float, naive: float, low: float | None, high: float | None, actual: float
) -> tuple[float, float, float]:
    inside = math.nan if low is None or high is None else float(low <= actual <= high)
    return forecast - actual, naive - actual, inside
