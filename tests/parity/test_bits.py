"""A score is a function of its window and the weights, to the last bit, and of nothing else.

Not of the batch it is in, its place there, other keys, threads, restarts or what was scored before. The
reference throughout is the plainest host there is: `action`, value after value, one series alone.
"""

from __future__ import annotations

import hashlib
import os
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from stream_scorer.codec import codec_for
from stream_scorer.codec.schema import make_schema
from stream_scorer.model.module import Module
from stream_scorer.model.sandbox import sandbox
from stream_scorer.records import Outgoing, Partition, Record
from stream_scorer.scoring.hosting import HostedModel
from stream_scorer.scoring.scorer import Scorer
from stream_scorer.state.sessions import Sessions
from tests.support.host import scores

pytestmark = pytest.mark.tensorflow
ROOT = Path(__file__).parents[2]
MODEL = ROOT / "stream_scorer" / "models"
N_STEPS = 30
LENGTH = 100
DOUBLE = codec_for("avro-binary", make_schema("double", "double"))
PARTITION = Partition("in", 0)
BATCHES = {"shipped": 1500, "faint": 500, "strong": 500}
"""By weights: the shipped ones, and random ones of a scale where all gates are linear and where all are saturated."""
SCALES = {"faint": 0.05, "strong": 20.0}


