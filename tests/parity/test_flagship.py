"""The module that ships: its contract, its weights, and the training that made them."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from support.service import run

pytestmark = pytest.mark.tensorflow
MODEL = Path(__file__).parents[2] / "stream_scorer" / "models"


@pytest.fixture(scope="module")
def module(tmp_path_factory):
    from stream_scorer.model.module import Module
    from stream_scorer.model.sandbox import sandbox

    with sandbox(MODEL / "attachment.tar.gz"):
        found = Module(MODEL / "tf_sp500_lstm.py")
        found.begin()
    yield found
    found.end()


def test_too_few_inputs_raise_the_tutorials_error(module):
    import numpy as np

    with pytest.raises(
        Exception, match=r"Insufficient inputs! X should be an array of shape \(1, k, 1\) where k >= n_steps"
    ):
        module.namespace["predict"](np.zeros((1, 29, 1)))


def test_more_inputs_than_a_window_give_a_forecast_each(module):
    import numpy as np

    series = np.linspace(0, 1, 35)
    made = module.namespace["predict"](series.reshape(1, 35, 1))
    assert made.shape == (1, 6, 1)
    alone = [module.namespace["predict"](series[at : at + 30].reshape(1, 30, 1))[0, 0, 0] for at in range(6)]
    assert made[0, :, 0].tolist() == alone


def test_a_price_that_is_no_finite_number_is_refused_and_leaves_the_window(module):
    from stream_scorer.errors import ActionError

    module.set_state(([1.0, 2.0],))
    for value in (math.nan, math.inf):
        with pytest.raises(ActionError, match="finite"):
            module.push(value)
    assert module.state() == ([1.0, 2.0],)


def test_the_weights_are_small_enough_to_ship():
    assert (MODEL / "attachment.tar.gz").stat().st_size < 2_000_000


def test_training_twice_gives_the_same_weights_and_a_report(tmp_path):
    """On a made-up series across the split, five iterations."""
    from stream_scorer_training.data import synthetic_prices

    prices, cpi = synthetic_prices(1_400, start="2003-01-02")
    prices.to_csv(tmp_path / "prices.csv")
    cpi.rename_axis("DATE").to_csv(tmp_path / "cpi.csv")
    files = []
    for name in ("a", "b"):
        data = {"prices": tmp_path / "prices.csv", "cpi": tmp_path / "cpi.csv"}
        done = run("train", **data, out=tmp_path / name, iterations=5, no_plots=name == "b")
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
        files.append({path.name: path.read_bytes() for path in (tmp_path / name).iterdir() if path.suffix != ".png"})
    assert files[0] == files[1]
    report = json.loads(files[0]["report.json"])
    assert report["test"]["tutorial_mse"] != report["test"]["honest_mse"]
    assert report["test"]["persistence_mse"] > 0
    pictures = sorted(path.name for path in (tmp_path / "a").glob("*.png"))
    assert len(pictures) == 7
    assert all((tmp_path / "a" / name).stat().st_size > 10_000 for name in pictures)
