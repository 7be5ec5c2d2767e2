"""Control calls that meet each other, and what runs: nothing is left behind, nothing starts later, no state is lost.

Most tests run jets without processes: so thousands of calls meet in a second, and a test decides when a jet goes on.
"""

from __future__ import annotations

import contextlib
import json
import random
import threading
import time

import pytest

from stream_scorer.errors import EndOfInput, ModelError, StateError, StreamScorerError
from stream_scorer.modelop.dataflow import manifold
from stream_scorer.modelop.dataflow.lifecycle import MOVES
from stream_scorer.modelop.process import jet as of_jet
from stream_scorer.modelop.process import snapshot as snapshots
from stream_scorer.modelop.process.import_policy import Policy
from stream_scorer.modelop.process.results import CallResult
from stream_scorer.modelop.process.snapshot import ModelSnapshot
from support.manifold import DISCARD, REST, Engine, inline, package, until

END = b'{"$fastscore": "end"}'
PIG = b'{"$fastscore": "pig"}'
MODEL = package("# fastscore.snapshots: eof\ndef action(x):\n    yield x\n")
OTHER = package("# fastscore.snapshots: eof\ndef action(x):\n    yield 0\n")


class QuickJet:
    """Stands for `Jet`. Gives each record back. `at` is called with the name of each step, and may block or raise."""

    made: list[QuickJet]
    pids = iter(range(10**9, 2 * 10**9))  # no process has these

    @staticmethod
    def at(_step, _jet):
        """Replaced by tests."""

    def __init__(self, package, codecs, *, shared, on_console, snapshot=None):
        self.package, self.shared, self.explicit = package, shared, False
        self.pid, self.sandbox, self.closed, self.calls = 0, "", False, []
        self.closing = threading.Event()
        self.made.append(self)

    def _step(self, name):
        type(self).at(name, self)
        if self.closed:
            raise ModelError(f"{name}: the jet is closed")
        self.calls.append(name)

    def start(self, wait_for_others=lambda: None):
        self._step("unpack")
        self.pid = next(self.pids)
        self._step("body")
        wait_for_others()
        self._step("begin")

    def feed(self, batch, write=None):
        self._step("feed")
        return CallResult([(1, record) for record in batch.records])

    def end(self, write=None):
        self._step("end")
        return CallResult()

    def snapshot(self):
        self._step("snapshot")
        return snapshots.write(ModelSnapshot(self.package.name, "0" * 64, self.shared.dump(), (), b""))

    def close(self, timeout_s=5):
        self.closed = True
        self.closing.set()


@pytest.fixture
def quick(monkeypatch):
    """The class of the jets, whose `at` may be set; processes are taken for running."""
    kind = type("Quick", (QuickJet,), {"made": []})
    monkeypatch.setattr(manifold, "Jet", kind)
    monkeypatch.setattr("stream_scorer.modelop.dataflow.processes.has_exited", lambda _: False)
    monkeypatch.setattr("stream_scorer.modelop.process.snapshot_check.check", snapshots.read)
    return kind


@pytest.fixture
def engine(quick):
    engine = Engine()
    yield engine
    engine.close()
    assert all(jet.closed for jet in quick.made)


class Gate:
    """Holds back jets at one step."""

    def __init__(self, kind, step, times=10**9):
        self._step, self._left = step, times
        self.reached, self.open = threading.Event(), threading.Event()
        kind.at = staticmethod(self._pass)

    def _pass(self, step, jet):
        if step == self._step and self._left:
            self._left -= 1
            self.reached.set()
            # The end of a process ends a call of the model. Nothing ends the unpacking.
            until(lambda: self.open.is_set() or (jet.closed and step != "unpack"))


def _run(engine, jets=1):
    engine.scale(jets)
    engine.load(MODEL)
    engine.attach(1, "out", REST)
    engine.attach(0, "in", REST)


def _started(engine, count=1):
    until(lambda: len(engine.pids()) == count)


