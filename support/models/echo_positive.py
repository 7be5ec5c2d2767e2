# fastscore.schema.0: double
# fastscore.schema.1: double
"""Gives each value back; negative ones are refused. No state."""


def action(x):
    if x < 0:
        raise ValueError("negative")
    yield x
