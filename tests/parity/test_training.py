"""Training: the module's own derivative, the same bits in calls of any length, killed or not; and its report."""

from __future__ import annotations

import json
import re
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest

from support.service import command, run

pytestmark = pytest.mark.tensorflow


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> dict[str, Path]:
    """A made-up index across the split, and its CPI."""
    from stream_scorer_training.data import synthetic_prices

    folder = tmp_path_factory.mktemp("data")
    prices, cpi = synthetic_prices(1_400, start="2003-01-02")
    prices.to_csv(folder / "prices.csv")
    cpi.rename_axis("DATE").to_csv(folder / "cpi.csv")
    return {"prices": folder / "prices.csv", "cpi": folder / "cpi.csv"}


@pytest.fixture(scope="module")
def series() -> np.ndarray:
    return np.cumsum(np.random.default_rng(7).standard_normal(400)) * 0.1


def starts(first: int, count: int) -> list[list[int]]:
    from stream_scorer_training.windows import training_starts

    return [training_starts(400, 6, seed=seed) for seed in range(first, first + count)]


def reference(weights, inputs, targets):
    """TensorFlow's own derivative of the mean squared error of the module's own `step`. [STEPS, B] each."""
    import tensorflow as tf

    from stream_scorer.models import tf_sp500_lstm as module

    variables = {name: tf.Variable(value) for name, value in weights.items()}
    with tf.GradientTape() as tape:
        cells, (row, bias) = module.fold(variables)
        states = [tf.zeros([module.n_units, inputs.shape[1]])] * (2 * module.n_layers)
        outputs = []
        for at in range(module.n_steps):
            states = module.step(cells, inputs[at][None], states)
            outputs.append(tf.linalg.matvec(states[-1], row, transpose_a=True) + bias)
        loss = tf.reduce_mean(tf.square(tf.stack(outputs) - targets))
    return float(loss), [one.numpy() for one in tape.gradient(loss, list(variables.values()))]


@pytest.mark.parametrize("scale", [1, 3])
def test_the_gradients_are_those_of_the_modules_own_step(series, scale):
    """Also with gates near saturation and biases that are not zero."""
    import tensorflow as tf
    from stream_scorer_training.gradients import STEPS, loss_and_gradients
    from stream_scorer_training.network import initial_weights

    rng = np.random.default_rng(3)
    weights = {
        name: scale * value if value.any() else rng.uniform(-0.3, 0.3, value.shape).astype(np.float32)
        for name, value in initial_weights(1).items()
    }
    windows = np.lib.stride_tricks.sliding_window_view(series.astype(np.float32), STEPS + 1)[::90].T
    inputs, targets = tf.constant(windows[:-1]), tf.constant(windows[1:])
    loss, gradients = tf.function(loss_and_gradients, jit_compile=True)(
        [tf.constant(one) for one in weights.values()], inputs, targets, windows[1:].size
    )
    expected_loss, expected = reference(weights, inputs, targets)
    assert float(loss) == pytest.approx(expected_loss, rel=1e-5)
    for name, found, right in zip(weights, gradients, expected, strict=True):
        assert found.shape == right.shape
        np.testing.assert_allclose(found, right, atol=2e-5 * np.abs(right).max(), err_msg=name)


