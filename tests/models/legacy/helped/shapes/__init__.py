"""A package of the attachment."""

import numpy as np

from . import squares


def area(shape):
    assert isinstance(shape, squares.Square)
    return np.product([np.float(side) for side in shape.sides])
