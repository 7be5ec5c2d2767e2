# fastscore.schema.0: double
# fastscore.schema.1: double
# fastscore.schema.3: string
# fastscore.slot.3: in-use
"""Slot 1: the largest value so far. Slot 3: an alert for each value above the limit."""

LIMIT = 100.0


def begin():
    global largest
    largest = 0.0


def action(x):
    global largest
    largest = max(largest, x)
    yield largest
    if x > LIMIT:
        yield 3, f"{x:.1f} is above {LIMIT:.0f}"
