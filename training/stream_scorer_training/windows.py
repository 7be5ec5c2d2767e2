"""Draws the windows to train on."""

from __future__ import annotations

import random

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def training_starts(size: int, batch_size: int, n_steps: int = 30, seed: int = 2017) -> list[int]:
    """Return the first indices of `batch_size` different windows of a series of length `size`, ascending.

    Python's `random` draws them after this seed. Raises ValueError: the series is too short.
    """
    return sorted(random.Random(seed).sample(range(size - n_steps - 1), batch_size))


def make_training_sequences(
    array: npt.ArrayLike, batch_size: int, n_steps: int = 30, seed: int = 2017
) -> tuple[Floats, Floats]:
    """Return input windows and the same windows one step later, float64 [batch_size, n_steps, 1], in order of time.

    Raises ValueError: the series is too short for so many different windows.
    """
    series = np.asarray(array, np.float64)
    starts = np.array(training_starts(len(series), batch_size, n_steps, seed))
    steps = starts[:, None] + np.arange(n_steps)
    return series[steps][:, :, None], series[steps + 1][:, :, None]
