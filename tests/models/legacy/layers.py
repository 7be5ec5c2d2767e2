# fastscore.schema.0: double
"""Layers, scopes and reuse, an interactive session, and tensors asked for by name."""

import numpy as np
import tensorflow as tf
from tensorflow import contrib
from tensorflow.contrib.layers import l2_regularizer, xavier_initializer

graph = tf.get_default_graph()
features = tf.placeholder_with_default(np.zeros((1, 3), dtype=np.float32), [None, 3], name="features")


def tower(inputs, reuse):
    with tf.variable_scope("tower", reuse=reuse):
        size = inputs.get_shape()[-1].value
        w = tf.get_variable("w", [size, 4], initializer=xavier_initializer(), regularizer=l2_regularizer(0.1))
        b = tf.get_variable("b", [4], initializer=tf.constant_initializer(0.25))
        return tf.nn.xw_plus_b(inputs, w, b)


with tf.name_scope("model"):
    hidden = tower(features, None) + tower(2.0 * features, True)
    hidden = contrib.layers.fully_connected(hidden, 5)
    hidden = contrib.layers.fully_connected(hidden, 5, activation_fn=tf.nn.sigmoid, scope="named")
    hidden = contrib.layers.linear(hidden, 4)
    hidden = tf.layers.dropout(tf.layers.dense(hidden, 4, tf.nn.elu), 0.3)
    hidden = tf.layers.dense(tf.layers.flatten(tf.reshape(hidden, [-1, 2, 2])), 3, name="second")
    same = tf.cond(tf.reduce_sum(hidden) > 0, lambda: hidden, lambda: tf.negative(hidden))
    score = tf.squeeze(tf.layers.dense(same, 1, use_bias=False), name="score")
count = tf.Variable(0, trainable=False, name="count", dtype=tf.int64)
counted = tf.assign_add(count, 1)


def begin():
    global sess, names, last
    last = np.zeros(3, np.float)
    gpus = tf.GPUOptions(allow_growth=True)
    sess = tf.InteractiveSession(config=tf.ConfigProto(gpu_options=gpus, device_count={"GPU": 0}))
    tf.set_random_seed(3)
    tf.global_variables_initializer().run()
    for variable in tf.trainable_variables():
        random = np.random.RandomState(sum(map(ord, variable.op.name)))
        variable.load(random.uniform(-0.9, 0.9, variable.get_shape().as_list()).astype(np.float32), sess)
    names = [[v.op.name, v.get_shape().as_list()] for v in tf.global_variables()]
    assert graph is tf.get_default_graph()
    assert {score: "tensors are keys"}[score]


def action(value):
    last[:] = np.append(last[1:], np.asscalar(np.float64(value)))
    fed = {features: [last]}
    # The session of begin() is still the default one, and a variable's tensor is its value.
    numbers = [score.eval(fed), sess.run("model/score:0", fed), sess.run("tower/w:0").sum(), sess.run("count:0")]
    sess.run(counted)
    yield [float(number) for number in numbers] + [float(tf.losses.get_regularization_loss().eval())]


def end():
    sess.close()
