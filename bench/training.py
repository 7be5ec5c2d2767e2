"""Training of the flagship beside the tutorial's loop in the same TensorFlow, on the same cores. No broker.

The tutorial's loop: graph and session with default threads, fed with batches sliced from a pandas series. Ours: what
`stream-scorer train` runs. Two processes take turns, so that both see the same machine.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from statistics import median
from typing import Any

from bench.figures import LOWER, ratio, target
from bench.processes import ROOT

ROUNDS, ITERATIONS, WHOLE = 9, 60, 1500
BATCH, STEPS, UNITS, SEED = 100, 30, 100, 2017
KERNEL_ROWS = (1 + UNITS, 2 * UNITS, 2 * UNITS)
FLOP = 2 * BATCH * STEPS * 4 * UNITS * (2 * sum(KERNEL_ROWS) + sum(KERNEL_ROWS) - 1)
"""Of one iteration: the products of the three layers, forward and for the gradients of weights and inputs."""
SIDES = ("tutorial", "ours")


def run(share: float) -> dict[str, Any]:
    rounds = max(2, round(ROUNDS * min(share, 1)))
    measured: dict[str, list[dict[str, float]]] = {side: [] for side in (*SIDES, "products")}
    with _worker("tutorial") as tutorial, _worker("ours") as ours:
        ask = {"tutorial": tutorial, "ours": ours}
        first = {side: ask[side]("first") for side in SIDES}  # builds and compiles, then warms up
        for _ in range(rounds):
            for side in random.sample(SIDES, len(SIDES)):
                measured[side].append(ask[side]("go"))
            measured["products"].append(ask["ours"]("products"))
        peaks = [ask["ours"]("peak")["gflops"] for _ in range(rounds)]
    wall, cpu = (
        {side: median(figures[kind] for figures in measured[side]) for side in measured} for kind in ("wall_s", "cpu_s")
    )
    peak = max(peaks)
    arithmetic = FLOP * ITERATIONS / peak / 1e9
    print(f"{ITERATIONS} iterations of {BATCH} windows    {'wall s':>8} {'CPU s':>8} {'to the first':>13}")
    for side in SIDES:
        print(f"{side:30} {wall[side]:8.2f} {cpu[side]:8.2f} {first[side]['wall_s']:11.1f} s")
    print(f"{'the products alone, as ours':30} {wall['products']:8.2f} {cpu['products']:8.2f}")
    print(
        f"{'arithmetic on one core':30} {'':8} {arithmetic:8.2f}   {FLOP * ITERATIONS / 1e9:.0f} GFLOP at {peak:.0f} GFLOP/s"
    )

    def over(kind: str, way: str = "ours", other: str = "tutorial") -> list[float]:
        return [a[kind] / b[kind] for a, b in zip(measured[way], measured[other], strict=True)]

    whole = {side: first[side]["wall_s"] + wall[side] * WHOLE / ITERATIONS for side in SIDES}
    print(f"all {WHOLE:,} iterations from the start, by these figures: ", end="")
    print(", ".join(f"{side} {seconds:.0f} s" for side, seconds in whole.items()))
    ratios = {
        "wall, ours / tutorial's loop": ratio(over("wall_s"), LOWER),
        "wall with compilation, ours / tutorial's loop": ratio(whole["ours"] / whole["tutorial"], LOWER),
        "CPU, ours / tutorial's loop": ratio(over("cpu_s"), LOWER),
        "CPU, ours / arithmetic": ratio(cpu["ours"] / arithmetic, LOWER),
        "wall, the products alone / tutorial's loop": ratio(over("wall_s", "products"), LOWER),
        "wall, ours / the products alone": ratio(over("wall_s", "ours", "products"), LOWER),
    }
    target("wall time, of the tutorial's loop's", ratios["wall, ours / tutorial's loop"]["value"], 0.4, LOWER)
    target("CPU time, times the arithmetic", ratios["CPU, ours / arithmetic"]["value"], 2.5, LOWER)
    return {
        "iterations": ITERATIONS,
        "rounds": rounds,
        "wall_s": wall,
        "cpu_s": cpu,
        "to_the_first_s": {side: first[side]["wall_s"] for side in SIDES},
        "peak_gflops": peak,
        "ratios": ratios,
    }


@contextmanager
def _worker(side: str) -> Iterator[Callable[[str], dict[str, float]]]:
    """A process that takes a command a line and answers each with a line of JSON."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("TF_", "OMP_", "XLA_"))}
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.training", side],
        cwd=ROOT,
        env={**kept, "TF_CPP_MIN_LOG_LEVEL": "3"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    to, answers = process.stdin, process.stdout

    def ask(command: str) -> dict[str, float]:
        to.write(command + "\n")
        to.flush()
        line = answers.readline()
        if not line:
            raise RuntimeError(f"bench.training {side} ended with {process.wait()}")
        answer: dict[str, float] = json.loads(line)
        return answer

    try:
        yield ask
    finally:
        to.close()
        process.wait(60)


def main(side: str) -> None:
    from stream_scorer_training.data import synthetic_prices
    from stream_scorer_training.prepare import prepare

    series = prepare(*synthetic_prices(17_000)).training
    go = _tutorial(series) if side == "tutorial" else _ours(series)
    products: Callable[[], None] | None = None
    for line in sys.stdin:
        if line.strip() == "peak":
            answer = {"gflops": _peak()}
        elif line.strip() == "products":
            if products is None:
                products = _products()
                products()
            answer = _timed(products)
        else:
            answer = _timed(go)
            if line.strip() == "first":  # the time beyond that of the iterations
                again = time.perf_counter()
                go()
                answer["wall_s"] -= time.perf_counter() - again
        print(json.dumps(answer), flush=True)


def _timed(go: Callable[[], None]) -> dict[str, float]:
    started, cpu = time.perf_counter(), time.process_time()
    go()
    return {"wall_s": time.perf_counter() - started, "cpu_s": time.process_time() - cpu}


def _ours(series: Any) -> Callable[[], None]:
    from stream_scorer_training.trainer import use_two_devices

    use_two_devices()
    from stream_scorer_training import network
    from stream_scorer_training.trainer import CHUNK, State, Trainer
    from stream_scorer_training.windows import training_starts

    state, trainer = State.start(network.initial_weights(SEED)), None

    def go() -> None:
        nonlocal state, trainer
        trainer = trainer or Trainer(series.to_numpy(), BATCH)
        last = state.done + ITERATIONS
        while state.done < last:
            count = min(CHUNK, last - state.done)
            starts = [training_starts(len(series), BATCH, STEPS, SEED + state.done + at) for at in range(count)]
            state, _ = trainer.advance(state, starts)

    return go


def _tutorial(series: Any) -> Callable[[], None]:
    import numpy as np
    import tensorflow as tf

    from bench.seed_graph import Cell, control_flow_of_tf1

    v1, session, done = tf.compat.v1, None, 0

    def make_training_sequences(array: Any, batch_size: int, n_steps: int, seed: int) -> tuple[Any, Any]:
        # As the tutorial has it.
        x_batch, y_batch = [], []
        random.seed(seed)
        for start in sorted(random.sample(range(len(array) - n_steps - 1), batch_size)):
            x_batch.append(array[start : start + n_steps])
            y_batch.append(array[start + 1 : start + n_steps + 1])
        return np.array(x_batch).reshape(-1, n_steps, 1), np.array(y_batch).reshape(-1, n_steps, 1)

    def build() -> tuple[Any, ...]:
        with tf.Graph().as_default() as graph, control_flow_of_tf1():
            x, y = (v1.placeholder(tf.float32, [None, STEPS, 1]) for _ in "xy")
            v1.set_random_seed(SEED)
            outputs, _ = v1.nn.dynamic_rnn(Cell(), x, dtype=tf.float32)
            loss = tf.reduce_mean(tf.square(outputs - y))
            training = v1.train.AdamOptimizer(learning_rate=0.001).minimize(loss)
            begin = v1.global_variables_initializer()
        made = v1.Session(graph=graph)
        made.run(begin)
        return made, x, y, loss, training

    def go() -> None:
        nonlocal session, done
        session = session or build()
        run, x, y, loss, training = session
        for iteration in range(done, done + ITERATIONS):
            x_batch, y_batch = make_training_sequences(series, BATCH, STEPS, SEED + iteration)
            run.run(training, feed_dict={x: x_batch, y: y_batch})
            if iteration % 100 == 0:
                run.run(loss, feed_dict={x: x_batch, y: y_batch})
        done += ITERATIONS

    return go


def _products() -> Callable[[], None]:
    """The matrix products of ITERATIONS iterations and nothing else: half a batch on each device, in our order."""
    import numpy as np
    import tensorflow as tf

    devices, half = [device.name for device in tf.config.list_logical_devices("CPU")], BATCH // 2
    rng, shapes = np.random.default_rng(1), [(rows, 4 * UNITS) for rows in KERNEL_ROWS]

    def normal(*shape: int) -> Any:
        return tf.constant(rng.standard_normal(shape, np.float32) / shape[-1])

    def part(kernels: Any, starts: Any, rows: Any, gates: Any) -> Any:
        def step(at: Any, *carried: Any) -> Any:  # by a kernel and back: each product needs the one before it
            return at + 1, *(
                tf.matmul(tf.matmul(product, kernel), kernel, transpose_b=True)
                for product, kernel in zip(carried, kernels, strict=True)
            )

        _, *ends = tf.while_loop(lambda at, *_: at < STEPS, step, (0, *starts), maximum_iterations=STEPS)
        # The sums use a result of the steps: else the compiler may drop them.
        sums = [
            tf.matmul(row + end[0, 0], gate, transpose_a=True) for row, gate, end in zip(rows, gates, ends, strict=True)
        ]
        return sum(total[0, 0] for total in sums)

    given = [
        [
            [normal(*shape) for shape in shapes],
            [normal(half, rows) for rows in KERNEL_ROWS],
            [normal(half * STEPS, rows) for rows in KERNEL_ROWS],
            [normal(half * STEPS, 4 * UNITS) for _ in KERNEL_ROWS],
        ]
        for _ in devices
    ]
    programs = [tf.function(part, jit_compile=True, autograph=False) for _ in devices]

    @tf.function(autograph=False)
    def both(*given: Any) -> Any:
        def body(at: Any, total: Any) -> Any:
            outputs = []
            for device, program, (kernels, starts, rows, gates) in zip(devices, programs, given, strict=True):
                with tf.device(device):
                    outputs.append(program(kernels, [start + total for start in starts], rows, gates))
            return at + 1, 1e-9 * sum(outputs)

        return tf.while_loop(
            lambda at, _: at < ITERATIONS,
            body,
            (0, tf.constant(0.0)),
            parallel_iterations=1,
            maximum_iterations=ITERATIONS,
        )[1]

    return lambda: both(*given).numpy()


def _peak(size: int = 2048) -> float:
    """GFLOP per CPU second of a large product on one thread."""
    import numpy as np
    import tensorflow as tf

    a = tf.constant(np.random.default_rng(1).standard_normal((size, size), np.float32))
    tf.matmul(a, a)
    started = time.process_time()
    tf.matmul(a, a).numpy()
    return 2 * size**3 / (time.process_time() - started) / 1e9


if __name__ == "__main__":
    main(sys.argv[1])
