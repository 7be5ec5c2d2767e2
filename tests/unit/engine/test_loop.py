"""The loop over an in-memory log: one by one or batched, through aborts and bad records."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_scorer.codec import codec_for
from stream_scorer.codec.schema import load_schema
from stream_scorer.engine.loop import Loop, Pace
from stream_scorer.engine.scoring import Scorer
from stream_scorer.errors import ActionError, BrokerError
from stream_scorer.model.module import Module
from stream_scorer.records import Partition, Record
from stream_scorer.state.sessions import Sessions
from stream_scorer.transports.memory import ABORT, MemoryLog, MemorySink, MemorySource

MODELS = Path(__file__).parents[2] / "models"
MODES = ["rolling_mean", "rolling_mean_batched"]


def _run(model, items, *, batch=7, fail_on_reject=False):
    module = Module(MODELS / f"{model}.py")
    module.begin()
    sessions = Sessions(module, module.state_names)
    codec = codec_for("avro-binary", load_schema("double", {}, MODELS))
    log = MemoryLog()
    loop = Loop(
        MemorySource(log, items),
        Scorer(module, sessions, codec, {1: codec}),
        sessions,
        MemorySink(log),
        pace=Pace(batch, max_batch_s=60),
        fail_on_reject=fail_on_reject,
        first_pause_s=0,
    )
    loop.run()
    return log


def _records(values, keys=1):
    return [
        Record(Partition("in", 0), offset, b"k%d" % (offset % keys), struct.pack("<d", value), 1000 + offset, None)
        for offset, value in enumerate(values)
    ]


def _scores(log):
    return [(out.source.offset, out.value) for out in log.outputs]


def _reference(values, keys=1):
    windows = {}
    found = []
    for offset, value in enumerate(values):
        if value in (-1.0, -2.0):
            continue
        window = windows.setdefault(offset % keys, [])
        window.append(value)
        if len(window) >= 30:
            total = 0.0
            for one in window[-30:]:
                total += one
            found.append((offset, struct.pack("<d", total / 30)))
    return found


@pytest.mark.parametrize("model", MODES)
@pytest.mark.parametrize("batch", [1, 7, 1000])
def test_scores_do_not_depend_on_how_input_is_cut(model, batch):
    values = [float(i) * 0.1 for i in range(100)]
    assert _scores(_run(model, _records(values), batch=batch)) == _reference(values)


@pytest.mark.parametrize("model", MODES)
def test_keys_that_alternate_score_as_if_alone(model):
    values = [float(i % 17) for i in range(200)]
    assert _scores(_run(model, _records(values, keys=3))) == _reference(values, keys=3)


@pytest.mark.parametrize("model", MODES)
def test_an_abort_changes_nothing_a_committed_reader_can_see(model):
    items = _records([float(i) for i in range(120)], keys=2)
    clean = _run(model, items)
    faults = list(items)
    for at in (100, 64, 33, 0):
        faults.insert(at, ABORT)
    broken = _run(model, faults)
    assert _scores(broken) == _scores(clean)
    assert broken.positions == clean.positions
    assert {at: snapshot.state for at, snapshot in broken.state.items()} == {
        at: snapshot.state for at, snapshot in clean.state.items()
    }


@pytest.mark.parametrize("model", MODES)
def test_a_record_that_fails_leaves_its_session_as_it_was(model):
    values = [float(i) for i in range(100)]
    values[10], values[50], values[51] = -1.0, -2.0, -2.0
    log = _run(model, _records(values))
    assert _scores(log) == _reference(values)
    assert [reject.source.offset for reject in log.rejects] == [10, 50, 51]
    assert {reject.stage for reject in log.rejects} == {"action"}
    assert "minus one is not welcome" in log.rejects[0].message
    assert f"{model}.py:" in log.rejects[0].message


def test_bytes_that_cannot_be_decoded_cost_one_record():
    items = _records([float(i) for i in range(60)])
    items[20] = items[20]._replace(value=b"abc")
    items[21] = items[21]._replace(value=None)
    log = _run("rolling_mean", items)
    assert [(reject.source.offset, reject.stage) for reject in log.rejects] == [(20, "decode"), (21, "decode")]
    assert len(log.outputs) == 60 - 2 - 29


def test_fail_on_reject_publishes_nothing_of_the_batch():
    items = _records([0.0] * 40 + [-1.0] + [0.0] * 10)
    with pytest.raises(ActionError, match=r"in\[0\]@40.*minus one.*--on-bad-record"):
        _run("rolling_mean", items, batch=1000, fail_on_reject=True)


def test_endless_aborts_end_the_run():
    items = _records([0.0])
    with pytest.raises(BrokerError, match="20 failures without one commit"):
        _run("rolling_mean", [*[ABORT] * 20, *items], batch=5)


@settings(max_examples=60, deadline=None)
@given(
    values=st.lists(st.sampled_from([0.5, 1.25, 3.0, -1.0]), max_size=150),
    keys=st.integers(1, 4),
    batch=st.integers(1, 50),
    aborts=st.lists(st.integers(0, 150), max_size=4),
    model=st.sampled_from(MODES),
)
def test_any_cut_any_keys_any_aborts(values, keys, batch, aborts, model):
    items = _records(values, keys)
    for at in sorted((at for at in aborts if at < len(items)), reverse=True):
        items.insert(at, ABORT)
    log = _run(model, items, batch=batch)
    assert _scores(log) == _reference(values, keys)
    assert [reject.source.offset for reject in log.rejects] == [
        offset for offset, value in enumerate(values) if value in (-1.0, -2.0)
    ]
