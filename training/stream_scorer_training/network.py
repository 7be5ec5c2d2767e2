"""Draws, writes and reads the network's weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from stream_scorer.models import tf_sp500_lstm as module

Weights = dict[str, npt.NDArray[np.float32]]


def initial_weights(seed: int) -> Weights:
    """Return Glorot-uniform kernels and zero biases, float32, by the variables' names in a checkpoint.

    NumPy draws them, because TensorFlow's own operations give other numbers for the same seed in each version.
    """
    rng = np.random.RandomState(seed)
    weights = {}
    for name, shape in module.variable_shapes().items():
        if name.endswith("bias"):
            weights[name] = np.zeros(shape, np.float32)
        else:
            limit = np.sqrt(6 / sum(shape))
            weights[name] = rng.uniform(-limit, limit, shape).astype(np.float32)
    return weights


def save(weights: Weights, prefix: Path) -> None:
    """Write a checkpoint with TensorFlow 1's names of variables: PREFIX.index and PREFIX.data-00000-of-00001."""
    names = sorted(weights)
    tf.raw_ops.SaveV2(
        prefix=str(prefix),
        tensor_names=names,
        shape_and_slices=[""] * len(names),
        tensors=[weights[name] for name in names],
    )


def load(prefix: Path) -> Weights:
    """Read a checkpoint that `save` wrote. Raises TensorFlow's own errors."""
    checkpoint = tf.train.load_checkpoint(str(prefix))
    return {name: checkpoint.get_tensor(name) for name in module.variable_shapes()}
