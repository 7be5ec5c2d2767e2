# fastscore.schema.0: double
# fastscore.schema.1: double
"""Counts its inputs: state that depends on all of them, so that no window can rebuild it."""


def begin():
    global count
    count = 0


def action(x):
    global count
    count += 1
    yield float(count)
