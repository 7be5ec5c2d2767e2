"""Layers of TensorFlow 1 that small models use, with its names of variables: `tf.layers`, `tf.contrib.layers`.

Arguments are those of TensorFlow 1, in its order; hence the long lists.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf

v1 = tf.compat.v1


def dense(
    inputs: Any,
    units: int,
    activation: Callable[[Any], Any] | None = None,
    use_bias: bool = True,
    kernel_initializer: Any = None,
    bias_initializer: Any = None,
    kernel_regularizer: Any = None,
    bias_regularizer: Any = None,
    activity_regularizer: object = None,  # noqa: ARG001 (of training)
    kernel_constraint: Any = None,
    bias_constraint: Any = None,
    trainable: bool = True,
    name: str | None = None,
    reuse: bool | None = None,
) -> Any:
    """tf.layers.dense: variables NAME/kernel and NAME/bias."""
    inputs = tf.convert_to_tensor(inputs)
    with v1.variable_scope(name, default_name="dense", reuse=reuse):
        make = functools.partial(v1.get_variable, dtype=inputs.dtype, trainable=trainable)
        kernel = make(
            "kernel",
            [_depth(inputs), units],
            initializer=kernel_initializer,
            regularizer=kernel_regularizer,
            constraint=kernel_constraint,
        )
        outputs = _times(inputs, kernel)
        if use_bias:
            zeros = bias_initializer or v1.zeros_initializer()
            bias = make("bias", [units], initializer=zeros, regularizer=bias_regularizer, constraint=bias_constraint)
            outputs = tf.nn.bias_add(outputs, bias)
        return activation(outputs) if activation else outputs


def dropout(
    inputs: Any, rate: Any = 0.5, noise_shape: Any = None, seed: Any = None, training: Any = False, name: Any = None
) -> Any:
    """tf.layers.dropout. Without training it returns its inputs."""

    def dropped() -> Any:
        return v1.nn.dropout(inputs, noise_shape=noise_shape, seed=seed, name=name, rate=rate)

    if isinstance(training, bool | int):
        return dropped() if training else tf.identity(inputs)
    return v1.cond(training, dropped, lambda: tf.identity(inputs))


def flatten(inputs: Any, name: str | None = None) -> Any:
    """Makes one dimension of all but the first."""
    inputs = tf.convert_to_tensor(inputs)
    size = math.prod(inputs.shape[1:].as_list())
    return tf.reshape(inputs, [-1, size], name=name)


def fully_connected(
    inputs: Any,
    num_outputs: int,
    activation_fn: Callable[[Any], Any] | None = tf.nn.relu,
    normalizer_fn: Callable[..., Any] | None = None,
    normalizer_params: Mapping[str, Any] | None = None,
    weights_initializer: Any = None,
    weights_regularizer: Any = None,
    biases_initializer: Any = "zeros",
    biases_regularizer: Any = None,
    reuse: bool | None = None,
    variables_collections: object = None,  # noqa: ARG001 (bookkeeping of training)
    outputs_collections: object = None,  # noqa: ARG001
    trainable: bool = True,
    scope: Any = None,
) -> Any:
    """tf.contrib.layers.fully_connected: variables SCOPE/weights and SCOPE/biases."""
    inputs = tf.convert_to_tensor(inputs)
    with v1.variable_scope(scope, default_name="fully_connected", reuse=reuse):
        make = functools.partial(v1.get_variable, dtype=inputs.dtype, trainable=trainable)
        initial = weights_initializer or xavier_initializer()
        weights = make("weights", [_depth(inputs), num_outputs], initializer=initial, regularizer=weights_regularizer)
        outputs = _times(inputs, weights)
        if normalizer_fn is not None:
            outputs = normalizer_fn(outputs, **(normalizer_params or {}))
        elif biases_initializer is not None:
            zeros = v1.zeros_initializer() if biases_initializer == "zeros" else biases_initializer
            outputs = tf.nn.bias_add(
                outputs, make("biases", [num_outputs], initializer=zeros, regularizer=biases_regularizer)
            )
        return activation_fn(outputs) if activation_fn else outputs


def xavier_initializer(uniform: bool = True, seed: int | None = None, dtype: Any = tf.float32) -> Any:
    return variance_scaling_initializer(1.0, "FAN_AVG", uniform, seed, dtype)


def variance_scaling_initializer(
    factor: float = 2.0, mode: str = "FAN_IN", uniform: bool = False, seed: int | None = None, dtype: Any = tf.float32
) -> Any:
    distribution = "uniform" if uniform else "truncated_normal"
    return v1.variance_scaling_initializer(factor, mode.lower(), distribution, seed, dtype)


def l2_regularizer(scale: float, scope: str | None = None) -> Callable[[Any], Any]:
    return lambda weights: tf.multiply(scale, tf.nn.l2_loss(weights), name=scope)


def l1_regularizer(scale: float, scope: str | None = None) -> Callable[[Any], Any]:
    return lambda weights: tf.multiply(scale, tf.reduce_sum(tf.abs(weights)), name=scope)


def contrib_dropout(
    inputs: Any, keep_prob: Any = 0.5, noise_shape: Any = None, is_training: Any = True, seed: int | None = None
) -> Any:
    """tf.contrib.layers.dropout: it takes the share to keep, and trains by default."""
    return dropout(inputs, 1 - keep_prob, noise_shape, seed, is_training)


def _depth(inputs: Any) -> int:
    depth: int | None = inputs.shape.as_list()[-1]
    if depth is None:
        raise ValueError(f"the last dimension of {inputs} must be known: give the placeholder its size")
    return depth


def _times(inputs: Any, kernel: Any) -> Any:
    return tf.matmul(inputs, kernel) if inputs.shape.rank == 2 else tf.tensordot(inputs, kernel, 1)