def test_a_reset_while_a_jet_unpacks_is_for_good(engine, quick):
    gate = Gate(quick, "unpack")
    _run(engine)
    gate.reached.wait(60)
    thread = next(thread for thread in threading.enumerate() if thread.name.startswith("jet-"))
    resetting = threading.Thread(target=engine.reset)
    resetting.start()
    assert quick.made[0].closing.wait(20), "a reset closes a jet that has no process yet"
    gate.open.set()
    resetting.join(60)
    thread.join(60)
    assert engine.state == "init"
    assert quick.made[0].calls == []


def test_a_jet_that_is_closed_while_it_unpacks_starts_no_process(monkeypatch, tmp_path):
    folders, unpacking, go_on = [], threading.Event(), threading.Event()

    class SlowFolder(of_jet.JetFolder):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            folders.append(self)
            unpacking.set()
            assert go_on.wait(60)

    monkeypatch.setattr(of_jet, "JetFolder", SlowFolder)
    monkeypatch.setattr(of_jet, "JetProcess", lambda *_: pytest.fail("a process was started"))
    jet = of_jet.Jet(MODEL, {}, shared=None, on_console=print)
    wrong = []

    def start():
        try:
            jet.start()
        except ModelError as error:
            wrong.append(error)

    starting = threading.Thread(target=start)
    starting.start()
    unpacking.wait(60)
    jet.close()
    go_on.set()
    starting.join(60)
    assert "closed before it had started" in str(wrong[0])
    assert not folders[0].path.exists()


@pytest.mark.parametrize("doing", ["load", "restore"])
def test_what_began_before_a_reset_does_not_come_after_it(engine, monkeypatch, doing):
    begun, go_on, wrong = threading.Event(), threading.Event(), []

    def wait(*_):
        begun.set()
        assert go_on.wait(60)

    monkeypatch.setattr(Policy, "install", wait)
    monkeypatch.setattr("stream_scorer.modelop.process.snapshot_check.check", wait)
    blob = snapshots.write(ModelSnapshot("model", "0" * 64, engine._shared.dump(), (), b""))

    def call():
        try:
            engine.load(MODEL) if doing == "load" else engine.restore(blob)
        except StateError as error:
            wrong.append(str(error))

    calling = threading.Thread(target=call)
    calling.start()
    begun.wait(60)
    engine.reset()
    go_on.set()
    calling.join(60)
    assert "the engine was reset meanwhile" in wrong[0]
    assert (engine.active_model(), engine._snapshot) == (None, None)


@pytest.mark.parametrize("call", ["load", "attach"])
def test_a_reset_does_not_wait_for_a_call_that_waits_for_a_jet(engine, quick, call):
    """A jet that hangs in its batch has 15 s to leave: 64 of them had 16 minutes."""
    gate = Gate(quick, "feed")
    _run(engine)
    engine.input(0, b"1")
    gate.reached.wait(60)
    other = {**REST, "Encoding": "msgpack"}
    calling = threading.Thread(
        target=lambda: _quietly(lambda: engine.load(OTHER) if call == "load" else engine.attach(0, "in", other))
    )
    calling.start()
    until(lambda: engine._control.acquire(blocking=False) is False or engine._control.release())
    began = time.monotonic()
    engine.reset()
    assert time.monotonic() - began < 14, "less than the time that a jet has to leave"
    assert engine.state == "init"
    gate.open.set()
    calling.join(60)


def _quietly(call):
    with contextlib.suppress(StreamScorerError, EndOfInput):
        call()


@pytest.mark.parametrize("before", [1, 2, 3])
@pytest.mark.parametrize("after", [0, 1])
@pytest.mark.parametrize("when", ["running", "end", "finishing"])
def test_scaling_down_keeps_the_snapshot_and_every_record(engine, quick, before, after, when):
    """While running, at the moment that the jets end, and while records wait after the end of the input."""
    gate = Gate(quick, {"running": "none", "end": "end", "finishing": "feed"}[when], times=before)
    _run(engine, before)
    _started(engine, before)
    records = [b"%d" % number for number in range(40)]  # more than the first batch takes
    if when == "running":
        for record in records:
            engine.input(0, record)
        outputs = engine.outputs(40)
        engine.scale(after)
        _started(engine, after)
        engine.input(0, END)
    else:
        for record in [*records, END]:
            engine.input(0, record)
        gate.reached.wait(60)
        until(lambda: engine.state == "finishing")
        engine.scale(after)
        gate.open.set()
        if when == "finishing" and after == 0:
            until(lambda: all(not worker.alive for worker in engine._run._workers))
            engine.scale(1)  # what waits needs a jet
        outputs = engine.outputs(40)
    engine.reaches("finished")
    assert sorted(outputs, key=int) == records
    assert engine.outputs() == []
    # A jet that left before the end of the input has taken its state along.
    assert len(engine.snapshots) == (0 if (when, after) == ("running", 0) else 1)
    assert all(jet.closed for jet in quick.made)


