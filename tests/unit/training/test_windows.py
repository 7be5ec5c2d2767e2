"""Training windows: the tutorial's, bit for bit."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stream_scorer_training.windows import make_training_sequences, training_starts


@pytest.mark.parametrize("seed", [2017, 2018, 3516])
@pytest.mark.parametrize(("size", "count", "steps"), [(14_445, 100, 30), (200, 5, 30), (40, 9, 30), (50, 10, 3)])
def test_starts_are_those_of_the_global_generator_after_the_seed(size, count, steps, seed):
    """The tutorial seeds Python's own generator, and leaves the last possible start out."""
    random.seed(seed)
    drawn = random.sample(range(size - steps - 1), count)
    assert training_starts(size, count, steps, seed) == sorted(drawn)


def test_the_global_generator_is_left_alone():
    random.seed(1)
    expected = random.random()
    random.seed(1)
    training_starts(1000, 10)
    assert random.random() == expected


@given(size=st.integers(35, 200), seed=st.integers(0, 100))
def test_targets_are_the_inputs_one_step_later_in_order_of_time(size, seed):
    inputs, targets = make_training_sequences(np.arange(size), 4, seed=seed)
    assert inputs.shape == targets.shape == (4, 30, 1)
    assert (targets == inputs + 1).all()
    assert (np.diff(inputs[:, 0, 0]) > 0).all()
    assert targets.max() <= size - 2, "the tutorial never draws the last start"


def test_steps_may_be_few():
    inputs, targets = make_training_sequences([1, 2, 3, 4, 5], 1, n_steps=3)
    assert inputs[0, :, 0].tolist() == [1, 2, 3]
    assert targets[0, :, 0].tolist() == [2, 3, 4]


def test_a_series_too_short_is_told():
    with pytest.raises(ValueError, match="larger than population"):
        make_training_sequences(np.zeros(40), 10)
