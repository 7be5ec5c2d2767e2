"""What a training goes on from: written whole or not at all, never mixed with another's."""

from __future__ import annotations

import numpy as np
import pytest

from stream_scorer.errors import SettingsError

pytestmark = pytest.mark.tensorflow
SETTINGS = {"seed": 2017, "rate": 1e-3}


@pytest.fixture
def state():
    from stream_scorer_training.trainer import State

    rng = np.random.default_rng(1)
    arrays = [rng.standard_normal(shape, np.float32) for shape in ((3, 4), (4,))]
    return State(100, arrays, [one * 2 for one in arrays], [one * 3 for one in arrays])


@pytest.fixture
def checkpoint(tmp_path):
    from stream_scorer_training.checkpoint import Checkpoint

    return lambda settings=SETTINGS: Checkpoint(tmp_path / "new" / "checkpoint-1.npz", settings)


def test_what_was_saved_comes_back_bit_for_bit(checkpoint, state, tmp_path):
    assert checkpoint().load(most=1500) is None
    checkpoint().save(state, [0.1, 1 / 3])
    found, losses = checkpoint().load(most=1500)
    assert (found.done, losses) == (100, [0.1, 1 / 3])
    for part in ("weights", "means", "squares"):
        assert [one.tobytes() for one in getattr(found, part)] == [one.tobytes() for one in getattr(state, part)]
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["checkpoint-1.npz"], "no half-written file stays"
    checkpoint().remove()
    assert checkpoint().load(most=1500) is None


def test_another_trainings_is_passed_over(checkpoint, state):
    checkpoint().save(state, [])
    assert checkpoint(SETTINGS | {"rate": 3e-4}).load(most=1500) is None


def test_one_that_went_further_is_passed_over(checkpoint, state):
    checkpoint().save(state, [])
    assert checkpoint().load(most=100)[0].done == 100
    assert checkpoint().load(most=99) is None


def test_a_file_that_is_none_is_told(checkpoint, state, tmp_path):
    checkpoint().save(state, [])
    path = tmp_path / "new" / "checkpoint-1.npz"
    for content in (b"no zip", path.read_bytes()[:200]):
        path.write_bytes(content)
        with pytest.raises(
            SettingsError, match=r"checkpoint-1\.npz: expected the checkpoint of a training .*Delete the file"
        ):
            checkpoint().load(most=1500)
