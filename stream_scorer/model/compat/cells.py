"""The recurrent cells of TensorFlow 1, op for op: same variables, same names, same order of arithmetic.

TensorFlow 2 has dropped the cells, but still has `dynamic_rnn` and the like. Scopes are those of TensorFlow 1.4
(`multi_rnn_cell/cell_0/basic_lstm_cell/kernel`), so that its checkpoints load. Arguments are those of 1.4 too, in its order.
"""

from __future__ import annotations

import re
from collections import namedtuple
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

v1 = tf.compat.v1

# A tuple by name: models and `nest` both take it apart.
LSTMStateTuple = namedtuple("LSTMStateTuple", ("c", "h"))


class RNNCell:
    """`cell(inputs, state) -> (output, state)`. A subclass defines its sizes, and `call` or `__call__`."""

    _reuse: bool | None = None
    _name: str | None = None
    _scope: Any = None  # of its variables, from the first call on

    def __init__(
        self,
        trainable: bool = True,
        name: str | None = None,
        dtype: Any = None,
        _reuse: bool | None = None,
        reuse: bool | None = None,
    ) -> None:
        self._trainable, self._name, self._dtype, self._reuse = trainable, name, dtype, _reuse or reuse

    @property
    def state_size(self) -> Any:
        raise NotImplementedError(f"{type(self).__name__} does not say its state_size")

    @property
    def output_size(self) -> Any:
        raise NotImplementedError(f"{type(self).__name__} does not say its output_size")

    @property
    def variables(self) -> list[Any]:
        return v1.global_variables(self._scope.name + "/") if self._scope else []

    @property
    def trainable_variables(self) -> list[Any]:
        return v1.trainable_variables(self._scope.name + "/") if self._scope else []

    weights, trainable_weights = variables, trainable_variables

    def zero_state(self, batch_size: Any, dtype: Any) -> Any:
        def zeros(size: Any) -> Any:
            size = tf.TensorShape(size).as_list()
            made = tf.zeros(tf.stack([batch_size, *size]), dtype)
            made.set_shape([tf.get_static_value(tf.convert_to_tensor(batch_size)), *size])
            return made

        with v1.name_scope(type(self).__name__ + "ZeroState"):
            return tf.nest.map_structure(zeros, self.state_size)

    def __call__(self, inputs: Any, state: Any, scope: Any = None) -> tuple[Any, Any]:
        if self._scope is not None:
            with v1.variable_scope(self._scope, reuse=True, auxiliary_name_scope=False):
                return self.call(inputs, state)
        name = self._name or _snake(type(self).__name__)
        # Entering the current scope again sets its name counts aside, so that a second cell of a kind gets no name of its own
        # (..._1), as in TensorFlow 1. It shares the variables of the first cell if reuse is on, and is refused if not.
        with v1.variable_scope(v1.get_variable_scope()):
            opened = (scope or name, None) if self._reuse else (scope, name)
            with v1.variable_scope(*opened, reuse=self._reuse) as self._scope:
                return self.call(inputs, state)

    def call(self, inputs: Any, state: Any) -> tuple[Any, Any]:
        raise NotImplementedError(f"{type(self).__name__} does not define call(inputs, state)")


