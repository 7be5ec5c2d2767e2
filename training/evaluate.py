"""What the forecasts are worth: the tutorial's figure, and the honest one beside it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from training.model import tf_sp500_lstm as module
from training.network import Weights
from training.prepare import Prepared

Floats = npt.NDArray[np.float64]
WHY = (
    "The tutorial compares each forecast with the last value the network was shown; "
    "the honest figure compares it with the day it forecasts, beside yesterday's value as the forecast."
)


@dataclass(frozen=True)
class Figures:
    """Mean squared errors of adjusted values, root mean squared errors in index points.

    tutorial_*: forecast against the last input of its window. honest_*: against the day forecast.
    persistence_*: the last value as the forecast, on the same days. skill: 1 - honest / persistence.
    diebold_mariano_t: of the squared errors' difference, with the variance of independent days (one-step
    errors, Diebold and Mariano 1995); below -2 the network is worse than persistence beyond chance.
    """

    forecasts: int
    tutorial_mse: float
    tutorial_mse_120_days: float
    honest_mse: float
    persistence_mse: float
    skill: float
    diebold_mariano_t: float
    honest_rmse_points: float
    persistence_rmse_points: float

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def forecasts(weights: Weights, series: npt.ArrayLike) -> Floats:
    """Forecast after each 30 values of a series [T] -> [T - 29], by the module's own arithmetic."""
    values = np.asarray(series, np.float32)
    windows = np.lib.stride_tricks.sliding_window_view(values, module.n_steps)
    scores: Floats = module.Network(weights).score(windows).astype(np.float64)
    return scores


def evaluate(prepared: Prepared, weights: Weights) -> Figures:
    """All figures on the test part."""
    test = prepared.test
    values = test.to_numpy()
    made = forecasts(weights, values)
    last, following = values[module.n_steps - 1 :], values[module.n_steps :]
    errors, naive = made[:-1] - following, last[:-1] - following
    cpi = prepared.cpi[test.index].to_numpy()[module.n_steps :]
    honest, persistence = float(np.mean(errors**2)), float(np.mean(naive**2))
    return Figures(
        forecasts=len(made),
        tutorial_mse=float(np.mean((made - last) ** 2)),
        tutorial_mse_120_days=_tutorial_mse(prepared, weights, "2007-07-01", 120),
        honest_mse=honest,
        persistence_mse=persistence,
        skill=1 - honest / persistence,
        diebold_mariano_t=diebold_mariano(errors, naive),
        honest_rmse_points=float(np.sqrt(np.mean((errors * cpi) ** 2))),
        persistence_rmse_points=float(np.sqrt(np.mean((naive * cpi) ** 2))),
    )


def diebold_mariano(errors: Floats, benchmark: Floats) -> float:
    """t of the mean loss difference benchmark - model under squared loss; positive: the model is better."""
    difference = benchmark**2 - errors**2
    return float(difference.mean() / (difference.std(ddof=1) / np.sqrt(len(difference))))


def tutorial_window(prepared: Prepared, weights: Weights, start: str, steps: int) -> tuple[pd.Series, Floats]:
    """(what the tutorial calls observed, the forecasts): from a date, `steps` forecasts, as `plot_predict_date` does."""
    inputs = prepared.adjusted[start:].iloc[: module.n_steps + steps - 1]
    return inputs.iloc[module.n_steps - 1 :], forecasts(weights, inputs)


def _tutorial_mse(prepared: Prepared, weights: Weights, start: str, steps: int) -> float:
    observed, made = tutorial_window(prepared, weights, start, steps)
    return float(np.mean((made - observed.to_numpy()) ** 2))
