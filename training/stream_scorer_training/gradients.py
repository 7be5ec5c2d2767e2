"""Computes loss and gradients of the network by hand-written formulas, which XLA compiles into few large products.

The forward pass is the module's `step` in another layout. Windows are rows here: the gates of a layer are one product
[B, inputs + 100] x [inputs + 100, 400], and its weight gradient is one product over all steps.
With t = tanh(z / 2) for the gates i, f, o and t = tanh(z) for j (one tanh for all four, as in the module), back
propagation through time (Werbos 1990; the equations of Graves 2012, section 4.6) is, per step and layer:

    dc += dh * o * (1 - tanh(c)^2)                      dh: from the layer above and from the step after
    dz  = [dc * j * i (1 - i), dc * i * (1 - j^2), dc * c_before * f (1 - f), dh * tanh(c) * o (1 - o)]
    [dx, dh_before] = dz @ kernel^T,    dc_before = dc * f,    dkernel = sum over steps of [x; h_before]^T @ dz

`tests/parity/test_training.py` compares with TensorFlow's own derivative of the module's `step`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from stream_scorer.models import tf_sp500_lstm as module

STEPS, LAYERS, UNITS = module.n_steps, module.n_layers, module.n_units
SCALE = np.repeat(np.array([0.5, 1, 0.5, 0.5], np.float32), UNITS)
FORGET = np.repeat(np.array([0, 0, 1, 0], np.float32), UNITS)
"""TensorFlow 1's forget bias, which is added to the trained bias. The gates' columns are in the order i, j, f, o."""


def loss_and_gradients(weights: Sequence[Any], inputs: Any, targets: Any, count: int) -> tuple[Any, list[Any]]:
    """Return what these windows add to the mean squared error of their batch, a scalar, and the gradients of that.

    Gradients have the order and shapes of `weights`. All is float32.

    Args:
        weights: in the order of `module.variable_shapes()`.
        inputs, targets: [STEPS, B], time first; B is known when the function is traced.
        count: number of values in the whole batch; the sum of squares is divided by it.
    """
    kernels, biases, (row, bias) = weights[0:-2:2], weights[1:-2:2], weights[-2:]
    inputs = inputs[:, :, None]
    gates, memories, rows, top = _forward(kernels, [bias + FORGET for bias in biases], inputs)
    outputs = tf.reshape(top, [-1, UNITS])
    errors = tf.matmul(outputs, row) + bias - tf.reshape(targets, [-1, 1])
    slope = errors * (2.0 / count)
    from_above = tf.reshape(slope * tf.reshape(row, [1, UNITS]), top.shape)
    gradients = []
    for before, after in zip(rows, _backward(kernels, gates, memories, from_above), strict=True):
        before, after = (tf.reshape(part, [-1, part.shape[2]]) for part in (before, after))
        gradients += [tf.matmul(before, after, transpose_a=True), tf.reduce_sum(after, 0)]
    gradients += [tf.matmul(outputs, slope, transpose_a=True), tf.reduce_sum(slope, 0)]
    return tf.reduce_sum(errors * errors) / count, gradients


def _forward(kernels: Sequence[Any], biases: Sequence[Any], inputs: Any) -> tuple[Any, ...]:
    """Return (gates, memories, rows, top).

    The first three are lists with an array per layer: tanh of its gates [STEPS, B, 400]; c before the first and after each
    step [STEPS + 1, B, 100]; [x; h_before] of each step [STEPS, B, inputs + 100]. top: the top layer's h [STEPS, B, 100].
    """
    windows = inputs.shape[1]

    def body(t: Any, x: Any, cs: Any, hs: Any, gates: Any, memories: Any, rows: Any, top: Any) -> Any:
        cs, hs, gates, memories, rows = map(list, (cs, hs, gates, memories, rows))
        for layer, (kernel, bias) in enumerate(zip(kernels, biases, strict=True)):
            row = tf.concat([x, hs[layer]], 1)
            z = tf.tanh((tf.matmul(row, kernel) + bias) * SCALE)
            i, j, f, o = _gates(z)
            cs[layer] = cs[layer] * f + i * j
            x = hs[layer] = tf.tanh(cs[layer]) * o
            gates[layer] = gates[layer].write(t, z)
            memories[layer] = memories[layer].write(t + 1, cs[layer])
            rows[layer] = rows[layer].write(t, row)
        return t + 1, inputs[tf.minimum(t + 1, STEPS - 1)], cs, hs, gates, memories, rows, top.write(t, x)

    zeros = [tf.zeros([windows, UNITS])] * LAYERS
    start = (
        *(0, inputs[0], zeros, zeros),
        [_steps(STEPS, windows, 4 * UNITS) for _ in kernels],
        [_steps(STEPS + 1, windows, UNITS) for _ in kernels],
        [_steps(STEPS, windows, kernel.shape[0]) for kernel in kernels],
        _steps(STEPS, windows, UNITS),
    )
    *_, gates, memories, rows, top = tf.while_loop(lambda t, *_: t < STEPS, body, start, maximum_iterations=STEPS)
    return *([array.stack() for array in arrays] for arrays in (gates, memories, rows)), top.stack()


def _backward(kernels: Sequence[Any], gates: Sequence[Any], memories: Sequence[Any], from_above: Any) -> list[Any]:
    """Return dz of each layer, [STEPS, B, 400]. from_above: gradient of the loss by the top layer's h, [STEPS, B, 100]."""
    windows = from_above.shape[1]
    # The lowest layer's input is data and needs no gradient, so the kernel's row for it is left out.
    transposed = [tf.transpose(kernels[0][1:]), *(tf.transpose(kernel) for kernel in kernels[1:])]

    # Each step slices what the next step reads and carries it. XLA does not vectorise an element-wise kernel that slices at
    # a changing index, which costs half as much time again.
    def at(t: Any) -> tuple[Any, ...]:
        return [array[t] for array in gates], [array[t] for array in memories], from_above[t]

    def body(t: Any, dcs: Any, dhs: Any, after: Any, zs: Any, before: Any, dx: Any, dzs: Any) -> Any:
        dcs, dhs, dzs = map(list, (dcs, dhs, dzs))
        for layer in reversed(range(LAYERS)):
            i, j, f, o = _gates(zs[layer])
            squashed = tf.tanh(after[layer])
            dh = dhs[layer] + dx
            dc = dcs[layer] + dh * o * (1 - squashed * squashed)
            parts = (
                dc * j * i * (1 - i),
                dc * i * (1 - j * j),
                dc * before[layer] * f * (1 - f),
                dh * squashed * o * (1 - o),
            )
            dz = tf.concat(parts, 1)
            drow = tf.matmul(dz, transposed[layer])
            dx, dhs[layer] = drow[:, :-UNITS], drow[:, -UNITS:]
            dcs[layer] = dc * f
            dzs[layer] = dzs[layer].write(t, dz)
        return (t - 1, dcs, dhs, before, *at(tf.maximum(t - 1, 0)), dzs)

    zeros = [tf.zeros([windows, UNITS])] * LAYERS
    start = (
        *(STEPS - 1, zeros, zeros, [array[STEPS] for array in memories], *at(STEPS - 1)),
        [_steps(STEPS, windows, 4 * UNITS) for _ in kernels],
    )
    *_, dzs = tf.while_loop(lambda t, *_: t >= 0, body, start, maximum_iterations=STEPS)
    return [array.stack() for array in dzs]


def _gates(z: Any) -> tuple[Any, ...]:
    """Split tanh of a layer's gates [B, 400] into i, j, f, o, each [B, 100]."""
    i, j, f, o = (z[:, gate * UNITS : (gate + 1) * UNITS] for gate in range(4))
    return 0.5 * i + 0.5, j, 0.5 * f + 0.5, 0.5 * o + 0.5


def _steps(count: int, *shape: int) -> Any:
    """Return an empty float32 TensorArray of `count` elements of this shape."""
    return tf.TensorArray(tf.float32, count, element_shape=shape)
