"""From closes and CPI to what the network sees."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from stream_scorer_training import data, prepare


@pytest.fixture(scope="module")
def made_up():
    return data.synthetic_prices(1600)


def test_the_trend_of_a_line_is_that_line():
    dates = pd.DatetimeIndex(["2001-01-01", "2001-01-02", "2001-01-04"])
    trend = prepare.fit_trend(pd.Series([2.0, 2.5, 3.5], dates))
    assert trend.epoch == dates[0]
    assert (trend.slope, trend.intercept) == pytest.approx((0.5, 2.0))
    assert trend.at(pd.DatetimeIndex(["2001-01-03"])) == pytest.approx([3.0])


def test_the_trend_is_fitted_on_the_training_part_alone(made_up):
    prices, cpi = made_up
    changed = prices.copy()
    changed["2007-06-02":] *= 2
    assert prepare.prepare(changed, cpi).trend == prepare.prepare(prices, cpi).trend


def test_what_is_adjusted_has_no_trend_left(made_up):
    prepared = prepare.prepare(*made_up)
    left = prepare.fit_trend(prepared.training)
    assert (left.slope, left.intercept) == pytest.approx((0, 0), abs=1e-12)


def test_the_split_day_is_in_both_parts(made_up):
    prepared = prepare.prepare(*made_up)
    day = pd.Timestamp(prepare.SPLIT)
    assert prepared.training.index[-1] == prepared.test.index[0] == day
    assert len(prepared.training) + len(prepared.test) == len(prepared.adjusted) + 1


def test_cpi_is_linear_between_the_months():
    cpi = pd.Series([100.0, 121.0], pd.DatetimeIndex(["2001-01-01", "2001-01-30"]))
    daily = prepare.business_day_cpi(cpi)
    assert daily["2001-01-02"] == pytest.approx(101.0)
    assert daily["2001-01-08"] == pytest.approx(105.0), "by business days, not by days"


def test_a_month_that_begins_on_a_weekend_does_not_count():
    """The tutorial's asfreq drops it."""
    cpi = pd.Series([100.0, 500.0, 102.0], pd.DatetimeIndex(["2001-08-01", "2001-09-01", "2001-10-01"]))
    assert prepare.business_day_cpi(cpi).max() == 102.0


def test_days_without_cpi_are_left_out():
    days = pd.bdate_range("2001-01-01", "2001-03-01")
    prices = pd.Series(1.0, days)
    cpi = pd.Series([2.0, 2.0], pd.DatetimeIndex(["2001-01-01", "2001-02-01"]))
    normalized, daily = prepare.normalize(prices, cpi)
    assert normalized.index[-1] == pd.Timestamp("2001-02-01")
    assert (normalized == 0.5).all()
    assert daily.index.equals(normalized.index)


def test_unadjust_is_the_inverse_of_adjust(made_up):
    prices, cpi = made_up
    trend = prepare.prepare(prices, cpi).trend
    adjusted = prepare.adjust(prices, cpi, trend)
    back = prepare.unadjust(adjusted.to_numpy(), adjusted.index, cpi, trend)
    np.testing.assert_allclose(back, prices[adjusted.index], rtol=1e-12)


def test_adjust_is_what_prepare_gives(made_up):
    prepared = prepare.prepare(*made_up)
    adjusted = prepare.adjust(*made_up, prepared.trend)
    pd.testing.assert_series_equal(adjusted, prepared.adjusted, check_exact=True)


def test_the_tutorials_own_figures(reference_data):
    prices = data.read_prices(reference_data / "sp500.csv")
    prepared = prepare.prepare(prices, data.read_cpi(reference_data / "CPIAUCSL.csv"))
    assert len(prepared.training) == 14_445
    assert prepared.trend.epoch == pd.Timestamp("1950-01-03")
    assert prepared.trend.slope == pytest.approx(0.00023195479589919, rel=1e-12)
    assert prepared.trend.intercept == pytest.approx(0.438063463257808, rel=1e-12)
