"""The `tensorflow` of TensorFlow 1: `tensorflow.compat.v1`, and parts that are no longer in it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import tensorflow as tf
from tensorflow import python as tf_python
from tensorflow.python import ops as tf_ops

from stream_scorer.model.compat import cell_wrappers, cells, layers
from stream_scorer.model.compat.overlay import Overlay

_CELLS = {
    cell.__name__: cell
    for cell in (
        cells.RNNCell,
        cells.BasicRNNCell,
        cells.BasicLSTMCell,
        cells.LSTMCell,
        cells.GRUCell,
        cells.LSTMStateTuple,
        cell_wrappers.MultiRNNCell,
        cell_wrappers.DropoutWrapper,
        cell_wrappers.ResidualWrapper,
        cell_wrappers.DeviceWrapper,
    )
}
_PROJECTIONS = {
    "OutputProjectionWrapper": cell_wrappers.OutputProjectionWrapper,
    "InputProjectionWrapper": cell_wrappers.InputProjectionWrapper,
}
_LAYERS = {"dense": layers.dense, "dropout": layers.dropout, "flatten": layers.flatten}
_CONTRIB_LAYERS = {
    "fully_connected": layers.fully_connected,
    "linear": functools.partial(layers.fully_connected, activation_fn=None),
    "relu": layers.fully_connected,
    "xavier_initializer": layers.xavier_initializer,
    "xavier_initializer_conv2d": layers.xavier_initializer,
    "variance_scaling_initializer": layers.variance_scaling_initializer,
    "l1_regularizer": layers.l1_regularizer,
    "l2_regularizer": layers.l2_regularizer,
    "flatten": layers.flatten,
    "dropout": layers.contrib_dropout,
}
_INSTEAD = (
    "Write the part out with what TensorFlow has, freeze the trained graph (tf.GraphDef), or run the model with "
    "TensorFlow 1 elsewhere."
)


def facade() -> Overlay:
    v1 = tf.compat.v1
    rnn_functions = {
        name: getattr(v1.nn, name)
        for name in "dynamic_rnn bidirectional_dynamic_rnn raw_rnn static_rnn static_bidirectional_rnn".split()
    }
    nn = _over("tensorflow.nn", v1.nn, rnn_cell=_alone("tensorflow.nn.rnn_cell", _CELLS))
    contrib_rnn = {
        **_CELLS,
        **_PROJECTIONS,
        **{name: rnn_functions[name] for name in ("static_rnn", "static_bidirectional_rnn")},
    }
    contrib = {
        "rnn": _alone("tensorflow.contrib.rnn", contrib_rnn),
        "layers": _alone("tensorflow.contrib.layers", _CONTRIB_LAYERS),
    }
    # Some models import the cells from the files that define them. These moved between versions; the names did not.
    defined = _alone("tensorflow.python.ops.rnn_cell", {**_CELLS, **_PROJECTIONS})
    ops = _over("tensorflow.python.ops", tf_ops, rnn_cell=defined, rnn_cell_impl=defined)
    tensorflow = _over(
        "tensorflow",
        v1,
        nn=nn,
        contrib=_alone("tensorflow.contrib", contrib),
        layers=_alone("tensorflow.layers", _LAYERS),
        python=_over("tensorflow.python", tf_python, ops=ops),
        **_switches(),
    )
    tensorflow.__dict__["compat"] = _over("tensorflow.compat", v1.compat, v1=tensorflow, v2=tf)
    return tensorflow


def _switches() -> dict[str, Callable[..., None]]:
    """Calls that switch the process to graph mode. The model is in graph mode already, and must not switch the process."""

    def nothing() -> None:
        pass

    def refused() -> None:
        raise RuntimeError(
            "tf.enable_eager_execution(): a model that uses TensorFlow 1's names is run in graph mode. If it is meant "
            "for eager mode, write it for TensorFlow 2, or with tf.compat.v1 and '# stream-scorer.compat: none'."
        )

    ways = ("v2_behavior", "resource_variables", "control_flow_v2", "v2_tensorshape", "tensor_equality")
    return {
        **{f"{verb}_{way}": nothing for verb in ("disable", "enable") for way in ways},
        "disable_eager_execution": nothing,
        "enable_eager_execution": refused,
        "enable_v2_behavior": refused,
    }


def _over(name: str, below: Any, **own: Any) -> Overlay:
    return Overlay(name, below, own, f"Neither TensorFlow {tf.__version__} nor stream-scorer has it. {_INSTEAD}")


def _alone(name: str, own: dict[str, Any]) -> Overlay:
    return Overlay(name, None, own, f"stream-scorer has only {', '.join(sorted(own))} of it. {_INSTEAD}")
