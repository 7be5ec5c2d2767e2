"""Forecasts joined with what then happened: once each, whatever is cut, undone or restored."""

from __future__ import annotations

import json
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_scorer.codec import codec_for
from stream_scorer.codec.evaluations import EvaluationCodec
from stream_scorer.codec.schema import make_schema
from stream_scorer.evaluate.drift import Drift
from stream_scorer.evaluate.judge import StreamJudge
from stream_scorer.evaluate.rolling import RollingFigures
from stream_scorer.model.module import Module
from stream_scorer.records import EVALUATIONS, Partition, Record
from stream_scorer.scoring.scorer import Scorer
from stream_scorer.service.loop import Loop
from stream_scorer.service.memory import ABORT, MemoryLog, MemorySink, MemorySource
from stream_scorer.service.pace import Pace
from stream_scorer.service.policies import FailurePolicy
from stream_scorer.state.sessions import Sessions
from support.service import MODELS
from tests.support.examples import examples

# Three values are enough: a window of 30 would need long inputs for hypothesis to find anything.
SMALL = """
# fastscore.schema.0: double
# fastscore.schema.1: double
window = []
def action(x):
    global window
    if x == -1.0: raise ValueError('not welcome')
    window = [*window, x][-3:]
    if x == -2.0: raise ValueError('refused after the window has moved')
    if len(window) == 3:
        yield sum(window) / 3
"""
BATCHED = """
# fastscore.schema.0: double
# fastscore.schema.1: double
# stream-scorer.state: window
# stream-scorer.window: 3
# stream-scorer.batch: push, predict
import numpy as np
window = []
def push(x):
    global window
    if x == -1.0: raise ValueError('not welcome')
    window = [*window, x][-3:]
    return window if len(window) == 3 else None
def predict(inputs):
    inputs = np.asarray(inputs)
    if (inputs == -2.0).any(): raise ValueError('a window that cannot be scored')
    return (inputs[:, 0:1] + inputs[:, 1:2] + inputs[:, 2:3]) / 3
def action(x):
    filled = push(x)
    if filled is not None:
        yield float(predict(np.reshape(filled, (1, 3, 1)))[0, 0, 0])
"""
# A state that is not flat goes through bytes at every record.
NESTED = """
# fastscore.schema.0: double
# fastscore.schema.1: double
window = [[]]
def action(x):
    global window
    if x == -1.0: raise ValueError('not welcome')
    window = [[*window[0], x][-3:]]
    if x == -2.0: raise ValueError('refused after the window has moved')
    if len(window[0]) == 3:
        yield sum(window[0]) / 3
"""
# Flat until the first record is kept: the batch is done again.
LATE = NESTED.replace("window = [[]]", "window = None").replace("*window[0]", "*(window or [[]])[0]")
ECHO = (MODELS / "echo_positive.py").read_text()
SOURCES = {
    "action": SMALL,
    "batched": BATCHED,
    "nested": NESTED,
    "late": LATE,
    "stateless": ECHO,
}
DOUBLE = codec_for("avro-binary", make_schema("double", "double"))
IN = Partition("in", 0)


class Worker:
    """The parts of one life of a worker, over a log that outlives it."""

    def __init__(self, path, log, items, *, batch=7, judged=True, codec=DOUBLE, fields=None, **how):
        module = Module(path)
        module.begin()
        self.rolling = RollingFigures(50, Drift(50, None))
        self.judge = StreamJudge(EvaluationCodec(), self.rolling, **fields or {}) if judged else None
        self.sessions = Sessions(module, module.state_names, with_forecasts=judged, **how)
        self.scorer = Scorer(module, self.sessions, codec, {1: codec}, self.judge)
        self.sessions.restore(IN, [one for one in log.state.values() if one.state is not None])
        first = log.positions.get(IN, 0)
        rest = [one for one in items if one is ABORT or one.offset >= first]
        self.loop = Loop(
            MemorySource(log, rest),
            self.scorer,
            self.sessions,
            MemorySink(log),
            pace=Pace(batch, max_batch_s=60),
            policy=FailurePolicy(first_pause_s=0),
        )


