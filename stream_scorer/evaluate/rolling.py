"""Rolling figures of a worker: how good its last forecasts were. What each means: docs/evaluation.md."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from stream_scorer.evaluate.drift import Drift
from stream_scorer.records import Evaluation


class Figures(NamedTuple):
    """Of a number of judged forecasts. None where there is nothing to divide by.

    mse: mean of (forecast - actual)^2, in the unit of the values squared. mae: mean of |forecast - actual|.
    rmse: root of mse. naive_mse: mse of a forecast of no change. skill: 1 - mse / naive_mse (Murphy 1988).
    coverage: share of the actuals that lay within their interval, bounds included.
    """

    judged: int
    mse: float | None
    mae: float | None
    rmse: float | None
    naive_mse: float | None
    skill: float | None
    coverage: float | None


def figures(errors: np.ndarray, naive_errors: np.ndarray, inside: np.ndarray) -> Figures:
    """`inside` is 1 or 0 for each forecast with an interval, NaN for the others."""
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
    """Adding is the loop's; reading is safe from any thread. A batch costs a few numpy calls, a record none.

    Args:
        window: how many of the last judged forecasts the figures are of.
        drift: of the inputs.
    """

    def __init__(self, window: int, drift: Drift) -> None:
        self._drift = drift
        self._lock = threading.Lock()
        self._rows = np.zeros((window, 3))  # error, naive error, inside
        self._seen = self._judged = self._missed = 0

    def add(self, evaluations: Sequence[Evaluation], inputs: Sequence[float], missed: int) -> None:
        """One committed batch."""
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
        """Forecasts judged before this worker began, in order: forecast, naive, low, high, actual. No counter counts them."""
        with self._lock:
            self._write([_row(*one) for one in before[-len(self._rows) :]])
        self._drift.add([actual for *_, actual in before])

    def _write(self, rows: Sequence[tuple[float, float, float]]) -> None:
        first, self._seen = self._seen, self._seen + len(rows)
        self._rows[np.arange(first, self._seen) % len(self._rows)] = np.array(rows).reshape(-1, 3)

    def figures(self) -> Figures:
        with self._lock:
            rows = self._rows[: self._seen].copy()
        return figures(*rows.T)

    def counters(self) -> Iterator[tuple[str, float]]:
        """Name and value, as `Status` gives them."""
        yield "evaluations", self._judged
        yield "evaluations_missed", self._missed

    def gauges(self) -> Iterator[tuple[str, float]]:
        """Those that can be told yet."""
        found = self.figures()
        yield "evaluation_window", found.judged
        for name, value in (
            ("forecast_mse", found.mse),
            ("forecast_mae", found.mae),
            ("forecast_rmse", found.rmse),
            ("naive_mse", found.naive_mse),
            ("forecast_skill", found.skill),
            ("interval_coverage", found.coverage),
            ("input_drift_ks", self._drift.statistic()),
        ):
            if value is not None and math.isfinite(value):
                yield name, value


def _row(
    forecast: float, naive: float, low: float | None, high: float | None, actual: float
) -> tuple[float, float, float]:
    inside = math.nan if low is None or high is None else float(low <= actual <= high)
    return forecast - actual, naive - actual, inside