OPERATIONS = {
    "load": lambda engine: engine.load(MODEL),
    "load another": lambda engine: engine.load(OTHER),
    "unload": Engine.unload,
    "attach": lambda engine: engine.attach(0, "in", REST),
    "attach an end": lambda engine: engine.attach(0, "in", inline("1", "2")),
    "attach msgpack": lambda engine: engine.attach(0, "in", {**REST, "Encoding": "msgpack"}),
    "attach an output": lambda engine: engine.attach(1, "out", REST),
    "discard": lambda engine: engine.attach(1, "out", DISCARD),
    "detach": lambda engine: engine.detach(0),
    "detach the output": lambda engine: engine.detach(1),
    "pause": Engine.pause,
    "unpause": Engine.unpause,
    "reset": Engine.reset,
    "scale to 0": lambda engine: engine.scale(0),
    "scale to 1": lambda engine: engine.scale(1),
    "scale to 3": lambda engine: engine.scale(3),
    "input": lambda engine: engine.input(0, b"1"),
    "pig": lambda engine: engine.input(0, PIG),
    "end": lambda engine: engine.input(0, END),
    "output": lambda engine: engine.output(1, 0),
    "restore": lambda engine: engine.restore(snapshots.write(ModelSnapshot("model", "0" * 64, EMPTY, (), b""))),
    "status": lambda engine: (engine.status(), engine.active_model(), engine.active_streams()),
}
EMPTY = manifold.SharedState().dump()
OFTEN = ["load", "attach", "attach an output", "input", "input", "end", "attach an end", "unpause", "scale to 1"]


def storm(engine, seed, seconds, clients=6):
    """Operations at random from several threads. Return what was raised and should not be; fails if a call hangs."""
    wrong, until_then = [], time.monotonic() + seconds

    def client(number):
        choices = random.Random(f"{seed} {number}")
        while time.monotonic() < until_then:
            name = choices.choice([*OPERATIONS, *OFTEN])
            try:
                OPERATIONS[name](engine)
            except (StreamScorerError, EndOfInput):
                pass
            except BaseException as error:  # noqa: BLE001 - whatever it is, it is wrong
                wrong.append((name, repr(error)))

    threads = [threading.Thread(target=client, args=(number,), daemon=True) for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(seconds + 60)
        assert not thread.is_alive(), f"a call hangs, seed {seed}"
    return wrong


@pytest.mark.parametrize("seed", range(3))
def test_a_storm_of_calls_leaves_an_engine_that_works(quick, seed, monkeypatch):
    """All records are good. So whatever meets, no run fails, and every state follows from the one before."""
    monkeypatch.setattr("stream_scorer.modelop.dataflow.run.LEAVE_S", 1.0)  # without a jet, a stream is not replaced
    random_sleep = random.Random(seed)
    quick.at = staticmethod(lambda *_: time.sleep(random_sleep.choice([0, 0, 0, 0.001])))
    engine = Engine()
    try:
        assert storm(engine, seed, 0.7) == []
        engine.reset()
        assert engine.state == "init"
        assert all(jet.closed for jet in quick.made)
        _run(engine)
        for number in range(3):
            engine.input(0, b"%d" % number)
        assert [json.loads(output) for output in engine.outputs(3)] == [0, 1, 2]
    finally:
        engine.close()
    errors = [event for event in engine.events if event["type"] == "model-error"]
    assert errors == []
    states = engine.states()
    assert all(there in MOVES[here] for here, there in zip(["init", *states], states, strict=False))
    prefixes = ("jet-", "reader-", "finisher", "kill-")
    until(lambda: not [thread for thread in threading.enumerate() if thread.name.startswith(prefixes)])