def test_an_iteration_is_adams(series):
    """As TensorFlow 1 has it, written down once more in NumPy."""
    from stream_scorer_training import network
    from stream_scorer_training.trainer import State, Trainer

    weights = network.initial_weights(5)
    state, losses = Trainer(series, 6).advance(State.start(weights), starts(0, 2))
    assert state.done == 2
    assert losses.shape == (2,)
    moments = dict.fromkeys(weights, (0, 0))
    for nth in (1, 2):
        windows = np.stack([series[at : at + 31] for at in starts(nth - 1, 1)[0]]).astype(np.float32).T
        loss, gradients = reference(weights, windows[:-1], windows[1:])
        assert losses[nth - 1] == pytest.approx(loss, rel=1e-4)
        for name, gradient in zip(weights, gradients, strict=True):
            mean, square = moments[name]
            mean, square = 0.9 * mean + 0.1 * gradient, 0.999 * square + 0.001 * gradient**2
            moments[name] = mean, square
            rate = 1e-3 * np.sqrt(1 - 0.999**nth) / (1 - 0.9**nth)
            weights[name] = (weights[name] - rate * mean / (np.sqrt(square) + 1e-8)).astype(np.float32)
    for name, found in state.by_name().items():
        np.testing.assert_allclose(found, weights[name], atol=2e-5, err_msg=name)


def test_calls_of_any_length_give_the_same_bits(series, tmp_path):
    from stream_scorer_training import network
    from stream_scorer_training.checkpoint import Checkpoint
    from stream_scorer_training.trainer import State, Trainer

    trainer = Trainer(series, 6)
    whole, losses = trainer.advance(State.start(network.initial_weights(5)), starts(0, 9))
    parts, found = State.start(network.initial_weights(5)), []
    for count in (4, 1, 3, 1):
        parts, some = trainer.advance(parts, starts(parts.done, count))
        found += some.tolist()
        checkpoint = Checkpoint(tmp_path / "c.npz", {})
        checkpoint.save(parts, found)
        parts, found = checkpoint.load(9)
    assert found == losses.tolist()
    assert losses[-1] < losses[0]
    for name, one in whole.by_name().items():
        assert one.tobytes() == parts.by_name()[name].tobytes(), name