def _records(values, keys=1):
    return [
        Record(IN, offset, b"k%d" % (offset % keys), struct.pack("<d", value), 1000 + offset, None)
        for offset, value in enumerate(values)
    ]


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    for name, source in SOURCES.items():
        (folder / f"{name}.py").write_text(source)
    return {name: folder / f"{name}.py" for name in SOURCES}


def _run(path, items, cuts=(), **how):
    """Worker after worker: each is given the records before a cut and is then no more."""
    log = MemoryLog()
    worker = None
    for end in [*sorted(cuts), None]:
        worker = Worker(path, log, [one for one in items if end is None or one is ABORT or one.offset < end], **how)
        worker.loop.run()
    return log, worker


def _evaluations(log):
    """(source offset, what it says) of each evaluation; scores by offset."""
    codec = EvaluationCodec()
    told = [(out.source.offset, codec.decode(out.value)) for out in log.outputs if out.slot == EVALUATIONS]
    scores = {out.source.offset: struct.unpack("<d", out.value)[0] for out in log.outputs if out.slot == 1}
    return told, scores


def _offline(log, records):
    """The join of committed scores with the next record of each key that was scored, by nothing of ours."""
    _, scores = _evaluations(log)
    rejected = {reject.source.offset for reject in log.rejects}
    waiting, expected = {}, []
    for record in records:
        if record.offset in rejected:
            continue
        (actual,) = struct.unpack("<d", record.value)
        if record.key in waiting:
            at, forecast, naive = waiting.pop(record.key)
            expected.append((record.offset, at, forecast, actual, naive))
        if record.offset in scores:
            waiting[record.key] = record.offset, scores[record.offset], actual
    return sorted(expected)


def _found(log):
    return sorted(
        (offset, one["forecast_offset"], one["forecast"], one["actual"], one["naive"])
        for offset, one in _evaluations(log)[0]
    )


def test_a_forecast_is_joined_with_the_next_value_of_its_key(paths):
    records = _records([1.0, 10.0, 2.0, 20.0, 6.0, 60.0, 5.0, 50.0, 4.0], keys=2)
    log, _ = _run(paths["action"], records)
    told, _ = _evaluations(log)
    assert told == [
        (
            6,
            {
                "forecast": 3.0,
                "actual": 5.0,
                "naive": 6.0,
                "error": -2.0,
                "naive_error": 1.0,
                "low": None,
                "high": None,
                "forecast_offset": 4,
                "forecast_timestamp": 1004,
                "actual_offset": 6,
            },
        ),
        (7, told[1][1]),
        (8, told[2][1]),
    ]
    assert (told[1][1]["forecast"], told[1][1]["actual"], told[1][1]["naive"]) == (30.0, 50.0, 60.0)
    assert (told[2][1]["forecast_offset"], told[2][1]["naive"]) == (6, 5.0)


@pytest.mark.parametrize("name", SOURCES)
def test_a_record_that_is_rejected_is_no_value(name, paths):
    values = [1.0, 2.0, 3.0, -1.0, 4.0, 5.0, -2.0, 6.0]
    records = _records(values)
    records[4] = records[4]._replace(value=b"abc")
    log, _ = _run(paths[name], records, batch=100)
    assert {reject.source.offset for reject in log.rejects} == {3, 4, 6}
    assert [(offset, at) for offset, at, *_ in _found(log)][-2:] == [(5, 2), (7, 5)]
    assert _found(log) == _offline(log, records)


@examples(150)
@given(
    values=st.lists(st.sampled_from([0.5, 1.25, 3.0, -1.0, -2.0]), max_size=60),
    keys=st.integers(1, 3),
    batch=st.integers(1, 20),
    aborts=st.lists(st.integers(0, 60), max_size=3),
    cuts=st.lists(st.integers(0, 60), max_size=3),
    name=st.sampled_from(sorted(SOURCES)),
)
def test_any_cut_any_aborts_any_restarts_give_what_one_by_one_gives(values, keys, batch, aborts, cuts, name, paths):
    records = _records(values, keys)
    items = list(records)
    for at in sorted((at for at in aborts if at < len(items)), reverse=True):
        items.insert(at, ABORT)
    log, _ = _run(paths[name], items, cuts, batch=batch)
    alone, _ = _run(paths[name], records, batch=1)
    assert _found(log) == _found(alone) == _offline(log, records)
    assert [out for out in log.outputs if out.slot == 1] == [out for out in alone.outputs if out.slot == 1]


