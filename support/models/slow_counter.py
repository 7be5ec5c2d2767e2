# fastscore.schema.0: double
# fastscore.schema.1: double
"""Counts its inputs, and takes 40 ms for each; a negative number is how many seconds it takes instead."""

import time


def begin():
    global count
    count = 0


def action(x):
    global count
    time.sleep(-x if x < 0 else 0.04)
    count += 1
    yield float(count)
