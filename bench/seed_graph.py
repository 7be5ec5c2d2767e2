"""The tutorial's graph, for comparison: TensorFlow 1's `dynamic_rnn`, one `Session.run` per record.

`tf.contrib` is gone, so its cells (BasicLSTMCell, MultiRNNCell, OutputProjectionWrapper of TensorFlow 1.4)
are written out here op for op; `dynamic_rnn` and the session are TensorFlow's.
"""

from __future__ import annotations

import contextlib
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

v1 = tf.compat.v1
ATTACHMENT = Path(__file__).parents[1] / "stream_scorer" / "models" / "attachment.tar.gz"
STEPS, LAYERS, UNITS = 30, 3, 100


def load_weights(attachment: Path = ATTACHMENT) -> dict[str, np.ndarray]:
    """Variable name -> value, from the checkpoint that ships with the model."""
    with tempfile.TemporaryDirectory() as folder, tarfile.open(attachment) as archive:
        archive.extractall(folder, filter="data")
        checkpoint = tf.train.load_checkpoint(f"{folder}/tf_sp500_lstm")
        return {name: checkpoint.get_tensor(name) for name in checkpoint.get_variable_to_shape_map()}


class SeedGraph:
    """The seed's graph and session, with these weights.

    Args:
        weights: by variable name; see `load_weights`.
        threads: of TensorFlow within an op and between ops; 0 lets TensorFlow choose, as the tutorial does.
    """

    def __init__(self, weights: dict[str, np.ndarray], threads: int = 0) -> None:
        with tf.Graph().as_default() as graph, control_flow_of_tf1():
            self._x = v1.placeholder(tf.float32, [None, STEPS, 1])
            self._outputs, _ = v1.nn.dynamic_rnn(Cell(), self._x, dtype=tf.float32)
            restore = [variable.assign(weights[variable.op.name]) for variable in v1.global_variables()]
        config = v1.ConfigProto(intra_op_parallelism_threads=threads, inter_op_parallelism_threads=threads)
        self._session = v1.Session(graph=graph, config=config)
        self._session.run(restore)

    def score(self, window: Sequence[float]) -> float:
        """The forecast after the last 30 values, as the seed's `predict` computes it."""
        return float(self._run(np.array(window).reshape(-1, STEPS, 1))[0, -1, 0])

    def score_many(self, windows: np.ndarray) -> np.ndarray:
        """Forecasts [N] of windows [N, 30] in one run; the tutorial never does this."""
        return self._run(np.reshape(windows, (-1, STEPS, 1)))[:, -1, 0]

    def _run(self, inputs: np.ndarray) -> np.ndarray:
        return self._session.run(self._outputs, feed_dict={self._x: inputs})

    def close(self) -> None:
        self._session.close()


class Cell:
    """OutputProjectionWrapper(MultiRNNCell of BasicLSTMCell): the projection runs on each of the 30 steps."""

    state_size = tuple((UNITS, UNITS) for _ in range(LAYERS))
    output_size = 1

    def zero_state(self, batch_size: Any, dtype: tf.DType) -> Any:
        return tuple(tuple(tf.zeros(tf.stack([batch_size, size]), dtype) for size in pair) for pair in self.state_size)

    def __call__(self, inputs: tf.Tensor, state: Any, scope: object = None) -> tuple[tf.Tensor, Any]:  # noqa: ARG002
        moved = []
        with v1.variable_scope("output_projection_wrapper"):
            for layer, (c, h) in enumerate(state):
                with v1.variable_scope(f"multi_rnn_cell/cell_{layer}/basic_lstm_cell"):
                    i, j, f, o = tf.split(_linear([inputs, h], 4 * UNITS), 4, 1)
                    c = c * tf.sigmoid(f + 1.0) + tf.sigmoid(i) * tf.tanh(j)
                    inputs = tf.tanh(c) * tf.sigmoid(o)
                moved.append((c, inputs))
            return _linear([inputs], self.output_size), tuple(moved)


def _linear(parts: list[tf.Tensor], units: int) -> tf.Tensor:
    """TensorFlow 1's `_linear`: concatenate, multiply by `kernel`, add `bias`."""
    joined = tf.concat(parts, 1) if len(parts) > 1 else parts[0]
    kernel = v1.get_variable("kernel", [joined.shape[1], units], tf.float32, use_resource=False)
    bias = v1.get_variable("bias", [units], tf.float32, use_resource=False)
    return tf.nn.bias_add(tf.matmul(joined, kernel), bias)


@contextlib.contextmanager
def control_flow_of_tf1() -> Iterator[None]:
    """Within the block `while` is built as in TensorFlow 1: Enter, Merge, Switch, Exit."""
    was_on = v1.control_flow_v2_enabled()
    v1.disable_control_flow_v2()
    try:
        yield
    finally:
        if was_on:
            v1.enable_control_flow_v2()
