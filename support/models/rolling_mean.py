# fastscore.schema.0: double
# fastscore.schema.1: double
"""Mean of the last 30 values, one record at a time."""


def begin():
    global window
    window = []


def action(x):
    global window
    if x == -1.0:
        raise ValueError("minus one is not welcome")
    window.append(x)
    window = window[-30:]
    if x == -2.0:
        raise ValueError("refused only after the window has moved")
    if len(window) == 30:
        yield sum(window) / 30
