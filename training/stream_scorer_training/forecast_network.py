"""Trains one network of the forecaster with the shipped arithmetic, and stops early by the loss on the last years."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from stream_scorer.models import tf_sp500_lstm as lstm
from stream_scorer_training.network import Weights, initial_weights
from stream_scorer_training.windows import training_starts

Floats = npt.NDArray[np.float64]
Loss = Callable[[Any, Any], Any]
BATCH = 100
EVERY, PATIENCE, MOST = 25, 100, 500
"""Iterations between evaluations of the tail, without progress before training stops, and at most."""
SKIPPED = 5
"""First steps of each window that the loss leaves out: after so few inputs they teach only the mean."""


def squared(outputs: Any, targets: Any) -> Any:
    """Return the squared errors, for outputs that forecast the target itself."""
    return tf.square(outputs - targets)


def likelihood(outputs: Any, targets: Any) -> Any:
    """Return -ln of the normal density, less a constant, for outputs that forecast ln of the targets' standard deviation."""
    return outputs + 0.5 * tf.square(targets) * tf.exp(-2.0 * outputs)


@dataclass(frozen=True)
class Fitted:
    """The weights with the least loss on the tail.

    iterations: number made until then; 0: the initial weights were best.
    loss_before, loss_after: mean loss on the tail of the initial weights and of these.
    """

    weights: Weights
    iterations: int
    loss_before: float
    loss_after: float


def fit(inputs: Floats, targets: Floats, tail: int, loss: Loss, *, seed: int, rate: float = 1e-3) -> Fitted:
    """Train on windows of 30 inputs that end before `tail`, and stop by the loss of the windows that end at or after it.

    The readout starts at zero, so the first forecast adds nothing. Blocks. Deterministic on one kind of machine.

    Args:
        inputs: [T].
        targets: [T]; targets[t] is what the output after inputs[t] forecasts.
        tail: index into both. The caller makes sure that targets before it are of days before it, too.
        loss: (outputs, targets) -> loss of each.
    """
    weights = initial_weights(seed)
    weights[f"{lstm.scope}/kernel"] = np.zeros_like(weights[f"{lstm.scope}/kernel"])
    trainer = _Adam(weights, loss, rate)
    last = np.arange(tail, len(inputs))

    def tail_loss(now: Weights) -> float:
        return float(np.mean(loss(outputs(now, inputs, last), targets[last].astype(np.float32))))

    at_start = tail_loss(weights)
    best = Fitted(weights, 0, at_start, at_start)
    steps = np.arange(lstm.n_steps)[:, None]
    for iteration in range(1, MOST + 1):
        starts = np.array(training_starts(tail, BATCH, lstm.n_steps, seed + iteration))
        trainer.step(inputs[starts + steps].astype(np.float32), targets[starts + steps].astype(np.float32))
        if iteration % EVERY == 0:
            now = trainer.weights()
            after = tail_loss(now)
            if after < best.loss_after:
                best = Fitted(now, iteration, at_start, after)
            elif iteration - best.iterations >= PATIENCE:
                break
    return best


def outputs(weights: Weights, inputs: Floats, ends: npt.NDArray[np.intp]) -> npt.NDArray[np.float32]:
    """Return the outputs, [N], after the windows of 30 inputs that end at the indices `ends`, [N], each at least 29."""
    windows = np.lib.stride_tricks.sliding_window_view(inputs.astype(np.float32), lstm.n_steps)
    columns = np.ascontiguousarray(windows[np.asarray(ends) - (lstm.n_steps - 1)].T)
    last: npt.NDArray[np.float32] = _program()(weights, columns)[-1].numpy()
    return last


def _forward(weights: Any, columns: Any) -> Any:
    """Return the outputs after every step, [30, N], of windows [30, N]."""
    cells, (row, bias) = lstm.fold(weights)
    states = [tf.zeros([lstm.n_units, tf.shape(columns)[1]])] * (2 * lstm.n_layers)
    outputs_of_steps = []
    for step in range(lstm.n_steps):
        states = lstm.step(cells, columns[step][None], states)
        outputs_of_steps.append(tf.linalg.matvec(states[-1], row, transpose_a=True) + bias)
    return tf.stack(outputs_of_steps)


@functools.cache
def _program() -> Any:
    return tf.function(_forward, reduce_retracing=True)


class _Adam:
    """Adam with epsilon 1e-8 and gradients clipped to a norm of 1, as the likelihood of a crash has steep gradients."""

    def __init__(self, weights: Weights, loss: Loss, rate: float) -> None:
        self._names = list(weights)
        self._values = [tf.Variable(weights[name]) for name in self._names]
        self._means = [tf.Variable(tf.zeros_like(value)) for value in self._values]
        self._squares = [tf.Variable(tf.zeros_like(value)) for value in self._values]
        self._done = tf.Variable(0.0)
        self._loss, self._rate = loss, rate
        self._step = tf.function(self._train)

    def step(self, columns: Any, targets: Any) -> None:
        self._step(tf.constant(columns), tf.constant(targets))

    def weights(self) -> Weights:
        return {name: value.numpy() for name, value in zip(self._names, self._values, strict=True)}

    def _train(self, columns: Any, targets: Any) -> None:
        with tf.GradientTape() as tape:
            made = _forward(dict(zip(self._names, self._values, strict=True)), columns)
            loss = tf.reduce_mean(self._loss(made[SKIPPED:], targets[SKIPPED:]))
        gradients, _ = tf.clip_by_global_norm(tape.gradient(loss, self._values), 1.0)
        done = self._done.assign_add(1.0)
        rate = self._rate * tf.sqrt(1 - 0.999**done) / (1 - 0.9**done)
        for value, mean, square, gradient in zip(self._values, self._means, self._squares, gradients, strict=True):
            mean.assign(0.9 * mean + 0.1 * gradient)
            square.assign(0.999 * square + 0.001 * gradient * gradient)
            value.assign_sub(rate * mean / (tf.sqrt(square) + 1e-8))
