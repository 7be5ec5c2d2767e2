"""The loop over an in-memory log: one by one or batched, through aborts and bad records."""

from __future__ import annotations

import struct
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_scorer.codec import codec_for
from stream_scorer.codec.schema_files import load_schema
from stream_scorer.errors import ActionError, BrokerError, CommitAborted, Fenced, Unavailable
from stream_scorer.model.module import Module
from stream_scorer.records import Partition, Record
from stream_scorer.scoring.scorer import Scorer
from stream_scorer.service import loop as loop_module
from stream_scorer.service.loop import Loop
from stream_scorer.service.memory import ABORT, MemoryLog, MemorySink, MemorySource
from stream_scorer.service.pace import Pace
from stream_scorer.service.policies import FailurePolicy
from stream_scorer.state.sessions import Sessions
from support.service import MODELS
from tests.support.examples import examples

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
        policy=FailurePolicy(fail_on_reject=fail_on_reject, first_pause_s=0),
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


@examples(60)
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


AWAY = "away"


class Sink(MemorySink):
    """Fails as planned, one a commit: (error, whether the commit happened all the same), or None; AWAY is of a reopen."""

    def __init__(self, log, plan):
        super().__init__(log)
        self.plan = list(plan)
        self.begun = self.aborted = self.reopened = 0

    def begin(self):
        super().begin()
        self.begun += 1

    def commit(self, positions):
        fault = self.plan.pop(0) if self.plan else None
        if fault is None or fault[1]:
            super().commit(positions)
        if fault:
            raise fault[0]("as planned")

    def abort(self):
        super().abort()
        self.aborted += 1

    def reopen(self):
        super().reopen()
        self.reopened += 1
        if self.plan[:1] == [AWAY]:
            del self.plan[0]
            raise Unavailable("still away")


class Source(MemorySource):
    """Reloads as a broker would have it: positions and sessions from what is committed."""

    def __init__(self, log, records, sessions):
        super().__init__(log, records)
        self._sessions = sessions

    def reload(self):
        partition = Partition("in", 0)
        self._sessions.drop(partition)
        self._sessions.restore(partition, [one for one in self._log.state.values() if one.state is not None])
        self._at = self._settled = self._log.positions.get(partition, 0)
        self._positions.clear()


def _loop(items, plan, *, model="rolling_mean", batch=7, **how):
    module = Module(MODELS / f"{model}.py")
    module.begin()
    sessions = Sessions(module, module.state_names)
    codec = codec_for("avro-binary", load_schema("double", {}, MODELS))
    log = MemoryLog()
    sink = Sink(log, plan)
    scorer = Scorer(module, sessions, codec, {1: codec})
    pace = Pace(batch, max_batch_s=60)
    policy = FailurePolicy(**{"first_pause_s": 0, **how})
    return Loop(Source(log, items, sessions), scorer, sessions, sink, pace=pace, policy=policy), log, sink


FAULTS = {
    "fenced": [(Fenced, False)],
    "unavailable, and not committed": [None, (Unavailable, False)],
    "unavailable, and committed all the same": [None, (Unavailable, True)],
    "one after the other": [(Fenced, False), (Unavailable, True), None, None, (Unavailable, False), (Fenced, False)],
    "the broker stays away for a while": [None, (Unavailable, True), AWAY, AWAY],
}


@pytest.mark.parametrize("model", MODES)
@pytest.mark.parametrize("case", FAULTS)
def test_after_a_lost_producer_the_truth_is_what_is_committed(case, model):
    values = [float(i % 13) for i in range(120)]
    loop, log, sink = _loop(_records(values, keys=2), FAULTS[case], model=model)
    totals = loop.run()
    assert _scores(log) == _reference(values, keys=2)
    assert sink.reopened == len(FAULTS[case]) - FAULTS[case].count(None)
    assert totals.recoveries == sum(fault is not None and fault != AWAY for fault in FAULTS[case])


def test_failures_with_a_commit_between_them_are_not_counted_together():
    loop, log, _ = _loop(_records([0.0] * 42), [(CommitAborted, False), None] * 5, batch=7, max_failures=2)
    assert loop.run().aborts == 5
    assert log.positions[Partition("in", 0)] == 42


def test_pauses_begin_with_the_second_failure_in_a_row_and_grow_to_a_limit():
    loop, *_ = _loop(_records([0.0] * 9), [(CommitAborted, False)] * 4, batch=9, first_pause_s=1.0)
    pauses = []
    loop._stop.wait = pauses.append
    assert loop.run().aborts == 4
    assert pauses == [4.0, 5.0, 5.0]


