"""The cells of TensorFlow 1 that are made of other cells: layers of them, and wrappers around one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from stream_scorer.model.compat.cells import LSTMStateTuple, RNNCell, linear

v1 = tf.compat.v1


class MultiRNNCell(RNNCell):
    """Layers of cells. The input of each is the output of the one before it."""

    def __init__(self, cells: Sequence[RNNCell], state_is_tuple: bool = True) -> None:
        super().__init__()
        if not cells:
            raise ValueError("MultiRNNCell needs at least one cell")
        self._cells, self._state_is_tuple = list(cells), state_is_tuple

    @property
    def state_size(self) -> Any:
        sizes = tuple(cell.state_size for cell in self._cells)
        return sizes if self._state_is_tuple else sum(sizes)

    @property
    def output_size(self) -> Any:
        return self._cells[-1].output_size

    def zero_state(self, batch_size: Any, dtype: Any) -> Any:
        if not self._state_is_tuple:
            return super().zero_state(batch_size, dtype)
        return tuple(cell.zero_state(batch_size, dtype) for cell in self._cells)

    def call(self, inputs: Any, state: Any) -> tuple[Any, Any]:
        states = state if self._state_is_tuple else tf.split(state, [cell.state_size for cell in self._cells], 1)
        moved = []
        for layer, (cell, before) in enumerate(zip(self._cells, states, strict=True)):
            with v1.variable_scope(f"cell_{layer}"):
                inputs, after = cell(inputs, before)
            moved.append(after)
        return inputs, tuple(moved) if self._state_is_tuple else tf.concat(moved, 1)


class _Wrapper(RNNCell):
    """A wrapper around one cell, with the sizes of that cell."""

    def __init__(self, cell: RNNCell, reuse: bool | None = None) -> None:
        super().__init__(reuse=reuse)
        self._cell = cell

    @property
    def state_size(self) -> Any:
        return self._cell.state_size

    @property
    def output_size(self) -> Any:
        return self._cell.output_size

    def zero_state(self, batch_size: Any, dtype: Any) -> Any:
        return self._cell.zero_state(batch_size, dtype)


class OutputProjectionWrapper(_Wrapper):
    def __init__(
        self,
        cell: RNNCell,
        output_size: int,
        activation: Callable[[Any], Any] | None = None,
        reuse: bool | None = None,
    ) -> None:
        super().__init__(cell, reuse)
        self._output_size, self._activation = output_size, activation

    @property
    def output_size(self) -> Any:
        return self._output_size

    def call(self, inputs: Any, state: Any) -> tuple[Any, Any]:
        output, state = self._cell(inputs, state)
        projected = linear([output], self._output_size)
        return self._activation(projected) if self._activation else projected, state


class InputProjectionWrapper(_Wrapper):
    def __init__(
        self,
        cell: RNNCell,
        num_proj: int,
        activation: Callable[[Any], Any] | None = None,
        input_size: object = None,  # noqa: ARG002 (TensorFlow 1 took and ignored it too)
        reuse: bool | None = None,
    ) -> None:
        super().__init__(cell, reuse)
        self._num_proj, self._activation = num_proj, activation

    def call(self, inputs: Any, state: Any) -> tuple[Any, Any]:
        projected = linear([inputs], self._num_proj)
        return self._cell(self._activation(projected) if self._activation else projected, state)


# As in TensorFlow 1, the wrappers below have neither variables nor a scope, so they override `__call__`.


class DropoutWrapper(_Wrapper):
    def __init__(
        self,
        cell: RNNCell,
        input_keep_prob: Any = 1.0,
        output_keep_prob: Any = 1.0,
        state_keep_prob: Any = 1.0,
        variational_recurrent: bool = False,
        input_size: object = None,  # noqa: ARG002 (of variational_recurrent)
        dtype: object = None,  # noqa: ARG002
        seed: int | None = None,
    ) -> None:
        if variational_recurrent:
            raise NotImplementedError("DropoutWrapper: variational_recurrent is for training and not provided")
        super().__init__(cell)
        self._keep = input_keep_prob, output_keep_prob, state_keep_prob
        self._seed = seed

    def __call__(self, inputs: Any, state: Any, scope: Any = None) -> tuple[Any, Any]:
        of_input, of_output, of_state = self._keep
        output, state = self._cell(self._dropped(inputs, of_input), state, scope)
        return self._dropped(output, of_output), self._dropped_state(state, of_state)

    def _dropped(self, value: Any, keep: Any) -> Any:
        if isinstance(keep, float | int) and keep >= 1:
            return value
        return v1.nn.dropout(value, rate=1 - keep, seed=self._seed)

    def _dropped_state(self, state: Any, keep: Any) -> Any:
        """Leaves c of an LSTM cell unchanged."""
        if isinstance(state, LSTMStateTuple):
            return LSTMStateTuple(state.c, self._dropped(state.h, keep))
        if isinstance(state, tuple):
            return tuple(self._dropped_state(part, keep) for part in state)
        return self._dropped(state, keep)


class ResidualWrapper(_Wrapper):
    def __init__(self, cell: RNNCell, residual_fn: Callable[[Any, Any], Any] | None = None) -> None:
        super().__init__(cell)
        self._residual_fn = residual_fn or (lambda inputs, outputs: tf.nest.map_structure(tf.add, inputs, outputs))

    def __call__(self, inputs: Any, state: Any, scope: Any = None) -> tuple[Any, Any]:
        outputs, state = self._cell(inputs, state, scope)
        return self._residual_fn(inputs, outputs), state


class DeviceWrapper(_Wrapper):
    def __init__(self, cell: RNNCell, device: Any) -> None:
        super().__init__(cell)
        self._device = device

    def __call__(self, inputs: Any, state: Any, scope: Any = None) -> tuple[Any, Any]:
        with v1.device(self._device):
            return self._cell(inputs, state, scope)
