# fastscore.schema.0: double
# fastscore.schema.1: double
# fastscore.module-attached: tensorflow
# stream-scorer.state: past_days
# stream-scorer.window: 30
# stream-scorer.batch: push, predict
"""Forecast the next value of a series with a 3 x 100 LSTM over its last 30 values.

In: the adjusted normalised close of one day (CPI-scaled, linear trend removed), a double.
Out: from the 30th value on, the forecast of the next one, a double.

One step of one layer, for W windows side by side (TensorFlow 1's BasicLSTMCell, gates i, j, f, o):

    i, j, f, o = kernel^T @ [x; h] + bias                          each [100, W]
    c' = c * sigmoid(f + 1) + tanh(j) * sigmoid(i)
    h' = tanh(c') * sigmoid(o)

Computed here as 2c and 2h with sigmoid(z) = (1 + tanh(z / 2)) / 2, so that one tanh serves all four
gates. The halves are powers of two folded into the weights (`fold`), hence exact. Windows are columns:
the weights stay as they are and the batch is the fast axis.

One compiled program, `advance`, has that step as the body of its loop, and is used in two ways:

* `predict`: 30 steps from zero score W whole windows, of any mix of series;
* `action`: 30 windows contain the newest value of a series. All stay in flight, each one step behind
  the one before it, and one step moves them all on by one value: three products of width W where
  scoring the one finished window anew takes ninety.

Both do the same arithmetic in the same order. That all widths of the program round alike is a fact of
a build and a CPU, not a law: `begin` compares them and keeps only widths that agree bit for bit.
"""

import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import tensorflow as tf

n_steps = 30
n_layers = 3
n_units = 100
save_name = "tf_sp500_lstm"
scope = "rnn/output_projection_wrapper"  # TensorFlow 1's name, so its checkpoints load as they are


def variable_shapes():
    """Checkpoint name -> shape of every trained variable: 202,301 float32 numbers."""
    shapes = {}
    for layer in range(n_layers):
        cell = "{}/multi_rnn_cell/cell_{}/basic_lstm_cell".format(scope, layer)
        shapes[cell + "/kernel"] = ((n_units if layer else 1) + n_units, 4 * n_units)
        shapes[cell + "/bias"] = (4 * n_units,)
    shapes[scope + "/kernel"] = (n_units, 1)
    shapes[scope + "/bias"] = (1,)
    return shapes


def fold(weights):
    """Weights by checkpoint name -> (cells, readout) as `step` and the readout take them.

    cells: per layer, (matrix [400, inputs + 100], bias [400, 1]), gate rows f, i, o, j.
    readout: (row [100], bias []), to be applied to 2h.
    """

    def gates(matrix):
        i, j, f, o = tf.split(tf.convert_to_tensor(matrix), 4, axis=-1)
        return tf.concat([f, i, o, j], -1)

    half = tf.concat([tf.fill([3 * n_units], 0.5), tf.ones([n_units])], 0)
    forget = tf.concat([tf.ones([n_units]), tf.zeros([3 * n_units])], 0)
    cells = []
    for layer in range(n_layers):
        cell = "{}/multi_rnn_cell/cell_{}/basic_lstm_cell".format(scope, layer)
        kernel = gates(weights[cell + "/kernel"]) * half
        if layer:
            kernel = 0.5 * kernel
        else:  # the price comes as it is, only the recurrent input is 2h
            kernel = tf.concat([kernel[:1], 0.5 * kernel[1:]], 0)
        bias = (gates(weights[cell + "/bias"]) + forget) * half
        cells.append((tf.transpose(kernel), bias[:, None]))
    row = 0.5 * tf.reshape(tf.convert_to_tensor(weights[scope + "/kernel"]), [n_units])
    return cells, (row, tf.reshape(tf.convert_to_tensor(weights[scope + "/bias"]), []))


def step(cells, prices, states):
    """One time step of all layers. prices [1, W]; states: 2c and 2h of each layer in turn, [100, W] each."""
    inputs, moved = prices, []
    for layer, (matrix, bias) in enumerate(cells):
        c, h = states[2 * layer : 2 * layer + 2]
        z = tf.tanh(tf.matmul(matrix, tf.concat([inputs, h], 0)) + bias)
        s = z[: 3 * n_units] + 1.0
        c = s[:n_units] * 0.5 * c + s[n_units : 2 * n_units] * z[3 * n_units :]
        inputs = s[2 * n_units :] * tf.tanh(0.5 * c)
        moved += [c, inputs]
    return moved


def advance_program(cells, width):
    """Compile advance(prices [30, W], count, slot, states [6, 100, W]) -> (states, top layer's 2h [100, W]).

    Column `slot` starts from zero (-1: none does); then `count` steps follow.
    """

    def advance(prices, count, slot, states):
        states = tf.where(tf.equal(tf.range(width), slot), 0.0, states)

        def body(t, *states):
            return (t + 1, *step(cells, prices[t][None], states))

        _, *states = tf.while_loop(lambda t, *_: t < count, body, (tf.constant(0), *tf.unstack(states, 2 * n_layers)))
        return tf.stack(states), states[-1]

    return tf.function(advance, jit_compile=True).get_concrete_function(
        tf.TensorSpec([n_steps, width]),
        tf.TensorSpec([], tf.int32),
        tf.TensorSpec([], tf.int32),
        tf.TensorSpec([2 * n_layers, n_units, width]),
    )


