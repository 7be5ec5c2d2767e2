# fastscore.schema.0: double
"""Every recurrent cell of TensorFlow 1, each in a network of its own over the last six inputs."""

import numpy as np
import tensorflow as tf
import tensorflow.contrib.rnn as rnn
from tensorflow.contrib.rnn import DropoutWrapper
from tensorflow.python.ops import rnn_cell

steps = 6


class Halving(rnn_cell.RNNCell):
    """A cell of the model's own, without a scope of its own and with `__call__` written out."""

    def __init__(self, size):
        self._size = size

    @property
    def state_size(self):
        return self._size

    @property
    def output_size(self):
        return self._size

    def __call__(self, inputs, state, scope=None):
        with tf.variable_scope(scope or type(self).__name__):
            w = tf.get_variable("w", [inputs.get_shape()[1].value, self._size])
            moved = tf.tanh(0.5 * state + tf.matmul(inputs, w))
        return moved, moved


def networks(x):
    cells = {
        "basic_rnn": rnn.BasicRNNCell(3),
        "basic_lstm": rnn.BasicLSTMCell(3, forget_bias=0.5, activation=tf.nn.relu),
        "joined": rnn.BasicLSTMCell(3, state_is_tuple=False),
        "lstm": tf.nn.rnn_cell.LSTMCell(3),
        "peepholes": rnn.LSTMCell(4, use_peepholes=True, cell_clip=0.6, num_proj=2, proj_clip=0.4, forget_bias=0.1),
        "gru": rnn.GRUCell(3),
        "stack": rnn.MultiRNNCell([rnn.GRUCell(3), DropoutWrapper(rnn.BasicLSTMCell(2), output_keep_prob=1.0)]),
        "joined_stack": rnn.MultiRNNCell(
            [rnn.BasicLSTMCell(2, state_is_tuple=False) for _ in range(2)], state_is_tuple=False
        ),
        "residual": rnn.ResidualWrapper(rnn.GRUCell(1)),
        "projected": rnn.OutputProjectionWrapper(rnn.InputProjectionWrapper(rnn.LSTMCell(3), 2), 1),
        "own": Halving(3),
    }
    for name in sorted(cells):
        with tf.variable_scope(name):
            outputs, state = tf.nn.dynamic_rnn(cells[name], x, dtype=tf.float32)
            yield name, tf.reduce_sum(outputs[:, -1, :], axis=1, keep_dims=True)
    with tf.variable_scope("static"):
        rows = tf.unstack(x, steps, 1)
        outputs, state = rnn.static_rnn(rnn.BasicLSTMCell(3), rows, dtype=tf.float32)
        yield "static", tf.reduce_sum(outputs[-1], 1, keep_dims=True)
    with tf.variable_scope("lengths"):
        cell = rnn.GRUCell(2)
        first = cell.zero_state(tf.shape(x)[0], tf.float32)
        outputs, state = tf.nn.dynamic_rnn(cell, x, sequence_length=[4], initial_state=first)
        yield "lengths", tf.reduce_sum(state, 1, keep_dims=True)
    with tf.variable_scope("both_ways"):
        pair, _ = tf.nn.bidirectional_dynamic_rnn(rnn.GRUCell(2), rnn.BasicLSTMCell(2), x, dtype=tf.float32)
        yield "both_ways", tf.reduce_sum(tf.concat(pair, 2), [1, 2])
    with tf.variable_scope("twice"):
        for again in (None, True):
            with tf.variable_scope("shared", reuse=again):
                outputs, state = tf.nn.dynamic_rnn(rnn.BasicLSTMCell(2), x, dtype=tf.float32)
        yield "twice", tf.reduce_sum(state.h)
    with tf.variable_scope("side_by_side", reuse=tf.AUTO_REUSE):
        one, _ = rnn.GRUCell(2)(x[:, 0, :], tf.zeros([1, 2]))
        two, _ = rnn.GRUCell(2)(x[:, 1, :], one)
        yield "side_by_side", tf.reduce_sum(two)


def fill(sess):
    """Weights by name, the same whatever made the graph."""
    for variable in tf.trainable_variables():
        random = np.random.RandomState(sum(map(ord, variable.op.name)))
        variable.load(random.uniform(-0.9, 0.9, variable.get_shape().as_list()).astype(np.float32), sess)


def begin():
    global window, x, scores, sess, names
    window = []
    tf.reset_default_graph()
    x = tf.placeholder(tf.float32, [None, steps, 1])
    scores = [tf.reshape(score, []) for _, score in networks(x)]
    sess = tf.Session(config=tf.ConfigProto(intra_op_parallelism_threads=1))
    sess.run(tf.global_variables_initializer())
    fill(sess)
    names = [[v.op.name, v.get_shape().as_list()] for v in tf.global_variables()]


def action(value):
    global window
    window = (window + [value])[-steps:]
    if len(window) == steps:
        yield [np.asscalar(score) for score in sess.run(scores, {x: np.reshape(window, (1, steps, 1))})]


def end():
    sess.close()
