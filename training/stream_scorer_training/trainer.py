"""Adam on random windows: many iterations in one call, no Python between them.

Each batch is computed as two halves that do not depend on each other until their gradients are added. Each half
is one compiled program on a device of its own, so that two cores share a batch and nothing else: more threads
inside one product of this size cost more than they bring. The series lies on the devices; windows are gathered there.
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
"""Most iterations of one call: half a second, so that progress moves and little is lost to a kill."""


@dataclass(frozen=True)
class State:
    """All that training goes on from after `done` iterations. Arrays in the order of `module.variable_shapes()`.

    means, squares: Adam's first and second moments.
    """

    done: int
    weights: Sequence[Any]
    means: Sequence[Any]
    squares: Sequence[Any]

    @classmethod
    def start(cls, weights: Mapping[str, Floats]) -> State:
        arrays = [weights[name] for name in module.variable_shapes()]
        zeros = [np.zeros_like(one) for one in arrays]
        return cls(0, arrays, zeros, zeros)

    def by_name(self) -> dict[str, Floats]:
        return {name: np.asarray(one) for name, one in zip(module.variable_shapes(), self.weights, strict=True)}


def use_two_devices() -> None:
    """Make two devices of one thread each out of the CPU: to be called before TensorFlow does anything.

    On a machine of one core they take turns: the bits are the same.
    """
    os.environ["TF_OVERRIDE_GLOBAL_THREADPOOL"] = "1"  # a pool for each device, not one for all
    os.environ["TF_NUM_INTRAOP_THREADS"] = "1"
    halves = [tf.config.LogicalDeviceConfiguration()] * 2
    tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], halves)


class Trainer:
    """Trains on windows of one series, on two devices if `use_two_devices` was called.

    Deterministic: the same state and starts give the same bits on one kind of machine, in calls of any length.

    Args:
        series: [T], cast to float32.
        batch_size: windows per iteration, at least 2.
        learning_rate: of Adam as TensorFlow 1 has it, epsilon added to the root of the uncorrected second moment
            (Kingma and Ba 2015, the remark at the end of their section 2).
    """

    def __init__(self, series: npt.ArrayLike, batch_size: int = 100, learning_rate: float = 1e-3) -> None:
        devices = [device.name for device in tf.config.list_logical_devices("CPU")]
        self._devices = [devices[0], devices[min(1, len(devices) - 1)]]
        self._series = tf.constant(np.asarray(series, np.float32))
        self._batch_size, self._rate = batch_size, learning_rate
        # A program for each device: one is compiled for the device it first runs on.
        self._parts = [tf.function(self._part, jit_compile=True, autograph=False) for _ in self._devices]
        self._moved = tf.function(_adam, jit_compile=True, autograph=False)
        self._program = tf.function(self._advance, autograph=False)

    def advance(self, state: State, starts: npt.ArrayLike) -> tuple[State, Floats]:
        """The state after an iteration per row of starts [n, batch_size], n <= CHUNK, and each one's loss before it.

        starts: first index of each window; at most T - STEPS - 1.
        """
        given = np.asarray(starts, np.int32)
        count = len(given)
        padded = np.zeros((CHUNK, self._batch_size), np.int32)
        padded[:count] = given
        arguments = (
            [tf.convert_to_tensor(one) for one in part] for part in (state.weights, state.means, state.squares)
        )
        weights, means, squares, losses = self._program(
            self._series, tf.constant(padded), tf.constant(self._rates(state.done)), tf.constant(count), *arguments
        )
        return State(state.done + count, weights, means, squares), losses.numpy()[:count]

    def _rates(self, done: int) -> Floats:
        """Step sizes of the next CHUNK iterations, corrected for the moments' start at zero."""
        nth = done + 1 + np.arange(CHUNK)
        rates: Floats = (self._rate * np.sqrt(1 - BETA_2**nth) / (1 - BETA_1**nth)).astype(np.float32)
        return rates

    def _advance(self, series: Any, starts: Any, rates: Any, count: Any, *state: Any) -> Any:
        half = self._batch_size // 2

        def body(at: Any, weights: Any, means: Any, squares: Any, losses: Any) -> Any:
            batch, found = tf.gather(starts, at), []
            for device, program, part in zip(self._devices, self._parts, (batch[:half], batch[half:]), strict=True):
                with tf.device(device):
                    found.append(program(series, part, weights))
            (loss, gradients), (other_loss, others) = found
            with tf.device(self._devices[0]):
                moved = self._moved(weights, means, squares, gradients, others, rates[at])
            return at + 1, *moved, losses.write(at, loss + other_loss)

        start = (0, *map(list, state), tf.TensorArray(tf.float32, CHUNK, element_shape=[]))
        # One iteration at a time: TensorFlow would otherwise look ahead, to no avail.
        _, *moved, losses = tf.while_loop(
            lambda at, *_: at < count, body, start, parallel_iterations=1, maximum_iterations=CHUNK
        )
        return *moved, losses.stack()

    def _part(self, series: Any, starts: Any, weights: Sequence[Any]) -> tuple[Any, list[Any]]:
        windows = tf.gather(series, starts[None] + tf.range(STEPS + 1)[:, None])
        return loss_and_gradients(weights, windows[:-1], windows[1:], self._batch_size * STEPS)


def _adam(
    weights: Sequence[Any],
    means: Sequence[Any],
    squares: Sequence[Any],
    some: Sequence[Any],
    others: Sequence[Any],
    rate: Any,
) -> tuple[list[Any], ...]:
    """Weights and moments after a step along the sum of two gradients."""
    gradients = [one + other for one, other in zip(some, others, strict=True)]
    means = [BETA_1 * mean + (1 - BETA_1) * one for mean, one in zip(means, gradients, strict=True)]
    squares = [BETA_2 * square + (1 - BETA_2) * one * one for square, one in zip(squares, gradients, strict=True)]
    weights = [
        weight - rate * mean / (tf.sqrt(square) + EPSILON)
        for weight, mean, square in zip(weights, means, squares, strict=True)
    ]
    return weights, means, squares