class Network:
    """The trained network with one compiled program per batch width."""

    candidates = (16, 32, 64, 128, 256)

    def __init__(self, weights):
        cells, readout = fold(weights)
        self.row, self.bias = (part.numpy() for part in readout)
        self.programs = {width: advance_program(cells, width) for width in self.candidates}
        self.zeros = {width: tf.zeros([2 * n_layers, n_units, width]) for width in self.candidates}
        self.all_steps, self.one_step, self.no_slot = tf.constant(n_steps), tf.constant(1), tf.constant(-1)
        self.slots = [tf.constant(slot) for slot in range(n_steps)]
        self.widths = self.agreeing_widths()
        self.programs = {width: self.programs[width] for width in self.widths}

    def agreeing_widths(self):
        """The largest set of widths that give the same bits here; of two such sets, the one of wider programs.

        Windows of several scales, so that saturated and linear gates both count. One set must hold a
        width that carries the 30 windows in flight.
        """
        rng = np.random.RandomState(2017)
        scales = np.geomspace(0.01, 10, self.candidates[-1])[:, None]
        windows = (np.cumsum(rng.randn(len(scales), n_steps), axis=1) * scales).astype(np.float32)
        with ThreadPoolExecutor() as pool:  # the first call of each program compiles it
            found = list(pool.map(lambda width: self.score(windows, (width,)).tobytes(), self.candidates))
        classes = {}
        for width, bits in zip(self.candidates, found):
            classes.setdefault(bits, []).append(width)
        usable = [widths for widths in classes.values() if widths[-1] >= n_steps]
        return tuple(max(usable, key=lambda widths: (len(widths), widths[-1])))

    def score(self, windows, widths=None):
        """Forecasts [N] of windows [N, 30], float32. The bits of one do not depend on the others."""
        scores, done = np.empty(len(windows), np.float32), 0
        for width in split(len(windows), widths or self.widths):
            part = windows[done : done + width]
            prices = np.zeros((n_steps, width), np.float32)
            prices[:, : len(part)] = part.T
            _, top = self.programs[width](tf.constant(prices), self.all_steps, self.no_slot, self.zeros[width])
            scores[done : done + width] = self.read(top.numpy()[:, : len(part)])
            done += width
        return scores

    def read(self, top):
        """Forecasts [n] from the top layer's 2h [100, n]: a sum per column in fixed order.

        A matrix product would round by the column's place among the others.
        """
        return np.add.reduce(np.ascontiguousarray(top.T) * self.row, axis=1) + self.bias


def split(count, widths):
    """Widths, in ascending `widths`, that together take `count` windows with the least padding."""
    parts = []
    while count > 0:
        wider = [width for width in widths if width >= count]
        narrower = [width for width in widths if width < count]
        if not wider:
            part = widths[-1]
        elif (
            narrower and narrower[-1] + min(w for w in widths if w >= min(count - narrower[-1], widths[-1])) < wider[0]
        ):
            part = narrower[-1]
        else:
            part = wider[0]
        parts.append(part)
        count -= part
    return parts


class InFlight:
    """The 30 windows of one series that hold its newest value: a cache of activations, never the state.

    It is checked against the values themselves at every call, so a host may swap, restore or rewind
    `past_days` at will.
    """

    def __init__(self, network):
        self.network = network
        self.width = next(width for width in network.widths if width >= n_steps)
        self.prices = np.zeros((n_steps, self.width), np.float32)
        self.missed = None
        self.restart()

    def restart(self):
        self.states, self.values, self.count = self.network.zeros[self.width], [], 0

    def follow(self, values):
        """Take the last of `values` (at most 30, one series); the forecast after a full window, else None.

        None also when the values before it are not those in flight. A series that comes twice in a
        row is worth the 29 steps that put it in flight; one that alternates with others is not.
        """
        known = values[:-1]
        if known != self.values[len(self.values) - len(known) :] or len(known) > len(self.values):
            if known != self.missed:
                self.missed = values[1 - n_steps :]
                return None
            self.restart()
            for value in known:
                self.move(value)
        top = self.move(values[-1])
        if len(values) < n_steps:
            return None
        slot = self.count % n_steps  # the oldest window, next to start anew
        return self.network.read(top.numpy()[:, slot : slot + 1])[0]

    def move(self, value):
        """All windows take one value; the slot of the finished one starts anew. Returns 2h [100, W]."""
        self.prices[0] = value
        self.states, top = self.network.programs[self.width](
            tf.constant(self.prices), self.network.one_step, self.network.slots[self.count % n_steps], self.states
        )
        self.count += 1
        self.values = [*self.values, value][-n_steps:]
        return top


def begin():
    global past_days, network, in_flight
    past_days = []
    checkpoint = tf.train.load_checkpoint("./" + save_name)
    network = Network({name: checkpoint.get_tensor(name) for name in variable_shapes()})
    in_flight = InFlight(network)


def push(x):
    """Move the state on by one value; the window of the last 30 values once there are so many, else None."""
    global past_days
    value = float(x)
    if not math.isfinite(value):
        raise ValueError("a price must be a finite number, not {}".format(value))
    past_days = [*past_days, value][-n_steps:]
    return past_days if len(past_days) == n_steps else None


def predict(inputs):
    """Forecasts [B, k - 29, 1] after each 30 consecutive values of inputs [B, k, 1], as float32."""
    inputs = np.asarray(inputs, np.float32)
    if inputs.shape[1] < n_steps:
        raise Exception("Insufficient inputs! X should be an array of shape (1, k, 1) where k >= n_steps")
    windows = np.lib.stride_tricks.sliding_window_view(inputs[:, :, 0], n_steps, axis=1)
    return network.score(windows.reshape(-1, n_steps)).reshape(len(inputs), -1, 1)


def action(x):
    window = push(x)
    score = in_flight.follow(past_days)
    if window is not None:
        if score is None:
            score = predict(np.reshape(window, (1, n_steps, 1)))[0, 0, 0]
        yield float(score)


def end():
    global network, in_flight
    network = in_flight = None
