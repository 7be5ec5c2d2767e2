# fastscore.schema.0: double
# fastscore.schema.1: double
# stream-scorer.state: window
# stream-scorer.window: 30
# stream-scorer.batch: push, predict
"""Mean of the last 30 values, alone or many at once: the additions are in the same order either way."""

import numpy as np


def begin():
    global window
    window = []


def push(x):
    global window
    if x == -1.0:
        raise ValueError("minus one is not welcome")
    window = [*window, x][-30:]
    return window if len(window) == 30 else None


def predict(inputs):
    inputs = np.asarray(inputs)
    if (inputs == -2.0).any():
        raise ValueError("a window that cannot be scored")
    total = np.zeros((len(inputs), 1, 1))
    for step in range(30):
        total += inputs[:, step : step + 1]
    return total / 30


def action(x):
    filled = push(x)
    if filled is not None:
        yield float(predict(np.reshape(filled, (1, 30, 1)))[0, 0, 0])
