"""Measures the errors of the forecasts: the tutorial's figure, and those against the day that was forecast."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from stream_scorer.evaluate.accuracy import diebold_mariano
from stream_scorer.models import tf_sp500_lstm as module
from stream_scorer_training.network import Weights
from stream_scorer_training.prepare import SPLIT, Prepared

Floats = npt.NDArray[np.float64]
Forecasts = Callable[[npt.ArrayLike], Floats]
Windows = dict[str, tuple[pd.Series, Floats]]
TUTORIAL_WINDOW = ("2007-07-01", 120)
"""First day and number of forecasts of the tutorial's first picture."""
FIRST_PICTURE, WHOLE_TEST = "{}_{}_days".format(*TUTORIAL_WINDOW), f"{SPLIT}_whole_test"
WHY = (
    "The tutorial compares each forecast with the last value the network was shown; "
    "the honest figure compares it with the day it forecasts, beside yesterday's value as the forecast."
)


@dataclass(frozen=True)
class Figures:
    """Errors on the test part: *_mse of adjusted values, *_rmse_points in index points.

    forecasts: number of windows.
    tutorial_*: of the forecast against the last input of its window. The one of 120 days is None if the data end before.
    honest_*: of the forecast against the day that it forecasts.
    persistence_*: of the last value as the forecast, on the same days.
    drift_*: of the last value plus the mean change of the training part.
    skill: 1 - honest / persistence, of the MSE.
    diebold_mariano_t: of the difference in squared errors, with the variance of independent days (errors of one step,
    Diebold and Mariano 1995). Below -2 the network is worse than persistence, and not by chance.
    diebold_mariano_p: two-sided, by the normal distribution.
    """

    forecasts: int
    tutorial_mse: float
    tutorial_mse_120_days: float | None
    honest_mse: float
    persistence_mse: float
    skill: float
    diebold_mariano_t: float
    diebold_mariano_p: float
    honest_rmse_points: float
    persistence_rmse_points: float
    drift_mse: float
    skill_against_drift: float
    diebold_mariano_t_against_drift: float
    drift_rmse_points: float

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Errors:
    """Forecast minus actual value on the same days, [T]: of the network, the last value and the drift walk.

    They are adjusted values; multiplied by `cpi` they are index points. dates: of the days forecast.
    """

    dates: pd.DatetimeIndex
    cpi: Floats
    network: Floats
    last: Floats
    drift: Floats


class _Wide(module.Network):  # type: ignore[misc]
    """The network with the widest program only: all widths give the same bits, and compiling one takes less time."""

    candidates = (256,)


def forecaster(weights: Weights) -> Forecasts:
    """Return a function: series [T] -> the forecast after each 30 values, float64 [T - 29].

    It uses the module's own arithmetic, so its bits are those of serving. Blocks while the network compiles: seconds.
    """
    network = _Wide(weights)

    def forecasts(series: npt.ArrayLike) -> Floats:
        windows = np.lib.stride_tricks.sliding_window_view(np.asarray(series, np.float32), module.n_steps)
        scores: Floats = network.score(windows).astype(np.float64)
        return scores

    return forecasts


def errors_of(prepared: Prepared, windows: Windows) -> Errors:
    """Return the errors on the test part, from its 31st day on. windows: as `tutorial_windows` returns them."""
    test = prepared.test
    last, made = (np.asarray(closes)[:-1] for closes in windows[WHOLE_TEST])
    happened = test.to_numpy()[module.n_steps :]
    drift = float(np.diff(prepared.training.to_numpy()).mean())
    dates = pd.DatetimeIndex(test.index[module.n_steps :])
    cpi = prepared.cpi[dates].to_numpy()
    return Errors(dates, cpi, made - happened, last - happened, last + drift - happened)


def evaluate(prepared: Prepared, windows: Windows) -> Figures:
    """Return all figures on the test part. windows: as `tutorial_windows` returns them."""
    errors = errors_of(prepared, windows)
    tutorial = {name: _mse(made - observed.to_numpy()) for name, (observed, made) in windows.items()}
    honest, persistence, drift = (_mse(kind) for kind in (errors.network, errors.last, errors.drift))
    t = _t(errors.network, errors.last)
    return Figures(
        forecasts=len(windows[WHOLE_TEST][1]),
        tutorial_mse=tutorial[WHOLE_TEST],
        tutorial_mse_120_days=tutorial.get(FIRST_PICTURE),
        honest_mse=honest,
        persistence_mse=persistence,
        skill=1 - honest / persistence,
        diebold_mariano_t=t,
        diebold_mariano_p=math.erfc(abs(t) / math.sqrt(2)),
        honest_rmse_points=math.sqrt(_mse(errors.network * errors.cpi)),
        persistence_rmse_points=math.sqrt(_mse(errors.last * errors.cpi)),
        drift_mse=drift,
        skill_against_drift=1 - honest / drift,
        diebold_mariano_t_against_drift=_t(errors.network, errors.drift),
        drift_rmse_points=math.sqrt(_mse(errors.drift * errors.cpi)),
    )


def by_year(errors: Errors) -> list[dict[str, Any]]:
    """Return a row of figures for each calendar year.

    *rmse_points: in index points, of the network, of the last value and of the drift walk. skill, diebold_mariano_t:
    against the last value; t is None if it has no value.
    """
    years_figures = []
    years = errors.dates.year.to_numpy()
    for year in np.unique(years):
        of = years == year
        network, last, drift = errors.network[of], errors.last[of], errors.drift[of]
        points = [math.sqrt(_mse(part * errors.cpi[of])) for part in (network, last, drift)]
        years_figures.append(
            {
                "year": int(year),
                "days": int(of.sum()),
                **dict(zip(("rmse_points", "persistence_rmse_points", "drift_rmse_points"), points, strict=True)),
                "skill": 1 - _mse(network) / _mse(last),
                "diebold_mariano_t": diebold_mariano(network, last),
            }
        )
    return years_figures


def tutorial_windows(prepared: Prepared, forecasts: Forecasts) -> Windows:
    """Return the data of the tutorial's two pictures by title: (what it calls observed, forecasts), each [T].

    They are as its `plot_predict_date` makes them: "observed" is the last input of each window. The first picture is
    missing if the data end before its last day. The test part must have at least 30 days.
    """
    start, steps = TUTORIAL_WINDOW
    first = prepared.adjusted[start:].iloc[: module.n_steps + steps - 1]
    whole = len(first) == module.n_steps + steps - 1
    inputs = ({FIRST_PICTURE: first} if whole else {}) | {WHOLE_TEST: prepared.test}
    return {name: (closes.iloc[module.n_steps - 1 :], forecasts(closes)) for name, closes in inputs.items()}


def _mse(errors: Floats) -> float:
    return float(np.mean(errors**2))


def _t(errors: Floats, benchmark: Floats) -> float:
    """Return the Diebold-Mariano t; NaN if there is none."""
    t = diebold_mariano(errors, benchmark)
    return math.nan if t is None else t
