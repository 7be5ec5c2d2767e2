"""The minimum CPU time of one prediction of the flagship on this machine: its matrix products and gates, nothing else.

The products are NumPy's (OpenBLAS), of the same shapes, with all weights in turn, at the batch width and in the layout
that are fastest here. The gates are 45,000 evaluations of tanh (30 steps, 3 layers, 100 units, 5 each; a
sigmoid is a tanh) at the cheapest of three rates: NumPy's tanh, NumPy's exp (less than any gate needs), a compiled
XLA tanh. The other 72,000 additions and multiplications are left out.
"""

from __future__ import annotations

import functools
import json
import time
from collections.abc import Callable
from typing import Any

from bench.processes import child

STEPS, LAYERS, UNITS, GATES = 30, 3, 100, 5
WIDTHS = (128, 256, 512)
BLOCK = (4 * UNITS, 256)


class Limit:
    """Measures the limit, as often as it is asked, in a process with one thread: see `one_thread`."""

    def __init__(self) -> None:
        products = [_products(width, columns) for width in WIDTHS for columns in (False, True)]
        gates = [_numpy("tanh"), _numpy("exp"), _xla_tanh()]
        # The best is chosen once: the minimum of several noisy figures in each round would be too low.
        self._products, self._gates = (min(ways, key=lambda way: _cpu(way, 3)) for ways in (products, gates))

    def us(self) -> float:
        """CPU microseconds per prediction, measured now."""
        return (_cpu(self._products, 3) + _cpu(self._gates, 10)) * 1e6


def _products(width: int, columns: bool) -> Callable[[], int]:
    """A function that does all products of `width` predictions, windows as rows or as columns, and returns `width`."""
    import numpy as np

    rng = np.random.default_rng(1)

    def product(inputs: int) -> Callable[[], object]:
        a, w = (rng.standard_normal(shape, np.float32) for shape in ((width, inputs), (inputs, 4 * UNITS)))
        if columns:
            return functools.partial(np.matmul, w.T.copy(), a.T.copy(), out=np.empty((4 * UNITS, width), np.float32))
        return functools.partial(np.matmul, a, w, out=np.empty((width, 4 * UNITS), np.float32))

    # The first step has no recurrent part.
    first = [product(1)] + [product(UNITS) for _ in range(LAYERS - 1)]
    later = [product(1 + UNITS)] + [product(2 * UNITS) for _ in range(LAYERS - 1)]

    def call() -> int:
        for multiply in first + later * (STEPS - 1):
            multiply()
        return width

    return call


def _numpy(name: str) -> Callable[[], float]:
    import numpy as np

    z = np.random.default_rng(2).standard_normal(BLOCK, np.float32)
    function, out = getattr(np, name), np.empty_like(z)

    def call() -> float:
        function(z, out=out)
        return z.size / (STEPS * LAYERS * UNITS * GATES)

    return call


def _xla_tanh(turns: int = 20) -> Callable[[], float]:
    import numpy as np
    import tensorflow as tf

    z = tf.constant(np.random.default_rng(3).standard_normal(BLOCK, np.float32))

    def body(at: Any, z: Any) -> Any:
        return at + 1, tf.tanh(z)

    # Several turns in one program, so that calling it costs little.
    program = tf.function(
        lambda z: tf.while_loop(lambda at, _: at < turns, body, (tf.constant(0), z))[1], jit_compile=True
    ).get_concrete_function(z)

    def call() -> float:
        program(z)
        return turns * BLOCK[0] * BLOCK[1] / (STEPS * LAYERS * UNITS * GATES)

    return call


def _cpu(way: Callable[[], float], times: int) -> float:
    """CPU seconds per prediction; `way` returns the number of predictions that it stands for."""
    way()
    started = time.process_time()
    done = sum(way() for _ in range(times))
    return (time.process_time() - started) / done


def attainable_us(rounds: int = 7) -> float:
    """CPU microseconds per prediction on one core: the median of the rounds, in a process of their own."""
    return float(child("bench.attainable", rounds))


def main(rounds: int) -> None:
    from statistics import median

    limit = Limit()
    print(json.dumps(median(limit.us() for _ in range(rounds))))


if __name__ == "__main__":
    import sys

    main(int(sys.argv[1]) if len(sys.argv) > 1 else 7)
