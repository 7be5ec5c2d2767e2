"""Knows TensorFlow, which the model's own file does not name."""

import numpy as np
import tensorflow as tf


def build(units):
    global x, y, sess
    x = tf.placeholder(tf.float32, [None, 1])
    w = tf.get_variable("w", [1, units], initializer=tf.constant_initializer(0.5))
    y = tf.reduce_sum(tf.tanh(tf.matmul(x, w)))
    sess = tf.Session()
    sess.run(tf.global_variables_initializer())


def names():
    return [[v.op.name, v.get_shape().as_list()] for v in tf.global_variables()]


def score(value):
    return np.asscalar(sess.run(y, {x: [[value]]}))


def close():
    sess.close()