def make_series() -> list[list[float]]:
    """Values that arithmetic could treat differently in one place than in another."""
    rng = np.random.default_rng(2017)
    rows = [np.cumsum(rng.standard_normal(LENGTH)) * scale for scale in np.geomspace(1e-3, 1e3, 7)]
    rows.append(np.where(np.arange(LENGTH) % 17, rows[-1], 0.0))  # differs from the one before here and there
    rows += [np.full(LENGTH, value) for value in (0.0, 0.5, -1e3)]
    rows += [
        rng.choice([0.0, -0.0], LENGTH),  # equal, though not the same bits
        rng.standard_normal(LENGTH) * 1e-40,  # denormal as they come
        rng.standard_normal(LENGTH) * 1e-33,  # denormal inside the network
        rng.choice([-1e3, 0.0, 5e-324, 1e-3, 1e3], LENGTH),
        np.repeat(rng.standard_normal(LENGTH // 20), 20),
    ]
    return [row.tolist() for row in rows]


SERIES = make_series()
WINDOWS = np.concatenate([np.lib.stride_tricks.sliding_window_view(row, N_STEPS) for row in SERIES])


class StartPosition(NamedTuple):
    """A module after `begin` and its scores one by one: `scores[s][i]` after value i of series s, None before 30."""

    module: Module
    scores: list[list[float | None]]

    @property
    def expected(self) -> np.ndarray:
        """Scores [N], float32, of WINDOWS."""
        return np.array([score for row in self.scores for score in row if score is not None], np.float32)


def score_alone(module: Module, values: list[float]) -> list[float | None]:
    """`action` for one series from its first value on, after whatever came before."""
    module.set_state(([],))
    return [score_next(module, value) for value in values]


def score_next(module: Module, value: float) -> float | None:
    outputs = scores(module, value)
    return outputs[0][1] if outputs else None


def begin_shipped() -> Module:
    with sandbox(MODEL / "attachment.tar.gz"):
        module = Module(MODEL / "tf_sp500_lstm.py")
        module.begin()
    return module


def begin_random(scale: float) -> Module:
    from stream_scorer_training import network

    weights = network.initial_weights(seed=1)
    if scale > 1:  # the others keep zero biases: with those the sign of a zero and denormals get furthest
        rng = np.random.default_rng(2)
        weights = {
            name: value if value.any() else rng.uniform(-0.1, 0.1, value.shape).astype(np.float32)
            for name, value in weights.items()
        }
    with sandbox(None) as inside:
        network.save({name: value * np.float32(scale) for name, value in weights.items()}, inside / "tf_sp500_lstm")
        module = Module(MODEL / "tf_sp500_lstm.py")
        module.begin()
    return module


@pytest.fixture(scope="module")
def begin() -> Iterator[Callable[..., StartPosition]]:
    """The flagship with these weights, begun once per copy: a copy stands for a process of its own."""
    found: dict[tuple[str, int], StartPosition] = {}
    with ExitStack() as stack:

        def begin(weights: str, copy: int = 0) -> StartPosition:
            if (weights, copy) not in found:
                module = begin_random(SCALES[weights]) if weights in SCALES else begin_shipped()
                stack.callback(module.end)
                found[weights, copy] = StartPosition(module, [score_alone(module, row) for row in SERIES])
            return found[weights, copy]

        yield begin


@pytest.mark.parametrize("weights", BATCHES)
def test_the_reference_is_worth_comparing_with(begin, weights):
    """Scores that are all alike, or not numbers, would agree under any arithmetic."""
    expected = begin(weights).expected
    assert len(expected) == len(WINDOWS)
    assert np.isfinite(expected).all()
    assert len(np.unique(expected)) > len(expected) / 3


@pytest.mark.parametrize("weights", BATCHES)
def test_thousands_of_random_batches(begin, weights):
    """Windows at random in any order: every small size, those about each program's width, then sizes at random."""
    begun = begin(weights)
    network, expected, windows = begun.module.namespace["network"], begun.expected, WINDOWS.astype(np.float32)
    narrow = network.widths[0]
    sizes = [*range(1, 2 * narrow + 2), *(width + more for width in network.widths[1:] for more in (-1, 0, 1))]
    rng = np.random.default_rng(3)
    most = rng.choice([narrow, 2 * narrow, 600], BATCHES[weights], p=[0.85, 0.13, 0.02])  # a narrow one costs 5 ms
    sizes += rng.integers(1, most + 1)[len(sizes) :].tolist()

    def differing(batch: int) -> tuple[int, int, list[int]] | None:
        chosen = np.random.default_rng(batch).integers(len(windows), size=sizes[batch])
        differ = network.score(windows[chosen]).view(np.uint32) != expected[chosen].view(np.uint32)
        return (batch, len(chosen), np.flatnonzero(differ).tolist()) if differ.any() else None

    # Two at a time: TensorFlow lets go of the interpreter, and what runs beside must not matter either.
    with ThreadPoolExecutor(2) as pool:
        assert [found for found in pool.map(differing, range(len(sizes))) if found] == []  # (seed, size, places)


def test_predict_on_inputs_longer_than_a_window(begin):
    begun = begin("shipped")
    rng = np.random.default_rng(6)
    for _ in range(20):
        length = rng.integers(N_STEPS, LENGTH)
        chosen = rng.integers(len(SERIES), size=rng.integers(1, 6))
        starts = rng.integers(LENGTH - length + 1, size=len(chosen))
        inputs = [SERIES[s][start : start + length] for s, start in zip(chosen, starts, strict=True)]
        expected = [
            begun.scores[s][start + N_STEPS - 1 : start + length] for s, start in zip(chosen, starts, strict=True)
        ]
        made = begun.module.namespace["predict"](np.array(inputs)[:, :, None])
        assert made[:, :, 0].tobytes() == np.array(expected, np.float32).tobytes()


@pytest.mark.parametrize("keys", range(1, 8))
@pytest.mark.parametrize("batched", [True, False], ids=["batched", "one by one"])
def test_any_mix_of_keys_in_any_cut_with_roll_backs_and_restarts(begin, batched, keys):
    copies = [begin("shipped", copy) for copy in (0, 1)]
    begun, rng = copies[0], np.random.default_rng([keys, batched])
    chosen = rng.choice(len(SERIES), keys, replace=False)
    length = LENGTH if batched else 55
    records, expected = [], {}
    left = [iter(zip(SERIES[s][:length], begun.scores[s], strict=False)) for s in chosen]
    for key in rng.permutation(np.repeat(np.arange(keys), length)).tolist():
        if rng.random() < 0.02:  # rejected, and its session does not feel it
            records.append(record(len(records), key, float(rng.choice([np.nan, np.inf]))))
        value, score = next(left[key])
        if score is not None:
            expected[len(records)] = score
        records.append(record(len(records), key, value))

    copy, at, found, saved = 0, 0, {}, {}
    scorer, sessions = make_scorer(begun.module, batched)
    while at < len(records):
        batch = records[at : at + rng.integers(1, 100)]
        scored = scorer.score(batch)
        if rng.random() < 0.2:  # an aborted transaction: the records come again, and are cut in another way
            sessions.roll_back()
            continue
        found |= {out.source.offset: out.value for out in scored if isinstance(out, Outgoing)}
        saved |= {snapshot.key: snapshot for snapshot in sessions.unsettled()}
        sessions.settle()
        at += len(batch)
        if rng.random() < 0.2:  # another process goes on with what the changelog has
            copy = 1 - copy
            scorer, sessions = make_scorer(copies[copy].module, batched)
            sessions.restore(PARTITION, saved.values())
    assert found == {offset: struct.pack("<d", score) for offset, score in expected.items()}


def record(offset: int, key: int, value: float) -> Record:
    return Record(PARTITION, offset, b"%d" % key, struct.pack("<d", value), 1, None)


def make_scorer(module: Module, batched: bool) -> tuple[Scorer, Sessions]:
    module.set_state(([],))  # as `begin` leaves it
    wired = HostedModel(module, {}, None).wire(DOUBLE, {1: DOUBLE}, one_by_one=not batched)
    return wired.scorer, wired.sessions


@pytest.mark.parametrize("weights", BATCHES)
def test_a_host_may_swap_rewind_and_replay_states_between_actions(begin, weights):
    """What `action` keeps in flight is a cache: it never shows in a score."""
    begun = begin(weights)
    rng = np.random.default_rng(7)
    at, s, wrong = [0] * len(SERIES), 0, []
    for call in range(600):
        move = rng.random()
        if move < 0.05:
            s = int(rng.integers(len(SERIES)))
        elif move < 0.1:  # to a neighbour, which may have the same values of late
            at[s - 1] = at[s]
            s = (s - 1) % len(SERIES)
        elif move < 0.15:  # back by some values, or to the start
            at[s] = max(0, at[s] - int(rng.choice([1, 2, 29, 30, 31, LENGTH])))
        if at[s] == LENGTH:
            at[s] = 0
        # A list of its own at every call, as a host has it that keeps states as bytes.
        begun.module.set_state((SERIES[s][max(0, at[s] - N_STEPS) : at[s]],))
        if score_bits(score_next(begun.module, SERIES[s][at[s]])) != score_bits(begun.scores[s][at[s]]):
            wrong.append((call, s, at[s]))
        at[s] += 1
    assert wrong == []


def score_bits(score: float | None) -> bytes | None:
    return None if score is None else struct.pack("<d", score)


def digest(module: Module) -> str:
    """Of scores one by one and in batches of many sizes."""
    network, windows = module.namespace["network"], np.random.default_rng(9).permutation(WINDOWS).astype(np.float32)
    scores = [np.array([score for score in score_alone(module, SERIES[1]) if score is not None], np.float32)]
    scores += [network.score(windows[size : 2 * size]) for size in (1, 7, 16, 31, 32, 65, 130, 257)]
    return hashlib.sha256(np.concatenate(scores).tobytes()).hexdigest()


def test_any_number_of_threads_and_any_process(begin):
    """This process, with one thread per op, and others with as many and with more."""
    children = []
    for threads in ("1", "2"):
        names = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")
        environment = os.environ | dict.fromkeys(names, threads)
        command = [sys.executable, "-m", "tests.parity.test_bits"]
        children.append(subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE))
    found = [child.communicate()[0].decode().strip() for child in children]
    assert found == [digest(begin("shipped").module)] * len(children)


ULPS = {
    "none off": ([0, 0, 0, 0, 0], slice(None)),
    "the two narrowest off": ([1, 1, 0, 0, 0], slice(2, None)),
    "the widest off": ([0, 0, 0, 0, 1], slice(4)),
    "three of one mind, though another than the rest": ([0, 0, 2, 2, 2], slice(2, None)),
    "three of one mind, the narrow ones": ([0, 0, 0, 1, 2], slice(3)),
    "each on its own": ([0, 1, 2, 3, 4], slice(4, None)),
}


@pytest.mark.parametrize("case", ULPS)
def test_widths_that_disagree_are_not_mixed(begin, case):
    """A build or CPU on which some programs round otherwise: `begin` keeps those that agree, if only one."""
    shipped = begin("shipped").module
    ulps, kept = ULPS[case]
    with sandbox(MODEL / "attachment.tar.gz"):
        module = Module(MODEL / "tf_sp500_lstm.py")
        candidates = module.namespace["Network"].candidates = (16, 24, 32, 48, 64)
        off = dict(zip(candidates, ulps, strict=True))
        # Stand-ins over one compiled program: how many widths agree on this CPU must not decide this test.
        base = shipped.namespace["network"]
        module.namespace["advance_program"] = lambda cells, width: stand_in(base, width, off[width])
        module.begin()
    network = module.namespace["network"]
    assert network.widths == candidates[kept]
    assert set(network.programs) == set(network.widths)

    rng = np.random.default_rng(8)
    for s in (1, 3, 5):
        alone = np.array(score_alone(module, SERIES[s])[N_STEPS - 1 :], np.float32)
        windows = np.lib.stride_tricks.sliding_window_view(SERIES[s], N_STEPS)
        for size in (1, 15, 16, 17, 33, 64):
            chosen = rng.permutation(len(windows))[:size]
            made = module.namespace["predict"](windows[chosen][:, :, None])
            assert made[:, 0, 0].tobytes() == alone[chosen].tobytes()


def stand_in(base: Any, width: int, ulps: int) -> Callable[..., Any]:
    """`advance` of any width by one wider program of another network, on prices that are off by some ulps."""
    import tensorflow as tf

    own = next(own for own in base.widths if own >= 64)

    def fit(tensor: Any, columns: int) -> Any:
        if not tensor.shape.rank or tensor.shape[-1] not in (own, width):
            return tensor
        tensor = tensor[..., :columns]
        return tf.pad(tensor, [(0, 0)] * (tensor.shape.rank - 1) + [(0, columns - tensor.shape[-1])])

    def advance(prices: Any, *others: Any) -> Any:
        prices = prices.numpy()
        for _ in range(ulps):
            prices = np.nextafter(prices, np.float32(np.inf))
        made = base.programs[own](*(fit(tensor, own) for tensor in (tf.constant(prices), *others)))
        return tf.nest.map_structure(lambda tensor: fit(tensor, width), made)

    return advance


if __name__ == "__main__":
    print(digest(begin_shipped()))
