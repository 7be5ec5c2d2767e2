"""The peer benchmark's figures and checks; the contestants themselves are run by `python -m bench.peers --quick`."""

from __future__ import annotations

import json

import numpy as np
import pytest

from bench.peers.jobs import JOBS, Avro, V2Json, difference, echoes, outputs, values
from bench.peers.programs.lane import Mean, encode
from bench.peers.report import HIGHER, Ratio, medians, ratios, table

SPEED = Ratio("a / b, records/s", "mean", "a", "b", "records_per_s", HIGHER, 2)


def _figures(speed: float) -> dict[str, float]:
    return {"records_per_s": speed, "cpu_us": 1e6 / speed, "worst": 0.0}


def test_a_ratio_is_taken_within_each_round_that_has_both():
    rounds = [{"a": _figures(100), "b": _figures(50)}, {"a": _figures(10), "b": _figures(2)}, {"a": _figures(7)}]
    assert ratios(rounds, SPEED) == [2, 5]
    assert ratios([{"b": _figures(1)}], SPEED) == []


def test_medians_are_over_the_rounds_a_contestant_got_through():
    rounds = [{"a": _figures(100)}, {}, {"a": _figures(10)}, {"a": _figures(40)}]
    assert medians(rounds)["a"]["records_per_s"] == 40


def test_who_failed_stands_in_the_table_with_the_reason():
    text = table("mean", [{"a": _figures(10)}], {"a": "all", "b": "nothing"}, {"b": "wrong outputs"})
    assert "FAILED: wrong outputs" in text
    assert text.index("a  ") < text.index("b  ")


class Sent:
    """As much of a message as is looked at."""

    def __init__(self, key: bytes, value: bytes) -> None:
        self.key, self.value = (lambda: key), (lambda: value)


@pytest.mark.parametrize("keys", [1, 3])
def test_the_reference_of_the_mean_is_what_a_loop_gives_bit_for_bit(keys):
    model, windows, made = Mean(), {}, []
    for at, value in enumerate(values(200).tolist()):
        key = b"k%d" % (at % keys)
        windows[key], score = model.step(windows.get(key, []), value)
        if score is not None:
            made.append(Sent(key, encode(score)))
    assert difference(made, outputs(JOBS["mean"], keys, 200), Avro) == 0


def test_outputs_that_are_missing_or_too_many_or_moved_are_told():
    wanted = echoes(2, 10)
    sent = [Sent(b"k%d" % (at % 2), encode(value)) for at, value in enumerate(values(10).tolist())]
    assert difference(sent, wanted, Avro) == 0
    with pytest.raises(ValueError, match="4 outputs of key k0, not 5"):
        difference(sent[1:], wanted, Avro)
    with pytest.raises(ValueError, match="6 outputs of key k1, not 5"):
        difference([*sent, sent[1]], wanted, Avro)
    with pytest.raises(ValueError, match="never sent"):
        difference([*sent, Sent(b"k9", encode(1.0))], wanted, Avro)
    assert difference([sent[2], sent[1], sent[0], *sent[3:]], wanted, Avro) == pytest.approx(
        abs(np.ptp(values(3)[::2]))
    )


def test_an_answer_without_a_score_is_not_counted():
    def answer(score):
        return Sent(b"k0", json.dumps({"outputs": [{"data": [score]}]}).encode())

    assert difference([answer(None), answer(1.5)], {b"k0": np.array([1.5])}, V2Json) == 0
