"""Forecasts are judged by the day they are for, beside walks that know the same."""

from __future__ import annotations

import numpy as np
import pytest
from stream_scorer_training import data, prepare

pytestmark = pytest.mark.tensorflow


@pytest.fixture(scope="module")
def prepared():
    return prepare.prepare(*data.synthetic_prices(1_600))


def last_value(series):
    """Persistence, in the shape of a network's forecasts."""
    return np.asarray(series, np.float64)[29:]


def windows(prepared, forecasts):
    from stream_scorer_training.evaluate import tutorial_windows

    return tutorial_windows(prepared, forecasts)


def test_persistence_is_worth_nothing_by_the_honest_figure_and_perfect_by_the_tutorials(prepared):
    from stream_scorer_training.evaluate import evaluate

    figures = evaluate(prepared, windows(prepared, last_value))
    assert figures.tutorial_mse == figures.tutorial_mse_120_days == 0
    assert figures.honest_mse == figures.persistence_mse > 0
    assert figures.skill == 0
    assert np.isnan(figures.diebold_mariano_t), "there is no difference to test"


def test_one_who_knows_the_day_is_perfect_by_the_honest_figure_alone(prepared):
    from stream_scorer_training.evaluate import evaluate

    def knows(series):
        return np.append(np.asarray(series, np.float64)[30:], 0)

    figures = evaluate(prepared, windows(prepared, knows))
    assert (figures.honest_mse, figures.skill, figures.honest_rmse_points) == (0, 1, 0)
    assert figures.tutorial_mse > 0
    assert figures.diebold_mariano_t > 2
    assert figures.diebold_mariano_p < 0.01


def test_the_drift_is_that_of_the_training_part(prepared):
    from stream_scorer_training.evaluate import errors_of

    errors = errors_of(prepared, windows(prepared, last_value))
    training = prepared.training.to_numpy()
    drift = (training[-1] - training[0]) / (len(training) - 1)
    np.testing.assert_allclose(errors.drift - errors.last, drift, rtol=1e-9)


def test_errors_times_cpi_are_index_points(prepared):
    """A forecast goes back into points by the trend and the CPI of the day it is for."""
    from stream_scorer_training.evaluate import errors_of

    errors = errors_of(prepared, windows(prepared, last_value))
    forecast = prepared.adjusted.to_numpy()[prepared.adjusted.index.get_indexer(errors.dates) - 1]
    points = (forecast + prepared.trend.at(errors.dates)) * errors.cpi
    happened = prepared.close[errors.dates].to_numpy()
    np.testing.assert_allclose(errors.last * errors.cpi, points - happened, rtol=1e-9, atol=1e-9)


def test_the_years_are_all_days_once(prepared):
    from stream_scorer_training.evaluate import by_year, errors_of, evaluate

    def off(series):
        return last_value(series) + 0.01

    made = windows(prepared, off)
    years = by_year(errors_of(prepared, made))
    figures = evaluate(prepared, made)
    assert [one["year"] for one in years] == sorted({day.year for day in prepared.test.index[30:]})
    assert sum(one["days"] for one in years) == figures.forecasts - 1
    pooled = sum(one["days"] * one["rmse_points"] ** 2 for one in years) / (figures.forecasts - 1)
    assert np.sqrt(pooled) == pytest.approx(figures.honest_rmse_points)


@pytest.mark.slow
def test_the_tutorials_own_weights_have_the_reference_figures(reference_data):
    """Trained with TensorFlow 1.4; the figures were computed there."""
    from stream_scorer_training import network
    from stream_scorer_training.evaluate import by_year, errors_of, evaluate, forecaster

    prices, cpi = data.read_prices(reference_data / "sp500.csv"), data.read_cpi(reference_data / "CPIAUCSL.csv")
    real = prepare.prepare(prices, cpi)
    made = windows(real, forecaster(network.load(reference_data / "tf1_checkpoint" / "tf_sp500_lstm")))
    figures = evaluate(real, made)
    assert figures.tutorial_mse == pytest.approx(0.000272, abs=5e-7)
    assert figures.tutorial_mse_120_days == pytest.approx(0.000286, abs=5e-7)
    assert figures.honest_mse == pytest.approx(0.005530, abs=5e-7)
    assert figures.persistence_mse == pytest.approx(0.005330, abs=5e-7)
    assert figures.skill == pytest.approx(-0.0375, abs=0.0005)
    assert figures.diebold_mariano_t == pytest.approx(-3.0, abs=0.1)
    assert figures.honest_rmse_points == pytest.approx(16.74, abs=0.005)
    assert sum(one["skill"] < 0 for one in by_year(errors_of(real, made))) == 9
