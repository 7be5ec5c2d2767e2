"""The network in training: the shipped module's own `fold` and `step`, so that its topology exists once."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from training.model import tf_sp500_lstm as module

Weights = dict[str, npt.NDArray[np.float32]]
BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-8


def initial_weights(seed: int) -> Weights:
    """Glorot-uniform kernels and zero biases, by checkpoint name.

    Drawn by NumPy: TensorFlow's own ops give other numbers for the same seed in every version.
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


class Trainer:
    """Adam on the mean squared error over all steps of all windows.

    Deterministic: the same weights and batches give the same bits on one kind of machine.

    Args:
        weights: where to start.
        learning_rate: of Adam, with epsilon 1e-8 as in TensorFlow 1.
    """

    def __init__(self, weights: Mapping[str, npt.NDArray[np.float32]], learning_rate: float = 1e-3) -> None:
        self._names = list(weights)
        self._values = [tf.Variable(weights[name]) for name in self._names]
        self._means = [tf.Variable(tf.zeros_like(value)) for value in self._values]
        self._squares = [tf.Variable(tf.zeros_like(value)) for value in self._values]
        self._done = tf.Variable(0.0)
        self._rate = learning_rate
        # Without XLA: unrolled, it compiles for 16 s here and then takes twice the time a step.
        self._step = tf.function(self._train)

    def step(self, inputs: npt.ArrayLike, targets: npt.ArrayLike) -> float:
        """One iteration on inputs and targets [B, n_steps, 1]; the loss before it."""
        return float(self._step(_columns(inputs), _columns(targets)))

    def weights(self) -> Weights:
        return {name: value.numpy() for name, value in zip(self._names, self._values, strict=True)}

    def _train(self, inputs: Any, targets: Any) -> Any:
        with tf.GradientTape() as tape:
            loss = mean_squared_error(dict(zip(self._names, self._values, strict=True)), inputs, targets)
        gradients = tape.gradient(loss, self._values)
        done = self._done.assign_add(1.0)
        rate = self._rate * tf.sqrt(1 - BETA_2**done) / (1 - BETA_1**done)
        for value, mean, square, gradient in zip(self._values, self._means, self._squares, gradients, strict=True):
            mean.assign(BETA_1 * mean + (1 - BETA_1) * gradient)
            square.assign(BETA_2 * square + (1 - BETA_2) * gradient * gradient)
            value.assign_sub(rate * mean / (tf.sqrt(square) + EPSILON))
        return loss


def mean_squared_error(weights: Mapping[str, Any], inputs: Any, targets: Any) -> Any:
    """Over all steps: inputs and targets [n_steps, B], time first."""
    cells, (row, bias) = module.fold(weights)
    states = [tf.zeros([module.n_units, tf.shape(inputs)[1]])] * (2 * module.n_layers)
    outputs = []
    for step in range(module.n_steps):
        states = module.step(cells, inputs[step][None], states)
        outputs.append(tf.linalg.matvec(states[-1], row, transpose_a=True) + bias)
    return tf.reduce_mean(tf.square(tf.stack(outputs) - targets))


def batch_error(weights: Weights, inputs: npt.ArrayLike, targets: npt.ArrayLike) -> float:
    """Mean squared error of one batch [B, n_steps, 1] under fixed weights."""
    return float(tf.function(mean_squared_error)(weights, _columns(inputs), _columns(targets)))


def save(weights: Weights, prefix: Path) -> None:
    """Write PREFIX.index and PREFIX.data-00000-of-00001: a checkpoint with the variable names of TensorFlow 1."""
    names = sorted(weights)
    tf.raw_ops.SaveV2(
        prefix=str(prefix),
        tensor_names=names,
        shape_and_slices=[""] * len(names),
        tensors=[weights[name] for name in names],
    )


def load(prefix: Path) -> Weights:
    checkpoint = tf.train.load_checkpoint(str(prefix))
    return {name: checkpoint.get_tensor(name) for name in module.variable_shapes()}


def _columns(windows: npt.ArrayLike) -> npt.NDArray[np.float32]:
    """[B, n_steps, 1] -> [n_steps, B], as the module has it."""
    return np.ascontiguousarray(np.asarray(windows, np.float32)[:, :, 0].T)
