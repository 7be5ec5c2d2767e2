"""The two jobs: the values sent, their form on the wire, and the outputs expected."""

from __future__ import annotations

import functools
import json
import logging
import math
import os
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from confluent_kafka import Message

from bench.peers.programs.lane import STEPS, decode, encode
from stream_scorer.system.stderr import without_banners


@dataclass(frozen=True)
class Job:
    """A model over the last 30 values of a key.

    Args:
        scores: forecasts [N] of windows [N, 30].
        tolerance: by which a score may differ from ours.
    """

    name: str
    keys: int
    scores: Callable[[np.ndarray], np.ndarray]
    tolerance: float


def _mean(windows: np.ndarray) -> np.ndarray:
    """Added up from the oldest, as a loop does: a pairwise sum has other bits."""
    return np.add.accumulate(windows, axis=1)[:, -1] / STEPS


def _lstm(windows: np.ndarray) -> np.ndarray:
    """By the tutorial's graph: no contestant is checked by its own code."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with without_banners():
        from bench.seed_graph import SeedGraph, load_weights

    logging.getLogger("tensorflow").setLevel(logging.ERROR)  # that dynamic_rnn is deprecated
    graph = SeedGraph(load_weights())
    try:
        parts = np.array_split(windows, math.ceil(len(windows) / 1024))
        return np.concatenate([graph.score_many(part) for part in parts]).astype(float)
    finally:
        graph.close()


JOBS = {job.name: job for job in (Job("lstm", 1, _lstm, 5e-6), Job("mean", 50, _mean, 1e-12))}


def values(count: int) -> np.ndarray:
    """Values like prices without their trend, within about +-1.5, no two equal; the first N are the same for any count."""
    at = np.arange(count)
    return np.sin(at / 40) + 0.4 * np.sin(at / 7.3) + 0.05 * np.sin(at * 1.7)


def key(index: int, keys: int) -> bytes:
    return b"k%d" % (index % keys)


@functools.cache
def outputs(job: Job, keys: int, count: int) -> dict[bytes, np.ndarray]:
    """Key -> the scores of the first `count` records, in order."""
    sent = values(count)
    series = [sent[first::keys] for first in range(keys)]
    windows = [np.lib.stride_tricks.sliding_window_view(prices, STEPS) for prices in series if len(prices) >= STEPS]
    scores = job.scores(np.concatenate(windows))
    parts = np.split(scores, np.cumsum([len(part) for part in windows])[:-1])
    return {key(first, keys): part for first, part in enumerate(parts)}


def echoes(keys: int, count: int) -> dict[bytes, np.ndarray]:
    """Key -> the values sent: the outputs expected of a copy."""
    sent = values(count)
    return {key(first, keys): sent[first::keys] for first in range(keys)}


class Avro:
    """A bare Avro double in and out."""

    headers: ClassVar[list[tuple[str, bytes]] | None] = None
    answers_all = False

    @staticmethod
    def write(_: bytes, value: float) -> bytes:
        return encode(value)

    read = staticmethod(decode)


class V2Json:
    """JSON of the V2 inference protocol. It answers every record: null while there is no score."""

    headers: ClassVar[list[tuple[str, bytes]] | None] = [("mlserver-model", b"peer")]
    answers_all = True

    @staticmethod
    def write(key: bytes, value: float) -> bytes:
        shape = {"shape": [1, 1]}
        inputs = [
            {"name": "key", "datatype": "BYTES", "data": [key.decode()], **shape},
            {"name": "value", "datatype": "FP64", "data": [value], **shape},
        ]
        return json.dumps({"inputs": inputs}).encode()

    @staticmethod
    def read(value: bytes) -> float | None:
        score: float | None = json.loads(value)["outputs"][0]["data"][0]
        return score


Wire = type[Avro] | type[V2Json]


def difference(messages: Iterable[Message], wanted: dict[bytes, np.ndarray], wire: Wire) -> float:
    """The largest difference of a score from the expected one, key by key in order.

    Raises:
        ValueError: scores are missing, or there are too many; the text says of which key.
    """
    by_key: dict[bytes, list[float]] = defaultdict(list)
    for message in messages:
        score = wire.read(message.value())
        if score is not None:
            by_key[message.key()].append(score)
    if unknown := set(by_key) - set(wanted):
        raise ValueError(f"outputs of keys that were never sent: {sorted(map(str, unknown))[:3]}")
    worst = 0.0
    for name, scores in wanted.items():
        if len(by_key[name]) != len(scores):
            raise ValueError(f"{len(by_key[name])} outputs of key {name.decode()}, not {len(scores)}")
        if len(scores):
            worst = max(worst, float(np.abs(np.array(by_key[name]) - scores).max()))
    return worst
