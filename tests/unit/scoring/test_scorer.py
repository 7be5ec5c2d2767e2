"""One batch: what an output and a reject carry, and what feeding leaves behind."""

from __future__ import annotations

import struct

import pytest

from stream_scorer.codec import codec_for
from stream_scorer.codec.schema import make_schema
from stream_scorer.errors import MAX_TEXT
from stream_scorer.model.module import Module
from stream_scorer.records import Outgoing, Partition, Record
from stream_scorer.scoring.scorer import Scorer
from stream_scorer.state.sessions import Sessions
from support.service import MODELS

DOUBLE = codec_for("avro-binary", make_schema("double", "double"))


def _scorer(module, slots=(1,)):
    sessions = Sessions(module, module.state_names)
    return Scorer(module, sessions, DOUBLE, dict.fromkeys(slots, DOUBLE)), sessions


def _records(values):
    return [Record(Partition("in", 0), at, b"k", struct.pack("<d", value), 7, None) for at, value in enumerate(values)]


def test_outputs_of_several_slots_keep_their_order(load_module):
    scorer, _ = _scorer(load_module("def action(x):\n yield 3, x\n yield x + 1\n yield 3, x + 2"), slots=(1, 3))
    (record,) = _records([5.0])
    assert scorer.score([record]) == [
        Outgoing(slot, record, struct.pack("<d", value)) for slot, value in [(3, 5.0), (1, 6.0), (3, 7.0)]
    ]


def test_an_output_to_a_slot_without_stream_rejects_the_record(load_module):
    scorer, sessions = _scorer(load_module("n = 0\ndef action(x):\n global n\n n += 1\n yield x\n yield 3, x"))
    (reject,) = scorer.score(_records([5.0]))
    assert reject.stage == "encode"
    assert "slot 3, which is not in use (outputs in use: 1)" in reject.message
    assert "'# fastscore.slot.3: in-use'" in reject.message
    assert len(sessions) == 0


def test_an_output_that_does_not_fit_rejects_the_record_and_undoes_its_state(load_module):
    module = load_module("n = 0\ndef action(x):\n global n\n n += 1\n yield 'text' if x < 0 else n")
    scorer, _ = _scorer(module)
    first, reject, last = scorer.score(_records([1.0, -1.0, 1.0]))
    assert (reject.stage, reject.error, reject.message) == (
        "encode",
        "SchemaError",
        'output: expected double, not "text" (str)',
    )
    assert (first.value, last.value) == (struct.pack("<d", 1.0), struct.pack("<d", 2.0))


def test_a_reject_tells_the_models_own_error_and_its_trace(load_module):
    scorer, _ = _scorer(load_module("def deep(x): raise KeyError('no price')\ndef action(x): deep(x)"))
    (reject,) = scorer.score(_records([1.0]))
    assert (reject.stage, reject.error) == ("action", "KeyError")
    assert reject.message == "toy.py:1: action() raised KeyError: 'no price'"
    assert "in deep" in reject.stacktrace
    assert reject.stacktrace.endswith("KeyError: 'no price'\n")


def test_a_trace_is_cut_at_its_beginning(load_module):
    scorer, _ = _scorer(load_module("def action(x): raise ValueError('x' * 20_000 + 'end')"))
    (reject,) = scorer.score(_records([1.0]))
    assert len(reject.stacktrace) == MAX_TEXT
    assert reject.stacktrace.endswith("end\n")


def test_a_message_is_cut_too(load_module):
    scorer, _ = _scorer(load_module("def action(x): raise ValueError('x' * 2_000_000)"))
    (reject,) = scorer.score(_records([1.0]))
    assert len(reject.message) <= 2 * MAX_TEXT


@pytest.mark.parametrize("model", ["rolling_mean", "rolling_mean_batched"])
def test_feeding_leaves_the_state_that_scoring_leaves(model):
    """Else a rebuilt session differs from the one that was lost."""
    values = [float(at) for at in range(50)]
    values[10], values[40] = -1.0, -2.0
    states = []
    for how in ("score", "feed"):
        module = Module(MODELS / f"{model}.py")
        module.begin()
        scorer, sessions = _scorer(module)
        getattr(scorer, how)(_records(values))
        states.append([snapshot.state for snapshot in sessions.unsettled()])
    assert states[0] == states[1]


def test_a_batch_that_is_done_again_has_its_values_as_they_came(load_module):
    """A model may change what it is given, and its state turns out at the end of the batch to need the careful way."""
    source = "kept = None\ndef action(x):\n global kept\n x['n'] += 1\n kept = [[x['n']]]\n yield x['n']"
    module, json = load_module(source), codec_for("json", None)
    sessions = Sessions(module, module.state_names)
    scorer = Scorer(module, sessions, json, {1: json})
    records = [record._replace(value=b'{"n": 1}') for record in _records([0.0, 0.0])]
    assert [one.value for one in scorer.score(records)] == [b"2", b"2"]


def test_an_output_is_encoded_before_the_model_goes_on(load_module):
    module, json = load_module("def action(x):\n for k in (1, 2):\n  x[0] = k\n  yield x"), codec_for("json", None)
    scorer = Scorer(module, Sessions(module, ()), json, {1: json})
    (record,) = _records([0.0])
    assert [one.value for one in scorer.score([record._replace(value=b"[0]")])] == [b"[1]", b"[2]"]


def test_a_call_is_ended_before_its_record_is_undone(load_module):
    """What a generator does behind an output that does not fit is not done to the session as it was before."""
    module = load_module("n = 0\ndef action(x):\n global n\n try:\n  yield 'no' if x < 0 else n\n finally:\n  n += 1")
    scorer, _ = _scorer(module)
    first, reject, last = scorer.score(_records([1.0, -1.0, 1.0]))
    assert reject.stage == "encode"
    assert [one.value for one in (first, last)] == [struct.pack("<d", value) for value in (0.0, 1.0)]


def test_scores_of_a_batch_go_to_the_only_output_slot(load_module):
    source = (MODELS / "rolling_mean_batched.py").read_text()
    module = load_module(source + "\n# fastscore.slot.1: unused\n# fastscore.slot.3: in-use\n")
    scorer, _ = _scorer(module, slots=(3,))
    assert [one.slot for one in scorer.score(_records([1.0] * 31))] == [3, 3]