@examples(100)
@given(
    items=st.lists(st.tuples(st.sampled_from([b"a", b"b", b"c"]), st.integers(0, 30)), max_size=40),
    batch=st.integers(1, 20),
    cuts=st.lists(st.integers(0, 40), max_size=2),
    name=st.sampled_from(["action", "batched", "nested", "stateless"]),
    how=st.sampled_from([{"cap": 1}, {"cap": 2}, {"ttl_ms": 10}]),
)
def test_what_waits_ends_with_its_session(items, batch, cuts, name, how, paths):
    """A time to live and a cap end sessions in the middle of a batch too."""
    if "ttl_ms" in how:
        cuts = []  # the stream time comes back with the position record, which this log has not
    records = [
        Record(IN, offset, key, struct.pack("<d", float(offset)), timestamp, None)
        for offset, (key, timestamp) in enumerate(items)
    ]
    log, _ = _run(paths[name], records, cuts, batch=batch, **how)
    alone, _ = _run(paths[name], records, batch=1, **how)
    assert _found(log) == _found(alone)


def test_a_session_that_began_anew_has_nothing_waiting(paths):
    records = [
        Record(IN, offset, b"k", struct.pack("<d", 1.0), timestamp, None) for offset, timestamp in enumerate([0, 5, 30])
    ]
    log, _ = _run(paths["stateless"], records, ttl_ms=10)
    assert [offset for offset, *_ in _found(log)] == [1]


@pytest.mark.parametrize("name", ["action", "batched", "nested"])
def test_states_are_the_same_bytes_with_a_note_or_without(name, paths):
    records = _records([float(at) for at in range(12)], keys=2)
    judged, _ = _run(paths[name], records)
    plain, _ = _run(paths[name], records, judged=False)
    assert [out for out in judged.outputs if out.slot == 1] == plain.outputs
    for place, snapshot in judged.state.items():
        assert snapshot.state.startswith(plain.state[place].state)


@pytest.mark.parametrize("name", ["action", "batched", "nested"])
def test_evaluation_may_be_turned_on_and_off(name, paths):
    records = _records([float(at) for at in range(20)], keys=2)
    log = MemoryLog()
    for end, judged in ((8, True), (9, False), (14, True), (15, False), (20, True)):
        Worker(paths[name], log, [one for one in records if one.offset < end], judged=judged).loop.run()
    plain, _ = _run(paths[name], records, judged=False)
    assert [out for out in log.outputs if out.slot == 1] == plain.outputs
    # Offsets 8 and 14 were scored while it was off: what waited for them was dropped, and what they forecast
    # was never noted. Offset 9 is of the other key, which no record came for meanwhile.
    missed = {8, 10, 14, 16}
    assert [one[0] for one in _found(log)] == [offset for offset in range(6, 20) if offset not in missed]


def test_what_was_fed_before_a_start_waits_only_if_it_was_published(paths):
    for published, expected in ((True, [(5, 4)]), (False, [])):
        log = MemoryLog()
        worker = Worker(paths["action"], log, _records([0.0] * 6)[5:])
        worker.scorer.feed(_records([float(at) for at in range(5)]), published=published)
        worker.sessions.carry(IN)
        worker.loop.run()
        assert [(offset, at) for offset, at, *_ in _found(log)] == expected


def test_figures_are_of_what_was_committed(paths):
    records = _records([float(at) for at in range(40)])
    log, worker = _run(paths["action"], [*records[:20], ABORT, *records[20:]], batch=10)
    counted = dict(worker.rolling.counters())
    assert counted == {"evaluations": len(_found(log)), "evaluations_missed": 0}
    assert len(_found(log)) == 37
    found = worker.rolling.figures()
    assert (found.judged, found.mse, found.mae, found.naive_mse, found.skill) == (37, 4.0, 2.0, 1.0, -3.0)