def test_a_loop_that_waits_for_its_broker_does_not_hang(monkeypatch):
    """Waiting may take hours: the watchdog, /livez and the supervisor would take the worker for hung."""
    clock = [0.0]
    monkeypatch.setattr(loop_module.time, "monotonic", lambda: clock[0])
    loop, _, sink = _loop(_records([0.0] * 9), [(Unavailable, False)], batch=9)
    idle_s = []

    def away():
        idle_s.append(loop.idle_s())
        clock[0] += 3600.0
        if len(idle_s) < 3:
            raise Unavailable("still away")

    sink.reopen = away
    loop._source.reload = loop.stop
    loop.run()
    assert idle_s == [0.0, 0.0, 0.0]


def test_a_stop_is_heard_while_the_broker_is_away():
    loop, _, sink = _loop(_records([0.0] * 9), [(Unavailable, False)])

    def away():
        loop.stop()
        raise Unavailable("still away")

    sink.reopen = away
    loop.run()
    assert loop.phase == "stopped"


def test_while_it_waits_the_loop_says_so():
    loop, _, sink = _loop(_records([0.0] * 9), [(Fenced, False)])
    phases = []
    sink.reopen = lambda: (phases.append(loop.phase), sink.abort())
    loop.run()
    assert phases == ["recovering"]


@pytest.mark.parametrize("batch", [1, 3, 100])
def test_too_many_rejects_in_a_row_stop_the_service_and_are_kept(batch):
    items = _records([-1.0, 0.0, -1.0, -1.0, 0.0, -1.0, -1.0, -1.0, 0.0])
    loop, log, _ = _loop(items, [], batch=batch, max_rejects_in_row=3)
    with pytest.raises(ActionError, match=r"in\[0\]@7: 3 records in a row were rejected \(--max-rejects-in-row\)"):
        loop.run()
    assert [reject.source.offset for reject in log.rejects] == [0, 2, 3, 5, 6, 7]
    assert log.positions[Partition("in", 0)] == {1: 8, 3: 9, 100: 9}[batch]


def test_what_a_step_cannot_mend_leaves_no_transaction_open():
    loop, log, sink = _loop(_records([0.0] * 40 + [-1.0]), [], batch=1000, fail_on_reject=True)
    with pytest.raises(ActionError):
        loop.run()
    assert (sink.begun, sink.aborted, log.outputs) == (1, 1, [])


def test_giving_up_leaves_no_transaction_open():
    """Left open it would hide later scores from readers until it times out."""
    loop, _, sink = _loop(_records([0.0]), [(CommitAborted, False)] * 20)
    with pytest.raises(BrokerError, match="20 failures"):
        loop.run()
    assert sink.aborted == sink.begun


def test_totals_tell_what_was_committed():
    loop, _, _ = _loop(_records([float(i) for i in range(40)] + [-1.0]), [(Fenced, False)], batch=10)
    told = []
    loop._on_commit = lambda totals: told.append((totals.records, totals.scores, totals.rejects, totals.commits))
    loop.run()
    assert told == [(5, 0, 0, 1), (15, 0, 0, 2), (25, 0, 0, 3), (35, 6, 0, 4), (41, 11, 1, 5)]


COUNTS = """
def action(x, slot, seqno):
    if x < 0:
        raise ValueError("no")
    yield float(seqno)
"""


@examples(60)
@given(st.lists(st.sampled_from(["good", "rejected", "abort", "restart"]), max_size=40), st.integers(1, 7))
def test_records_are_numbered_as_they_are_kept(happens, batch):
    """Per key, from 1: not those rejected, not twice after an abort, on after a restart from what was saved."""
    items: list = []
    for what in happens:
        at = sum(isinstance(one, Record) for one in items)
        value = -1.0 if what == "rejected" else 1.0
        items.append(
            {"abort": ABORT, "restart": None}.get(
                what, _records([value])[0]._replace(offset=at, key=b"ab"[at % 3 :][:1])
            )
        )
    log, rest = MemoryLog(), items
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "counts.py").write_text(COUNTS)
        while rest:
            life, rest = (rest[: rest.index(None)], rest[rest.index(None) + 1 :]) if None in rest else (rest, [])
            _live(Module(Path(folder, "counts.py")), log, life, batch)
    expected: dict = {}
    for record in items:
        if isinstance(record, Record) and record.value == struct.pack("<d", 1.0):
            expected[record.key] = [*expected.get(record.key, []), len(expected.get(record.key, [])) + 1.0]
    found: dict = {}
    for out in log.outputs:
        found[out.source.key] = [*found.get(out.source.key, []), struct.unpack("<d", out.value)[0]]
    assert found == expected


def _live(module, log, items, batch):
    """One life of a worker: what it kept is all it leaves."""
    sessions = Sessions(module, module.state_names)
    sessions.restore(Partition("in", 0), [one for one in log.state.values() if one.state is not None])
    codec = codec_for("avro-binary", load_schema("double", {}, MODELS))
    scorer = Scorer(module, sessions, codec, {1: codec})
    Loop(
        MemorySource(log, items),
        scorer,
        sessions,
        MemorySink(log),
        pace=Pace(batch, max_batch_s=60),
        policy=FailurePolicy(first_pause_s=0),
    ).run()
