"""Errors, baselines, intervals: small cases worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from stream_scorer.evaluate import accuracy
from stream_scorer.evaluate.accuracy import Forecast
from stream_scorer.prices.history import Prices


def history(tmp_path, closes, first="2001-01-01"):
    dates = (np.datetime64(first) + np.arange(len(closes))).tolist()
    return Prices(tmp_path / "p.csv", dates, np.array(closes, np.float64), [{} for _ in closes])


def test_baselines_know_the_rows_they_are_made_after_and_no_more():
    closes = np.array([1.0, 2.0, 4.0, 8.0, 16.0])
    made, target = np.array([0, 1, 2]), np.array([1, 2, 4])
    found = accuracy.baselines(closes, made, target, 2)
    assert found["last value"].tolist() == [1, 2, 4]
    assert found["drift walk"] == pytest.approx([1, 4, 16]), "no change is known after one close; then doubling"
    assert found["mean of the last 2"].tolist() == [1, 1.5, 3]
    changed = closes.copy()
    changed[3:] = 1e6
    again = accuracy.baselines(changed, made, target, 2)
    assert all((found[name] == again[name]).all() for name in found)


def test_the_drift_of_prices_that_may_be_negative_is_their_mean_difference():
    found = accuracy.baselines(np.array([-1.0, 0.0, 1.0]), np.array([1]), np.array([2]), 5)
    assert found["drift walk"].tolist() == [1.0]


def test_the_last_value_itself_has_no_skill_and_no_t(tmp_path):
    """The tutorial's figure would give it a skill of one."""
    prices = history(tmp_path, [1, 2, 4, 3])
    found = accuracy.accuracy(
        prices, [Forecast(at, at + 1, None, prices.closes[at]) for at in range(3)], rolling=5, level=0.9
    )
    errors = found["errors"]["model"]
    assert errors["skill"] == 0
    assert errors["diebold_mariano_t"] is None
    assert errors["rmse"] == pytest.approx(math.sqrt((1 + 4 + 1) / 3))
    assert "Not distinguishable" in found["verdict"]


def test_a_forecast_that_knows_is_better_and_its_opposite_worse(tmp_path):
    rng = np.random.default_rng(2017)
    prices = history(tmp_path, 100 + np.cumsum(rng.normal(size=300)))
    for share, word in ((0.5, "Better"), (-0.5, "Worse")):
        made = [
            Forecast(at, at + 1, None, prices.closes[at] + share * (prices.closes[at + 1] - prices.closes[at]))
            for at in range(299)
        ]
        found = accuracy.accuracy(prices, made, rolling=5, level=0.9)
        assert found["verdict"].startswith(word)
        assert found["errors"]["model"]["skill"] == pytest.approx(1 - (1 - share) ** 2)


def test_diebold_mariano_by_hand():
    errors, benchmark = np.array([0.0, 1.0, 0.0]), np.array([1.0, 1.0, 2.0])
    difference = np.array([1.0, 0.0, 4.0])
    expected = difference.mean() / (difference.std(ddof=1) / math.sqrt(3))
    assert accuracy.diebold_mariano(errors, benchmark) == pytest.approx(expected)


def test_an_interval_by_hand():
    low, high, happened = (
        np.array([0.0, 0.0, 0.0, 0.0]),
        np.array([2.0, 2.0, 2.0, 2.0]),
        np.array([1.0, 2.0, -1.0, 5.0]),
    )
    found = accuracy.interval_figures(low, high, happened, 0.9)
    assert (found["coverage"], found["below"], found["above"]) == (0.5, 0.25, 0.25)
    assert found["score"] == pytest.approx(2 + 20 * (1 + 3) / 4)


def test_the_plain_interval_waits_for_a_year_and_knows_the_past_alone():
    rng = np.random.default_rng(2017)
    closes = 100 * np.exp(np.cumsum(rng.normal(0, 0.01, 600)))
    made = np.arange(599)
    low, high = accuracy.plain_interval(closes, made, 0.9)
    assert np.isnan(low[:250]).all()
    assert not np.isnan(low[250:]).any()
    changed = closes.copy()
    changed[401:] *= 2
    assert (accuracy.plain_interval(changed, made, 0.9)[0][250:401] == low[250:401]).all()
    inside = (low[250:] <= closes[251:]) & (closes[251:] <= high[250:])
    assert inside.mean() == pytest.approx(0.9, abs=0.04)


def test_years_are_those_of_the_days_forecast(tmp_path):
    prices = history(tmp_path, [1, 2, 3, 4], first="2000-12-30")
    made = [Forecast(at, at + 1, None, 2.0, 1.0, 3.0, 0.8) for at in range(3)]
    found = accuracy.accuracy(prices, made, rolling=5, level=0.9)
    assert [(one["year"], one["judged"], one["coverage"]) for one in found["by_year"]] == [
        (2000, 1, 1.0),
        (2001, 2, 0.5),
    ]
    assert found["interval"]["model"]["level"] == 0.8
    assert "Its 80% interval holds 66.7% of the closes." in found["verdict"]