def outputs(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.slow
def test_killed_and_begun_again_it_ends_with_the_same_files(files, tmp_path):
    options = {**files, "iterations": 200, "seeds": 1, "no_plots": True}
    done = run("train", **options, out=tmp_path / "whole")
    assert done.returncode == 0, done.stderr
    process = subprocess.Popen(command("train", **options, out=tmp_path / "killed"), stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 600  # ends a hang; a busy machine takes minutes
    while not (tmp_path / "killed" / "checkpoint-2017.npz").exists():
        assert process.poll() is None, "ended before its first checkpoint"
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.kill()
    process.wait()
    assert not (tmp_path / "killed" / "report.json").exists()
    done = run("train", **options, out=tmp_path / "killed")
    assert done.returncode == 0, done.stderr
    assert re.search(r"seed 2017 goes on after 100 iterations", done.stdout)
    assert outputs(tmp_path / "killed") == outputs(tmp_path / "whole")
    assert not list(tmp_path.glob("*/checkpoint*")), "what is done needs none"


def test_the_report_is_one_page_that_needs_nothing_else(files, tmp_path):
    done = run("train", **files, out=tmp_path, iterations=3, seeds=2, seed=11, max_gap=3, no_plots=True)
    assert done.returncode == 0, done.stderr
    report, page = json.loads((tmp_path / "report.json").read_text()), (tmp_path / "report.html").read_text()
    body = page.partition("<body>")[2]
    assert (
        re.sub(r"<[^>]+>", "", body.partition("</h1>")[2]).strip().startswith(report["verdict"].replace("'", "&#x27;"))
    )
    assert not re.search(r"https?://|\bsrc=|\bhref=|@import|url\(", page)
    assert [one["training"]["seed"] for one in report["seeds"]] == [11, 12]
    assert report["seeds"][0]["test"] == report["test"] != report["seeds"][1]["test"]
    for text in ("seed 11", "seed 12", "least to most", "Diebold-Mariano t", "drift walk", "0.00028", "By year"):
        assert text in page, text
    for name in ("prices", "cpi"):
        assert report["data"][name]["sha256"] in page
    assert report["data"]["prices"]["gaps"] == [], "the made-up index trades on each business day"
    assert page.count("<svg") == 10


def test_what_was_trained_on_is_left_for_drift_and_goes_into_the_bundle(files, tmp_path):
    from stream_scorer_training.data import read_cpi, read_prices
    from stream_scorer_training.prepare import prepare

    from stream_scorer.model.reference import MAX_SIZE, read_reference, thinned

    weights, bundle = tmp_path / "weights", tmp_path / "bundle"
    done = run("train", **files, out=weights, iterations=1, seeds=1, no_plots=True)
    assert done.returncode == 0, done.stderr
    seen = read_reference(weights / "reference.json")  # refuses all but a list of finite numbers
    assert seen == prepare(read_prices(files["prices"]), read_cpi(files["cpi"])).training.tolist()
    done = run("export", weights=weights, out=bundle)
    assert done.returncode == 0, done.stderr
    assert len(seen) > MAX_SIZE
    assert read_reference(bundle / "reference.json") == thinned(seen)


def test_gaps_are_told(files, tmp_path):
    lines = files["prices"].read_text().splitlines()
    (tmp_path / "p.csv").write_text("\n".join(lines[:500] + lines[510:]))
    done = run(
        "train", prices=tmp_path / "p.csv", cpi=files["cpi"], out=tmp_path / "o", iterations=1, seeds=1, no_plots=True
    )
    assert done.returncode == 0, done.stderr
    assert re.search(r"p\.csv: nothing between 2004-\d\d-\d\d and 2004-\d\d-\d\d, 15 days", done.stdout)
    assert "Gaps of more than 7 days: 2004-" in (tmp_path / "o" / "report.html").read_text()


@pytest.mark.parametrize(("first", "last", "part"), [(1, 300, "from"), (1200, 1400, "up to")])
def test_too_few_days_are_told_with_what_there_is(files, tmp_path, first, last, part):
    lines = files["prices"].read_text().splitlines()
    (tmp_path / "p.csv").write_text("\n".join([lines[0], *lines[first:last]]))
    done = run("train", prices=tmp_path / "p.csv", cpi=files["cpi"], out=tmp_path / "o")
    assert done.returncode == 2
    assert re.search(rf"0 days {part} 2007-06-01 have a close and a CPI, \d+ are needed", done.stderr)
    assert not (tmp_path / "o").exists()


def test_files_given_in_each_others_place_are_told(files, tmp_path):
    """A file of FRED may hold any series, prices too."""
    done = run("train", prices=files["cpi"], cpi=files["cpi"], out=tmp_path / "o")
    assert done.returncode == 2
    assert re.search(
        r"cpi\.csv: a value every 31 days; daily closes are needed\. Were --prices and --cpi exchanged", done.stderr
    )
    assert not done.stdout.strip()


@pytest.mark.soak
def test_the_shipped_weights_are_those_that_training_gives(reference_data, tmp_path):
    """To a hair on any machine: the last bits differ between kinds of CPU."""
    from stream_scorer_training import network
    from stream_scorer_training.shipped import ATTACHMENT, shipped_facts

    from stream_scorer.model.archive import read_archive

    data = {"prices": reference_data / "sp500.csv", "cpi": reference_data / "CPIAUCSL.csv"}
    done = run("train", **data, out=tmp_path / "trained", seeds=1, no_plots=True)
    assert done.returncode == 0, done.stderr
    (tmp_path / "shipped").mkdir()
    for name, content in read_archive(ATTACHMENT).items():
        (tmp_path / "shipped" / name).write_bytes(content)
    trained, shipped = (network.load(tmp_path / folder / "tf_sp500_lstm") for folder in ("trained", "shipped"))
    for name, right in shipped.items():
        np.testing.assert_allclose(trained[name], right, atol=1e-3, err_msg=name)
    facts = json.loads((tmp_path / "trained" / "tf_sp500_lstm.json").read_text())
    assert {**facts, "training": None} == {**shipped_facts(), "training": None}
    assert facts["training"] == pytest.approx(shipped_facts()["training"], rel=1e-3)