def test_a_forecast_that_meets_no_number_is_counted_and_judged_no_more(load_module):
    module = load_module("def action(x):\n yield x")
    live = RollingFigures(50, Drift(50, None))
    codec = codec_for("json", None)
    sessions = Sessions(module, module.state_names, with_forecasts=True)
    judge = StreamJudge(EvaluationCodec(), live, field="close")
    scorer = Scorer(module, sessions, codec, {1: codec}, judge)
    texts = [b'{"close": 1}', b'{"close": null}', b'{"close": 3}', b"[]", b'{"close": 5}', b'{"close": 7, "low": 0}']
    texts.append(b'{"close": 8, "low": 7, "high": 9}')
    texts.append(b'{"close": 9}')
    scorer.score([Record(IN, at, None, text, None, None) for at, text in enumerate(texts)])
    told = [EvaluationCodec().decode(out.value) for out in scorer.evaluations()]
    scorer.settle()
    assert [(one["actual"], one["low"], one["high"]) for one in told] == [
        (7.0, None, None),
        (8.0, None, None),
        (9.0, 7.0, 9.0),
    ]
    # Of 1 and 3, which met none, and of the two that were none themselves.
    assert dict(live.counters()) == {"evaluations": 3, "evaluations_missed": 4}
    assert live.figures().coverage == 1.0


def test_nothing_of_a_batch_is_left_for_the_next(paths):
    """Records are known by where they lie in memory while a batch lasts, and only as long."""
    log = MemoryLog()
    worker = Worker(paths["action"], log, [])
    records = _records([1.0, 2.0, 3.0, 4.0])
    worker.scorer.score(records)
    assert len(worker.scorer.evaluations()) == 1
    worker.sessions.drop(IN)  # the same records now come to windows that are not full
    worker.scorer.score(records[2:])
    worker.scorer.score(_records([5.0])[:1])
    assert worker.scorer.evaluations() == []


DATED = """
last = None
def action(x):
    global last
    if x["close"] < 0: raise ValueError("not welcome")
    last = x["close"]
    if "ahead" in x:
        yield {"close": last + 1, "date": x["date"] + x["ahead"]}
"""
JSON = codec_for("json", None)


@examples(150)
@given(
    steps=st.lists(
        st.tuples(st.integers(0, 3), st.sampled_from([1.0, 2.0, -1.0]), st.sampled_from([None, 1, 2, 3, 5])),
        max_size=50,
    ),
    keys=st.integers(1, 2),
    batch=st.integers(1, 20),
    aborts=st.lists(st.integers(0, 50), max_size=3),
    cuts=st.lists(st.integers(0, 50), max_size=3),
)
def test_a_dated_forecast_is_joined_with_the_record_of_its_date(steps, keys, batch, aborts, cuts, tmp_path_factory):
    """Days may be missing or come twice; forecasts are of one to five days on, each told for itself."""
    path = tmp_path_factory.mktemp("dated") / "dated.py"
    path.write_text(DATED)
    records, expected, missed, day, waiting = [], [], 0, 100, {}
    for offset, (later, close, ahead) in enumerate(steps):
        day += later
        key = b"k%d" % (offset % keys)
        value = {"date": day, "close": close} | ({} if ahead is None else {"ahead": ahead})
        records.append(Record(IN, offset, key, json.dumps(value).encode(), None, None))
        if close < 0:
            continue
        at = waiting.get(key)
        if at is not None and at[0] <= day:
            del waiting[key]
            if at[0] == day:
                expected.append((offset, *at[1:3], close, at[3]))
            else:
                missed += 1
        if ahead is not None:
            if key in waiting:
                missed += 1
            if key not in waiting or waiting[key][0] == day + ahead:
                waiting[key] = day + ahead, offset, close + 1, close
    items = list(records)
    for at in sorted((at for at in aborts if at < len(items)), reverse=True):
        items.insert(at, ABORT)
    how = {"batch": batch, "codec": JSON, "fields": {"field": "close", "date": "date"}}
    log, _ = _run(path, items, cuts, **how)
    codec = EvaluationCodec()
    said = [(out.source.offset, codec.decode(out.value)) for out in log.outputs if out.slot == EVALUATIONS]
    names = "forecast_offset", "forecast", "actual", "naive"
    assert sorted((offset, *(one[name] for name in names)) for offset, one in said) == expected
    _, alone = _run(path, records, **how)
    assert dict(alone.rolling.counters()) == {"evaluations": len(expected), "evaluations_missed": missed}
