"""Trains with Adam on random windows: many iterations in one call, without Python between them.

Each batch is computed in two halves, which do not depend on each other until their gradients are added. Each half is one
compiled program on a device of its own, so two cores work on a batch. More threads inside one product of this size cost
more time than they save. The series is kept on the devices, and windows are gathered there.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from stream_scorer.models import tf_sp500_lstm as module
from stream_scorer_training.gradients import STEPS, loss_and_gradients

Floats = npt.NDArray[np.float32]
BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-8
CHUNK = 50
"""Most iterations of one call. They take half a second, so the progress bar moves and a kill loses little."""


@dataclass(frozen=True)
class State:
    """The state of training after `done` iterations; training continues from it.

    weights, means, squares: float32 arrays in the order of `module.variable_shapes()`; the weights, and Adam's first and
    second moments of their gradients.
    """

    done: int
    weights: Sequence[Any]
    means: Sequence[Any]
    squares: Sequence[Any]

    @classmethod
    def start(cls, weights: Mapping[str, Floats]) -> State:
        """Return the state before the first iteration. weights: by the names of `module.variable_shapes()`."""
        arrays = [weights[name] for name in module.variable_shapes()]
        zeros = [np.zeros_like(array) for array in arrays]
        return cls(0, arrays, zeros, zeros)

    def by_name(self) -> dict[str, Floats]:
        """Return the weights by the names of `module.variable_shapes()`."""
        return {name: np.asarray(array) for name, array in zip(module.variable_shapes(), self.weights, strict=True)}


def use_two_devices() -> None:
    """Split the CPU into two devices of one thread each. Call it before TensorFlow does anything.

    On a machine with one core the two take turns; the bits are the same.
    """
    os.environ["TF_OVERRIDE_GLOBAL_THREADPOOL"] = "1"  # a pool for each device, not one for all
    os.environ["TF_NUM_INTRAOP_THREADS"] = "1"
    halves = [tf.config.LogicalDeviceConfiguration()] * 2
    tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], halves)


class Trainer:
    """Trains on windows of one series, on two devices if `use_two_devices` was called.

    It is deterministic: on one kind of machine, the same state and starts give the same bits, however many iterations each
    call does.

    Args:
        series: [T], cast to float32.
        batch_size: number of windows per iteration, at least 2.
        learning_rate: of Adam as TensorFlow 1 computes it: epsilon is added to the root of the uncorrected second moment
            (Kingma and Ba 2015, the remark at the end of their section 2).
    """

    def __init__(self, series: npt.ArrayLike, batch_size: int = 100, learning_rate: float = 1e-3) -> None:
        devices = [device.name for device in tf.config.list_logical_devices("CPU")]
        self._devices = [devices[0], devices[min(1, len(devices) - 1)]]
        self._series = tf.constant(np.asarray(series, np.float32))
        self._batch_size, self._rate = batch_size, learning_rate
        # A program per device, because a compiled program stays on the device where it first ran.
        self._parts = [tf.function(self._part, jit_compile=True, autograph=False) for _ in self._devices]
        self._moved = tf.function(_adam, jit_compile=True, autograph=False)
        self._program = tf.function(self._advance, autograph=False)

    def advance(self, state: State, starts: npt.ArrayLike) -> tuple[State, Floats]:
        """Do one iteration per row of `starts`. Returns the new state and, [n], the loss before each iteration.

        Blocks until all are done.

        Args:
            starts: [n, batch_size], n at most CHUNK: first index of each window, at most T - STEPS - 1.
        """
        given = np.asarray(starts, np.int32)
        count = len(given)
        padded = np.zeros((CHUNK, self._batch_size), np.int32)
        padded[:count] = given
        arguments = (
            [tf.convert_to_tensor(array) for array in part] for part in (state.weights, state.means, state.squares)
        )
        weights, means, squares, losses = self._program(
            self._series, tf.constant(padded), tf.constant(self._rates(state.done)), tf.constant(count), *arguments
        )
        return State(state.done + count, weights, means, squares), losses.numpy()[:count]

    def _rates(self, done: int) -> Floats:
        """Return the step sizes of the next CHUNK iterations, [CHUNK], corrected for moments that start at zero."""
        nth = done + 1 + np.arange(CHUNK)
        rates: Floats = (self._rate * np.sqrt(1 - BETA_2**nth) / (1 - BETA_1**nth)).astype(np.float32)
        return rates

    def _advance(self, series: Any, starts: Any, rates: Any, count: Any, *state: Any) -> Any:
        half = self._batch_size // 2

        def body(at: Any, weights: Any, means: Any, squares: Any, losses: Any) -> Any:
            batch, halves = tf.gather(starts, at), []
            for device, program, part in zip(self._devices, self._parts, (batch[:half], batch[half:]), strict=True):
                with tf.device(device):
                    halves.append(program(series, part, weights))
            (loss, gradients), (other_loss, others) = halves
            with tf.device(self._devices[0]):
                moved = self._moved(weights, means, squares, gradients, others, rates[at])
            return at + 1, *moved, losses.write(at, loss + other_loss)

        start = (0, *map(list, state), tf.TensorArray(tf.float32, CHUNK, element_shape=[]))
        # TensorFlow would start further iterations ahead of time, which gains nothing: each needs the weights of the last.
        _, *moved, losses = tf.while_loop(
            lambda at, *_: at < count, body, start, parallel_iterations=1, maximum_iterations=CHUNK
        )
        return *moved, losses.stack()

    def _part(self, series: Any, starts: Any, weights: Sequence[Any]) -> tuple[Any, list[Any]]:
        """Return the loss and gradients of half a batch, as `loss_and_gradients` does. starts: [batch_size / 2]."""
        windows = tf.gather(series, starts[None] + tf.range(STEPS + 1)[:, None])
        return loss_and_gradients(weights, windows[:-1], windows[1:], self._batch_size * STEPS)


def _adam(
    weights: Sequence[Any],
    means: Sequence[Any],
    squares: Sequence[Any],
    first: Sequence[Any],
    second: Sequence[Any],
    rate: Any,
) -> tuple[list[Any], ...]:
    """Return weights, means and squares after a step. first, second: gradients of the two halves of the batch."""
    gradients = [one_half + other_half for one_half, other_half in zip(first, second, strict=True)]
    means = [BETA_1 * mean + (1 - BETA_1) * gradient for mean, gradient in zip(means, gradients, strict=True)]
    squares = [
        BETA_2 * square + (1 - BETA_2) * gradient * gradient
        for square, gradient in zip(squares, gradients, strict=True)
    ]
    weights = [
        weight - rate * mean / (tf.sqrt(square) + EPSILON)
        for weight, mean, square in zip(weights, means, squares, strict=True)
    ]
    return weights, means, squares
