"""Loss and gradients of the network, written out, so that XLA compiles them into few and large products.

The forward pass is the module's `step` in another layout: windows are rows here, which makes the gates of a
layer one product [B, inputs + 100] x [inputs + 100, 400] and its weight gradient one product over all steps at
once. With t = tanh(z / 2) for the gates i, f, o and t = tanh(z) for j (one tanh for all four, as in the module),
back propagation through time (Werbos 1990; the equations of Graves 2012, section 4.6) is, per step and layer:

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
"""TensorFlow 1's forget bias is added to what is trained. Gate columns i, j, f, o."""


def loss_and_gradients(weights: Sequence[Any], inputs: Any, targets: Any, count: int) -> tuple[Any, list[Any]]:
    """The part of a batch's mean squared error that these windows are, and its gradients.

    Args:
        weights: float32, in the order of `module.variable_shapes()`.
        inputs, targets: [STEPS, B], time first; B known when traced.
        count: of values in the whole batch, by which the sum of squares is divided.
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
    """Per layer: tanh of its gates [STEPS, B, 400], c before and after [STEPS + 1, B, 100], [x; h_before] of each
    step [STEPS, B, .]; and the top layer's h [STEPS, B, 100]."""
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
    return *([one.stack() for one in kind] for kind in (gates, memories, rows)), top.stack()


def _backward(kernels: Sequence[Any], gates: Sequence[Any], memories: Sequence[Any], from_above: Any) -> list[Any]:
    """dz of each layer, [STEPS, B, 400]. from_above: of the loss by the top layer's h, [STEPS, B, 100]."""
    windows = from_above.shape[1]
    # The lowest layer's input is data: no gradient of it.
    transposed = [tf.transpose(kernels[0][1:]), *(tf.transpose(kernel) for kernel in kernels[1:])]

    # What a step reads is sliced at the end of the step before and carried: a slice at a changing place inside a
    # compiled element-wise kernel keeps it from being vectorised, and costs half as much time again.
    def at(t: Any) -> tuple[Any, ...]:
        return [one[t] for one in gates], [one[t] for one in memories], from_above[t]

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
        *(STEPS - 1, zeros, zeros, [one[STEPS] for one in memories], *at(STEPS - 1)),
        [_steps(STEPS, windows, 4 * UNITS) for _ in kernels],
    )
    *_, dzs = tf.while_loop(lambda t, *_: t >= 0, body, start, maximum_iterations=STEPS)
    return [one.stack() for one in dzs]


def _gates(z: Any) -> tuple[Any, ...]:
    i, j, f, o = (z[:, gate * UNITS : (gate + 1) * UNITS] for gate in range(4))
    return 0.5 * i + 0.5, j, 0.5 * f + 0.5, 0.5 * o + 0.5


def _steps(count: int, *shape: int) -> Any:
    return tf.TensorArray(tf.float32, count, element_shape=shape)
