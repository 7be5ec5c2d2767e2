# fastscore.schema.0: double
# fastscore.schema.1: double
"""The mean of the last three values of a key."""


def begin():
    global window
    window = []


def action(x):
    global window
    window = [*window, x][-3:]
    if len(window) == 3:
        yield sum(window) / 3
