"""What training fits for the forecaster: its line, its spread, its interval, its choice; and on which days."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from stream_scorer_training import data

from tests.support.forecaster import parameters

pytestmark = pytest.mark.tensorflow


@pytest.fixture(scope="module")
def made_up():
    """Twenty years and more, with spreads that come and go."""
    from stream_scorer_training.forecast_data import with_cpi

    prices, cpi = data.synthetic_prices(6_000, start="1990-01-02")
    return with_cpi(prices, cpi, 31), cpi


@pytest.fixture(scope="module")
def calendar():
    return parameters()["calendar"]


def test_garch_is_found_again():
    from stream_scorer_training.forecast_data import fit_garch

    rng = np.random.default_rng(2017)
    variance, changes = 1e-4, []
    for shock in rng.normal(size=8_000):
        changes.append(np.sqrt(variance) * shock)
        variance = 1e-4 * 0.05 + 0.1 * changes[-1] ** 2 + 0.85 * variance
    found = fit_garch(np.array(changes))
    assert found["alpha"] == pytest.approx(0.1, abs=0.03)
    assert found["beta"] == pytest.approx(0.85, abs=0.05)


def test_the_trend_is_fitted_and_gone_from_the_changes(made_up, calendar):
    from stream_scorer_training import forecast_data

    prices, cpi = made_up
    found = forecast_data.series(prices, forecast_data.fit(prices, cpi, calendar))
    days = np.arange(len(prices))
    assert np.polyfit(days, found.adjusted, 1) == pytest.approx([0, 0], abs=1e-3)
    assert np.std(found.z[1:]) == pytest.approx(1, abs=0.1)


def test_a_month_without_a_figure_has_that_of_the_month_before():
    from stream_scorer_training.forecast_data import known_cpi

    months = pd.date_range("2000-01-01", "2001-06-01", freq="MS")
    cpi = pd.Series(np.arange(100.0, 118), months).drop(pd.Timestamp("2000-05-01"))
    assert known_cpi(cpi)["figures"][3:6] == [103.0, 103.0, 105.0]


def test_closes_from_before_the_first_figure_are_left_out():
    from stream_scorer_training.forecast_data import with_cpi

    prices = pd.Series(1.0, pd.bdate_range("2000-01-03", "2000-04-01"))
    cpi = pd.Series(100.0, pd.date_range("2000-01-01", periods=24, freq="MS"))
    assert with_cpi(prices, cpi, 14).index[0] == pd.Timestamp("2000-02-15")


def test_a_cpi_of_a_year_is_too_short():
    from stream_scorer_training.forecast_data import known_cpi

    from stream_scorer.errors import SettingsError

    with pytest.raises(SettingsError, match="12 months, and 13 are needed"):
        known_cpi(pd.Series(1.0, pd.date_range("2000-01-01", periods=12, freq="MS")))


def test_folds_follow_each_other_and_end_before_the_split(made_up, calendar):
    from stream_scorer_training import forecast_choose

    split = pd.Timestamp("2010-06-01")
    prices, cpi = made_up
    spans = forecast_choose.folds(prices, cpi, calendar, split, 31)
    judged = [(span.series.dates[span.made_at[0] + 1], span.series.dates[span.made_at[-1] + 1]) for span in spans]
    assert len(spans) == 4
    assert judged[0][0] >= pd.Timestamp("1994-06-01")
    assert all(one[1] < other[0] for one, other in itertools.pairwise(judged))
    assert judged[-1][1] < split
    for span in spans:
        assert span.series.dates[span.tail] < span.series.dates[span.first] - pd.DateOffset(years=2)


def test_what_comes_after_the_split_changes_no_fold(made_up, calendar):
    from stream_scorer_training import forecast_choose

    split = pd.Timestamp("2010-06-01")
    prices, cpi = made_up
    changed = prices.copy()
    changed[changed.index >= split] *= 3
    for one, other in zip(
        *(forecast_choose.folds(closes, cpi, calendar, split, 31) for closes in (prices, changed)), strict=True
    ):
        assert one.parameters == other.parameters
        assert one.series.z.tobytes() == other.series.z.tobytes()


def test_a_forecast_that_knows_gains_and_one_that_does_not_is_left_out(made_up, calendar):
    from stream_scorer_training import forecast_choose
    from stream_scorer_training.forecast_choose import Candidate, Tried

    prices, cpi = made_up
    spans = forecast_choose.folds(prices, cpi, calendar, pd.Timestamp("2010-06-01"), 31)
    rng = np.random.default_rng(2017)
    knows, noise = Tried(Candidate("knows", "change")), Tried(Candidate("noise", "change"))
    for span in spans:
        step = forecast_choose.beyond_line(span)
        knows.outputs.append(0.5 * step + rng.normal(0, 0.002, len(step)))
        noise.outputs.append(rng.normal(0, 0.01, len(step)))
    rows = [forecast_choose.judge(one, spans) for one in (knows, noise)]
    assert rows[0]["skill"] > 0.5
    assert rows[0]["t"] > 10
    assert rows[1]["share"] < 0.1
    assert forecast_choose.choose(rows, "change") == rows[0]
    assert forecast_choose.choose(rows[1:], "change") is None


def test_an_interval_starts_at_the_quantiles_and_holds_its_level():
    from stream_scorer_training import forecast_interval

    told = parameters()
    scores = np.random.default_rng(2017).standard_t(5, 6_000)
    rows = forecast_interval.fit(scores, np.ones(6_000), told)
    interval = told["interval"]
    assert interval["q_low"] == pytest.approx(-np.quantile(scores, 0.05))
    assert interval["q_high"] == pytest.approx(np.quantile(scores, 0.95))
    assert interval["step"] in forecast_interval.STEPS
    assert all(row["coverage"] == pytest.approx(0.9, abs=0.02) for row in rows)


def test_the_ends_follow_spreads_that_double():
    from stream_scorer_training import forecast_interval

    rng = np.random.default_rng(2017)
    scores, spreads = 2 * rng.normal(size=3_000), np.ones(3_000)
    still = forecast_interval.follow(scores, 1.645, 1.645, 0.0, 0.9, 0.1)
    moved = forecast_interval.follow(scores, 1.645, 1.645, 0.02, 0.9, 0.1)
    assert forecast_interval.figures(scores, *still, 0.9, spreads)["coverage"] < 0.65
    settled = [part[2_000:] for part in (scores, *moved)]
    assert forecast_interval.figures(*settled, 0.9, spreads[2_000:])["coverage"] == pytest.approx(0.9, abs=0.02)


def test_a_network_that_finds_nothing_stays_at_its_start():
    from stream_scorer_training import forecast_network

    rng = np.random.default_rng(2017)
    noise = rng.normal(size=400)
    found = forecast_network.fit(noise[:-1], noise[1:], 300, forecast_network.squared, seed=1, rate=0.0)
    assert found.iterations == 0
    assert found.loss_after == found.loss_before
    ends = np.arange(29, 399)
    assert not forecast_network.outputs(found.weights, noise, ends).any(), "the readout begins at zero"


def test_training_twice_gives_the_same_weights_bit_for_bit(monkeypatch):
    from stream_scorer_training import forecast_network

    monkeypatch.setattr(forecast_network, "MOST", 25)
    rng = np.random.default_rng(2017)
    spreads = np.repeat(rng.choice([0.5, 2.0], 20), 20)
    changes = spreads * rng.normal(size=400)
    one, two = (
        forecast_network.fit(changes[:-1], changes[1:], 300, forecast_network.likelihood, seed=1, rate=1e-3)
        for _ in range(2)
    )
    assert one.iterations == 25
    assert one.loss_after < one.loss_before, "spreads that last can be learned"
    assert all(one.weights[name].tobytes() == two.weights[name].tobytes() for name in one.weights)


def test_too_few_years_are_told(tmp_path):
    from stream_scorer_training import forecaster

    from stream_scorer.errors import SettingsError

    prices, cpi = data.synthetic_prices(2_000, start="2000-01-03")
    prices.to_csv(tmp_path / "prices.csv")
    cpi.rename_axis("DATE").to_csv(tmp_path / "cpi.csv")
    with pytest.raises(
        SettingsError,
        match=r"begin on 2000-02-01, and must begin by 1986-06-01: choosing and training need 21 years before the split",
    ):
        forecaster.train(tmp_path / "prices.csv", tmp_path / "cpi.csv", tmp_path / "out")