class _Sized(RNNCell):
    """A cell whose output and state are one tensor of `num_units` each."""

    def __init__(
        self,
        num_units: int,
        activation: Callable[[Any], Any] | None = None,
        reuse: bool | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(name=name, dtype=dtype, reuse=reuse)
        self._num_units, self._activation = num_units, activation or tf.tanh

    @property
    def state_size(self) -> Any:
        return self._num_units

    @property
    def output_size(self) -> Any:
        return self._num_units


class BasicRNNCell(_Sized):
    def call(self, inputs: Any, state: Any) -> tuple[Any, Any]:
        output = self._activation(linear([inputs, state], self._num_units))
        return output, output


class GRUCell(_Sized):
    def __init__(
        self,
        num_units: int,
        activation: Callable[[Any], Any] | None = None,
        reuse: bool | None = None,
        kernel_initializer: Any = None,
        bias_initializer: Any = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(num_units, activation, reuse, name, dtype)
        self._kernel, self._bias = kernel_initializer, bias_initializer

    def call(self, inputs: Any, state: Any) -> tuple[Any, Any]:
        with v1.variable_scope("gates"):
            ones = self._bias or v1.ones_initializer()
            gates = tf.sigmoid(linear([inputs, state], 2 * self._num_units, kernel=self._kernel, bias=ones))
        reset, update = tf.split(gates, 2, 1)
        with v1.variable_scope("candidate"):
            made = linear([inputs, reset * state], self._num_units, kernel=self._kernel, bias=self._bias)
        state = update * state + (1 - update) * self._activation(made)
        return state, state


class _Lstm(RNNCell):
    """The state of an LSTM cell: a pair of c and h, or one tensor with both side by side."""

    _state_is_tuple: bool
    _num_units: int

    @property
    def _sizes(self) -> tuple[int, int]:
        return self._num_units, self._num_units

    @property
    def state_size(self) -> Any:
        return LSTMStateTuple(*self._sizes) if self._state_is_tuple else sum(self._sizes)

    @property
    def output_size(self) -> Any:
        return self._sizes[1]

    def _split(self, state: Any) -> Any:
        return state if self._state_is_tuple else tf.split(state, self._sizes, 1)

    def _joined(self, c: Any, h: Any) -> Any:
        return LSTMStateTuple(c, h) if self._state_is_tuple else tf.concat([c, h], 1)


class BasicLSTMCell(_Lstm):
    def __init__(
        self,
        num_units: int,
        forget_bias: float = 1.0,
        state_is_tuple: bool = True,
        activation: Callable[[Any], Any] | None = None,
        reuse: bool | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(name=name, dtype=dtype, reuse=reuse)
        self._num_units, self._forget_bias, self._state_is_tuple = num_units, forget_bias, state_is_tuple
        self._activation = activation or tf.tanh

    def call(self, inputs: Any, state: Any) -> tuple[Any, Any]:
        c, h = self._split(state)
        i, j, f, o = tf.split(linear([inputs, h], 4 * self._num_units), 4, 1)
        c = c * tf.sigmoid(f + self._forget_bias) + tf.sigmoid(i) * self._activation(j)
        h = self._activation(c) * tf.sigmoid(o)
        return h, self._joined(c, h)


class LSTMCell(_Lstm):
    """With optional peepholes, clipping and projection. Its arguments are those of TensorFlow 1, hence so many."""

    def __init__(
        self,
        num_units: int,
        use_peepholes: bool = False,
        cell_clip: float | None = None,
        initializer: Any = None,
        num_proj: int | None = None,
        proj_clip: float | None = None,
        num_unit_shards: int | None = None,
        num_proj_shards: int | None = None,
        forget_bias: float = 1.0,
        state_is_tuple: bool = True,
        activation: Callable[[Any], Any] | None = None,
        reuse: bool | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        if num_unit_shards or num_proj_shards:
            raise NotImplementedError(
                "LSTMCell: weights in shards are not provided; a checkpoint of shards has other names"
            )
        super().__init__(name=name, dtype=dtype, reuse=reuse)
        self._num_units, self._forget_bias, self._state_is_tuple = num_units, forget_bias, state_is_tuple
        self._peepholes, self._initializer, self._activation = use_peepholes, initializer, activation or tf.tanh
        self._cell_clip, self._num_proj, self._proj_clip = cell_clip, num_proj, proj_clip

    @property
    def _sizes(self) -> tuple[int, int]:
        return self._num_units, self._num_proj or self._num_units

    def call(self, inputs: Any, state: Any) -> tuple[Any, Any]:
        c, h = self._split(state)
        i, j, f, o = tf.split(linear([inputs, h], 4 * self._num_units, kernel=self._initializer), 4, 1)
        forget, take = f + self._forget_bias, i
        if self._peepholes:
            # In the order of TensorFlow 1, which matters to the seeds of operations.
            w_f, w_i, w_o = (
                v1.get_variable(f"w_{gate}_diag", [self._num_units], inputs.dtype, self._initializer) for gate in "fio"
            )
            forget, take = forget + w_f * c, take + w_i * c
        c = tf.sigmoid(forget) * c + tf.sigmoid(take) * self._activation(j)
        if self._cell_clip is not None:
            c = tf.clip_by_value(c, -self._cell_clip, self._cell_clip)
        if self._peepholes:
            o = o + w_o * c
        h = tf.sigmoid(o) * self._activation(c)
        if self._num_proj is not None:
            with v1.variable_scope("projection"):
                h = linear([h], self._num_proj, kernel=self._initializer, with_bias=False)
            if self._proj_clip is not None:
                h = tf.clip_by_value(h, -self._proj_clip, self._proj_clip)
        return h, self._joined(c, h)


def linear(parts: Sequence[Any], units: int, kernel: Any = None, bias: Any = None, with_bias: bool = True) -> Any:
    """The parts side by side, times the variable `kernel`, plus the variable `bias`. kernel, bias: initializers of these."""
    joined = tf.concat(parts, 1) if len(parts) > 1 else parts[0]
    width = tf.compat.dimension_value(joined.shape[1])
    product = tf.matmul(joined, v1.get_variable("kernel", [width, units], joined.dtype, kernel))
    if not with_bias:
        return product
    return tf.nn.bias_add(product, v1.get_variable("bias", [units], joined.dtype, bias or v1.zeros_initializer()))


def _snake(name: str) -> str:
    """BasicLSTMCell -> basic_lstm_cell, as TensorFlow 1 names the scope of a cell's variables."""
    return re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", re.sub(r"(.)([A-Z][a-z0-9]+)", r"\1_\2", name)).lower()
