"""CPU time of one prediction of the flagship on one thread: batched, one by one, by the tutorial's graph in the same
TensorFlow, and the minimum on this machine. No broker."""

from __future__ import annotations

import json
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.figures import HIGHER, LOWER, medians_of, ratio, target
from bench.processes import child

ROUNDS = 11
MODEL = Path(__file__).parents[1] / "stream_scorer" / "models"
LIMIT, ACTION, SEED, SEED_BATCH = "attainable", "action, one by one", "seed's graph, one by one", "seed's graph, 128"
PREDICT, WIDTHS = "predict, {}", (256, 128, 64)


def run(share: float) -> dict[str, Any]:
    rounds: list[dict[str, float]] = child("bench.arithmetic", max(2, round(ROUNDS * min(share, 1))))
    best, seed = PREDICT.format(WIDTHS[0]), [figures[SEED] for figures in rounds]
    middle = medians_of(rounds)
    print(f"{'CPU us per prediction, one thread':42} {'median':>8} {'least':>8} {'most':>8}")
    for name, value in middle.items():
        measured = [figures[name] for figures in rounds]
        print(f"{name:42} {value:8.1f} {min(measured):8.1f} {max(measured):8.1f}")

    def over(upper: str, lower: str) -> list[float]:
        return [figures[upper] / figures[lower] for figures in rounds]

    ratios = {
        "predict / attainable": ratio(over(best, LIMIT), LOWER),
        "seed one by one / predict": ratio(over(SEED, best), HIGHER),
        "seed one by one / action": ratio(over(SEED, ACTION), HIGHER),
        "seed batched / predict": ratio(over(SEED_BATCH, best), HIGHER),
    }
    target("predict, times the attainable", ratios["predict / attainable"]["value"], 1.3, LOWER)
    target("predict, times as fast as the seed one by one", ratios["seed one by one / predict"]["value"], 12, HIGHER)
    target("action, times as fast as the seed one by one", ratios["seed one by one / action"]["value"], 3.3, HIGHER)
    return {"cpu_us_per_prediction": middle, "rounds": len(seed), "ratios": ratios}


def main(rounds: int) -> None:
    """In a process with one thread. Each round measures every option once, in a random order."""
    import numpy as np
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    from bench.attainable import Limit
    from bench.seed_graph import SeedGraph, load_weights
    from stream_scorer.model.module import Module
    from stream_scorer.model.sandbox import sandbox

    rng = np.random.default_rng(2017)
    series = np.cumsum(rng.standard_normal(4096)) * 0.02
    windows = np.lib.stride_tricks.sliding_window_view(series, 30)[:1024].copy()
    limit, seed = Limit(), SeedGraph(load_weights(), threads=1)
    with sandbox(MODEL / "attachment.tar.gz"):
        module = Module(MODEL / "tf_sp500_lstm.py")
        module.begin()
    predict, action = module.namespace["predict"], module.namespace["action"]
    prices = iter(np.tile(series, 100).tolist())

    def batched(score: Callable[[np.ndarray], object], width: int) -> Callable[[], int]:
        def call() -> int:
            for at in range(0, len(windows), width):
                score(windows[at : at + width])
            return len(windows)

        return call

    def one_by_one(score: Callable[[Any], object], values: Callable[[], Any], count: int) -> Callable[[], int]:
        def call() -> int:
            for _ in range(count):
                score(values())
            return count

        return call

    options = {
        PREDICT.format(width): batched(lambda part: predict(part[:, :, None]), width) for width in WIDTHS
    } | {
        ACTION: one_by_one(lambda price: list(action(price)), lambda: next(prices), 300),
        SEED_BATCH: batched(seed.score_many, 128),
        SEED: one_by_one(seed.score, lambda: windows[rng.integers(len(windows))], 100),
    }  # fmt: skip
    measures = {LIMIT: limit.us} | {name: (lambda call=call: _us(call)) for name, call in options.items()}
    rounds_measured = []
    for round_ in range(rounds + 1):
        names = random.sample(list(measures), len(measures))
        measured = {name: measures[name]() for name in names}
        if round_:  # the first warms up
            rounds_measured.append({name: measured[name] for name in measures})
    print(json.dumps(rounds_measured))


def _us(call: Callable[[], int]) -> float:
    started = time.process_time()
    count = call()
    return (time.process_time() - started) / count * 1e6


if __name__ == "__main__":
    main(int(sys.argv[1]))
