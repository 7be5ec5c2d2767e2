"""The manifold with real jets: states, pigs, ends, failures, pauses, scale, replacement, snapshots, sensors."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import threading
import time

import pytest

from stream_scorer.errors import (
    DescriptorError,
    EndOfInput,
    ModelError,
    NoSuchStream,
    SettingsError,
    StateError,
    Unavailable,
)
from stream_scorer.modelop.dataflow import run as runs
from support.manifold import DISCARD, REST, SOON, Engine, alive, inline, package, until

pytestmark = pytest.mark.process

DOUBLE = "def action(x):\n    yield 2 * x\n"
COUNT = """
    # fastscore.snapshots: eof
    total = 0
    def action(x):
        global total
        total += x
        yield total
"""
BOTH = {0: REST, 1: REST}


@pytest.fixture
def engine():
    engine = Engine()
    yield engine
    pids = engine.pids()
    engine.close()
    assert not any(map(alive, pids))
    named = [thread.name for thread in threading.enumerate() if thread.name.startswith(("jet-", "reader-", "finisher"))]
    assert not named


def _numbers(records):
    return [json.loads(record) for record in records]


def test_a_run_from_the_first_record_to_the_end(engine):
    engine.run_model(DOUBLE, {0: inline("1", "2", "3"), 1: REST})
    assert _numbers(engine.outputs()) == [2, 4, 6]
    engine.reaches("finished")
    with pytest.raises(EndOfInput):
        engine.output(1)
    assert engine.states() == ["running", "finishing", "finished"]
    assert [stream["eof"] for stream in engine.active_streams()] == [True, True]
    assert engine.active_model()["jets"] == []


def test_events_tell_of_loads_attaches_and_jets(engine):
    engine.run_model(DOUBLE, BOTH)
    until(lambda: engine.pids())
    engine.attach(0, "again", REST)
    engine.load(package(DOUBLE))
    engine.reset()
    until(lambda: engine.states()[-1] == "init")
    told = [(event["item"], event["op"], event.get("ref")) for event in engine.of_type("engine-config")]
    assert told[:4] == [
        ("model", "load", None),
        ("stream", "attach", 1),
        ("stream", "attach", 0),
        ("jet", "start", "1"),
    ]
    assert ("stream", "reattach", 0) in told
    assert ("model", "reload", None) in told
    assert told[-3:] == [("stream", "detach", 0), ("stream", "detach", 1), ("model", "unload", None)]


def test_the_info_structures_have_their_fields(engine):
    engine.run_model("# fastscore.schema.0: int\n" + DOUBLE, BOTH, name="twice")
    until(lambda: engine.pids())
    model = engine.active_model()
    assert (model["name"], model["mtype"], model["snapshots"]) == ("twice", "python3", "none")
    assert model["slots"][0] == {"slot": 0, "schema": "int", "recordsets": False, "action": "action"}
    assert model["jets"] == [{"pid": engine.pids()[0], "sandbox": "1"}]
    status = engine.status()
    assert status["model"]["input_schema"] == "int"
    assert status["slots"][0]["stream"] == {"descriptor": REST, "eof": False}
    assert status["jets"][0]["busy"] is False
    assert engine.active_streams()[1] == {"slot": 1, "name": "stream-1", "descriptor": REST, "eof": False}


def test_nothing_runs_before_all_slots_are_served(engine):
    source = "# fastscore.slot.3: in-use\ndef action(x):\n    yield (3, x)\n"
    engine.run_model(source, BOTH)
    assert engine.state == "init"
    engine.input(0, b"7")  # waits at its stream
    engine.attach(3, "other", REST)
    assert engine.outputs(1, slot=3) == [b"7"]


def test_streams_may_come_before_the_model(engine):
    engine.attach(0, "in", {"Transport": "REST", "Encoding": "avro-binary", "Batching": SOON})
    engine.attach(1, "out", REST)
    with pytest.raises(NoSuchStream):
        engine.input(0, b"\x02")
    engine.load(package("# fastscore.schema.0: int\n" + DOUBLE))
    engine.input(0, b"\x06")
    assert engine.outputs(1) == [b"6"]


def test_a_stream_at_a_slot_not_in_use(engine):
    engine.attach(3, "stray", REST)
    with pytest.raises(ModelError, match="slot 3"):
        engine.load(package(DOUBLE))
    assert engine.active_model() is None
    engine.detach(3)
    engine.load(package(DOUBLE))
    with pytest.raises(DescriptorError, match="slot 3 is not in use"):
        engine.attach(3, "stray", REST)


def test_schemas_must_match_at_attach_and_at_load(engine):
    typed = {**REST, "Schema": "string"}
    engine.load(package("# fastscore.schema.0: int\n" + DOUBLE))
    with pytest.raises(DescriptorError, match="schema mismatch"):
        engine.attach(0, "in", typed)
    engine.reset()
    engine.attach(0, "in", typed)
    with pytest.raises(DescriptorError, match="schema mismatch"):
        engine.load(package("# fastscore.schema.0: int\n" + DOUBLE))
    assert engine.state == "init"
    with pytest.raises(ModelError, match="nowhere"):
        engine.load(package("# fastscore.schema.0: nowhere\n" + DOUBLE))


def test_dry_runs_change_nothing(engine):
    assert engine.attach(1, "s", inline("1"), dry_run=True)["transport"]["type"] == "inline"
    assert engine.verify(package(DOUBLE))["slots"][0]["action"] == "action"
    with pytest.raises(ModelError):
        engine.verify(package("def action(x:\n"))
    assert engine.active_streams() == []
    assert engine.active_model() is None


def test_a_pig_comes_out_behind_all_that_went_in_before_it(engine):
    source = """
        # fastscore.slot.3: in-use
        import time
        def action(x):
            time.sleep(0.01)
            yield x
    """
    engine.run_model(source, {0: REST, 1: REST, 3: REST})
    engine.scale(3)
    until(lambda: len(engine.pids()) == 3)
    pig = {"$fastscore": "pig", "id": 7, "timestamp": 1234, "misc": "m"}
    for number in range(30):
        engine.input(0, b"%d" % number)
    engine.input(0, json.dumps(pig).encode())
    for number in range(30, 60):
        engine.input(0, b"%d" % number)
    found = _numbers(engine.outputs(61))
    at = found.index(pig)
    assert sorted(found[:at]) == list(range(30))
    assert sorted(found[at + 1 :]) == list(range(30, 60))
    assert _numbers(engine.outputs(1, slot=3)) == [pig]
    until(lambda: engine.states()[-1] == "running")
    assert engine.states() == ["running", "pigging", "running"]


def test_one_jet_keeps_the_order_and_counts_without_gaps(engine):
    engine.run_model("# fastscore.schema.0: int\ndef action(x, slot, seqno):\n    yield [x, slot, seqno]\n", BOTH)
    for body in (b"5", b"oops", b'"text"', b"6", b"7"):
        engine.input(0, body)
    assert _numbers(engine.outputs(3)) == [[5, 0, 1], [6, 0, 2], [7, 0, 3]]


def test_several_inputs_end_when_all_have(engine):
    source = """
        # fastscore.action.0: left
        # fastscore.action.2: right
        def left(x):
            yield ["left", x]
        def right(x):
            yield ["right", x]
        def end():
            yield "end"
    """
    engine.run_model(source, {0: inline("1"), 2: REST, 1: REST})
    assert _numbers(engine.outputs(1)) == [["left", 1]]
    until(lambda: engine.active_streams()[0]["eof"])
    assert engine.state == "running"
    engine.input(2, b"2")
    engine.input(2, b'{"$fastscore": "end"}')
    assert _numbers(engine.outputs()) == [["right", 2], "end"]
    engine.reaches("finished")


def test_a_pause_holds_records_back(engine):
    engine.run_model(DOUBLE, BOTH)
    engine.input(0, b"1")
    assert engine.outputs(1) == [b"2"]
    engine.pause()
    assert engine.state == "paused"
    for _ in range(5):
        engine.input(0, b"2")
    assert engine.output(1, 0.2) is None
    engine.unpause()
    assert engine.outputs(5) == [b"4"] * 5
    assert engine.states() == ["running", "paused", "running"]


def test_a_pause_asked_for_in_init_takes_effect_at_the_start(engine):
    engine.pause()
    assert engine.state == "init"
    engine.run_model(DOUBLE, {0: inline("1"), 1: REST})
    assert engine.state == "paused"
    assert engine.output(1, 0.3) is None
    engine.unpause()
    assert engine.outputs() == [b"2"]


def test_what_is_refused_and_when(engine):
    with pytest.raises(StateError, match="no model"):
        engine.unload()
    with pytest.raises(NoSuchStream):
        engine.detach(0)
    with pytest.raises(NoSuchStream):
        engine.output(1)
    engine.run_model(DOUBLE, BOTH)
    for refused in (engine.unload, lambda: engine.detach(0), lambda: engine.restore(b"")):
        with pytest.raises(StateError, match="running"):
            refused()
    with pytest.raises(SettingsError):
        engine.scale(-1)
    with pytest.raises(NoSuchStream):
        engine.input(1, b"1")
    engine.input(0, b'{"$fastscore": "end"}')
    engine.reaches("finished")
    for refused in (engine.pause, engine.unpause, lambda: engine.load(package(DOUBLE)), lambda: engine.input(0, b"1")):
        with pytest.raises(StateError, match="finished"):
            refused()
    engine.reset()
    assert (engine.state, engine.active_model(), engine.active_streams()) == ("init", None, [])


FAILURES = {
    "action": ("def action(x):\n    yield 1 / x\n", "ZeroDivisionError"),
    "begin": ("def begin():\n    raise KeyError('weights')\ndef action(x):\n    yield x\n", "KeyError: 'weights'"),
    "body": ("import os\nos.stat('missing')\ndef action(x):\n    yield x\n", "FileNotFoundError"),
    "exit": ("import os\ndef action(x):\n    yield x\n    if x == 0: os._exit(3)\n", "exit status 3"),
    "killed": ("import os\ndef action(x):\n    yield x\n    if x == 0: os.kill(os.getpid(), 9)\n", "SIGKILL"),
    "slot": ("def action(x):\n    yield (5, x) if x == 0 else x\n", "slot 5"),
    "sys.exit": ("import sys\ndef action(x):\n    yield x\n    if x == 0: sys.exit()\n", "SystemExit"),
}


@pytest.mark.parametrize("case", FAILURES)
def test_a_model_that_fails_is_told_of_and_the_engine_lives(engine, case):
    source, told = FAILURES[case]
    engine.run_model(source, {0: inline("1", "0", "2"), 1: REST})
    until(lambda: engine.state == "error")
    assert told in engine.status()["error"]
    (error,) = until(lambda: engine.of_type("model-error"))
    assert told in error["console"]
    if case in ("action", "exit", "killed"):
        assert error["input"] == {"slot": 0, "seqno": 2, "data": ["0"], "batch_len": 3, "encoding": "json"}
    assert until(lambda: engine.states()[-1] == "error")
    with pytest.raises(StateError, match="error"):
        engine.input(0, b"1")
    engine.reset()
    engine.run_model(DOUBLE, {0: inline("4"), 1: REST})
    assert engine.outputs() == [b"8"]


def test_outputs_before_a_failure_stand(engine):
    engine.run_model("def action(x):\n    yield 1 / x\n", BOTH)
    engine.input(0, b"2")
    assert engine.outputs(1) == [b"0.5"]
    engine.input(0, b"4")
    engine.input(0, b"0")
    until(lambda: engine.state == "error")
    assert engine.outputs(1) == [b"0.25"]
    assert engine.output(1, 0.05) is None


def test_an_idle_jet_that_is_killed_ends_the_run(engine):
    engine.run_model(DOUBLE, BOTH)
    (pid,) = until(lambda: engine.pids())
    os.kill(pid, signal.SIGKILL)
    until(lambda: engine.state == "error")
    assert "SIGKILL" in engine.status()["error"]


def test_a_reset_ends_a_model_that_never_comes_back(engine):
    engine.run_model("def action(x):\n    while True: pass\n", BOTH)
    engine.input(0, b"1")
    (pid,) = until(lambda: engine.status()["jets"] and engine.status()["jets"][0]["busy"] and engine.pids())
    began = time.monotonic()
    engine.reset()
    assert time.monotonic() - began < 3
    assert engine.state == "init"
    assert not alive(pid)


def test_a_reset_ends_a_model_that_is_still_beginning(engine):
    engine.run_model("import time\ndef begin():\n    time.sleep(60)\ndef action(x):\n    yield x\n", BOTH)
    began = time.monotonic()
    engine.reset()
    assert time.monotonic() - began < 3


def test_console_output_is_told(engine):
    engine.run_model("def action(x):\n    print('got', x)\n    yield x\n", {0: inline("1"), 1: REST})
    engine.reaches("finished")
    assert "got 1\n" in "".join(event["text"] for event in engine.of_type("model-console"))


def test_scale_up_and_down(engine):
    source = (
        "import os, time\ndef action(x):\n    time.sleep(0.02)\n    yield os.getpid()\ndef end():\n    yield 'end'\n"
    )
    each = {**REST, "Batching": None}
    engine.run_model("# fastscore.recordsets.0: no\n" + source, {0: each, 1: REST})
    engine.scale(3)
    until(lambda: len(engine.pids()) == 3)
    for _ in range(60):
        engine.input(0, b"0")
    assert len(set(engine.outputs(60))) > 1
    engine.scale(0)
    until(lambda: not engine.pids())
    assert engine.outputs(3) == [b'"end"'] * 3
    engine.input(0, b"0")
    assert engine.output(1, 0.1) is None
    engine.scale(1)
    assert len(engine.outputs(1)) == 1


def test_a_model_is_replaced_while_data_flow(engine):
    engine.run_model("def action(x):\n    yield x\ndef end():\n    yield 'over'\n", BOTH)
    engine.input(0, b"1")
    assert engine.outputs(1) == [b"1"]
    with pytest.raises(ModelError):
        engine.load(package("def action(x) yield\n"))
    with pytest.raises(StateError, match="slot 3"):
        engine.load(package("# fastscore.slot.3: in-use\n" + DOUBLE))
    engine.load(package(DOUBLE, name="second"))
    engine.input(0, b"2")
    assert engine.outputs(2) == [b'"over"', b"4"]
    assert engine.state == "running"
    assert engine.active_model()["name"] == "second"


def test_a_model_that_hangs_is_replaced_too(engine, monkeypatch):
    monkeypatch.setattr(runs, "LEAVE_S", 0.2)
    engine.run_model("def action(x):\n    while True: pass\n", BOTH)
    engine.input(0, b"1")
    until(lambda: engine.status()["jets"] and engine.status()["jets"][0]["busy"])
    engine.load(package(DOUBLE))
    engine.input(0, b'{"$fastscore": "pig"}')
    engine.input(0, b"2")
    assert _numbers(engine.outputs(2))[1] == 4
    assert engine.state == "running"


def test_streams_are_replaced_while_data_flow(engine):
    engine.run_model(COUNT, BOTH)
    engine.input(0, b"1")
    assert engine.outputs(1) == [b"1"]
    engine.attach(0, "same form", REST)
    engine.input(0, b"2")
    assert engine.outputs(1) == [b"3"]
    # Another encoding: the jet is exchanged, its state goes on.
    engine.attach(0, "msgpack", {"Transport": "REST", "Encoding": "msgpack", "Batching": SOON})
    engine.input(0, b"\x03")
    assert engine.outputs(1) == [b"6"]
    engine.attach(1, "msgpack", {"Transport": "REST", "Encoding": "msgpack"})
    engine.input(0, b"\x04")
    assert engine.outputs(1) == [b"\x0a"]
    engine.attach(0, "the last", inline("5"))
    assert engine.outputs() == [b"\x0f"]
    engine.reaches("finished")


def test_a_slow_reader_holds_the_model_back(engine):
    """A connection that nobody reads: what does not fit waits at the inputs, and a reset comes through."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        there = {"Transport": {"Type": "TCP", "Host": "127.0.0.1", "Port": server.getsockname()[1]}, "Encoding": "json"}
        engine.run_model("def action(x):\n    yield 'y' * 100_000\n", {0: inline("1", Loop=True), 1: there})
        seen = engine.sensors.install({"Tap": "manifold.1.records.count", "Aggregate": None})
        until(lambda: [event for event in engine.of_type("sensor-report") if event["id"] == seen])

        def written():
            return sum(event["data"] for event in engine.of_type("sensor-report") if event["id"] == seen)

        until(lambda: written() == (time.sleep(0.3), written())[1])
        assert engine.state == "running"
        began = time.monotonic()
        engine.reset()
        assert time.monotonic() - began < 2


def test_round_trips_of_many_callers_at_once(engine):
    engine.run_model("def action(x):\n    if x: yield x\n", BOTH)
    found = {}

    def call(number):
        found[number] = engine.roundtrip(0, 1, b"%d" % number, 5000)

    callers = [threading.Thread(target=call, args=(number,)) for number in range(1, 20)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert found == {number: b"%d" % number for number in range(1, 20)}
    with pytest.raises(Unavailable, match="no output"):
        engine.roundtrip(0, 1, b"0", 100)
    assert engine.roundtrip(0, 1, b"5", 5000) == b"5"
    engine.pause()
    with pytest.raises(StateError, match="paused"):
        engine.roundtrip(0, 1, b"5")


def test_a_round_trip_that_gave_up_leaves_nothing_for_the_next(engine):
    engine.run_model("import time\ndef action(x):\n    time.sleep(x)\n    yield x\n", BOTH)
    engine.roundtrip(0, 1, b"0")
    with pytest.raises(Unavailable):
        engine.roundtrip(0, 1, b"0.3", 100)
    time.sleep(0.4)
    assert engine.roundtrip(0, 1, b"0.01") == b"0.01"


def test_snapshots_at_the_end_and_back(engine):
    engine.run_model(COUNT, {0: inline("1", "2"), 1: REST}, name="counter")
    assert engine.outputs() == [b"1", b"3"]
    engine.reaches("finished")
    ((name, blob),) = engine.snapshots
    assert name == "counter"
    blob.decode("ascii")
    for first in ("restore", "load"):
        engine.reset()
        if first == "restore":
            engine.restore(blob)
        engine.load(package(COUNT, name="counter"))
        if first == "load":
            engine.restore(blob)
        engine.attach(1, "out", REST)
        engine.attach(0, "in", inline("10"))
        assert engine.outputs() == [b"13"]
    with pytest.raises(StateError):
        engine.restore(blob)
    engine.reset()
    with pytest.raises(ModelError, match="snapshot"):
        engine.restore(b"rubbish")


def test_a_snapshot_only_if_it_is_asked_for(engine):
    engine.run_model(DOUBLE, {0: inline("1"), 1: REST})
    engine.reaches("finished")
    assert engine.snapshots == []


CELLS = """
    # fastscore.snapshots: eof
    import fastscore
    seen = fastscore.cells("seen")
    def action(x):
        yield seen.update(lambda n: (n or 0) + 1) or seen.value
"""


def test_cells_stay_when_jets_are_exchanged_and_added(engine):
    """Though a snapshot with older cells was restored at the start."""
    engine.run_model(CELLS, {0: inline("0", "0"), 1: REST}, name="cells")
    engine.reaches("finished")
    ((_, blob),) = engine.snapshots
    engine.reset()
    engine.restore(blob)
    engine.run_model(CELLS, BOTH, name="cells")
    engine.input(0, b"0")
    assert engine.outputs(1) == [b"3"]
    engine.attach(0, "msgpack", {"Transport": "REST", "Encoding": "msgpack", "Batching": SOON})
    engine.input(0, b"\x00")
    assert engine.outputs(1) == [b"4"]
    engine.scale(2)
    until(lambda: len(engine.pids()) == 2)
    engine.input(0, b"\x00")
    assert engine.outputs(1) == [b"5"]


def test_cells_are_shared_by_jets_and_cleared_by_a_reset(engine):
    for _ in range(2):
        engine.run_model(CELLS, {0: {**REST, "Batching": None}, 1: REST})
        engine.scale(2)
        until(lambda: len(engine.pids()) == 2)
        for _ in range(40):
            engine.input(0, b"0")
        assert max(_numbers(engine.outputs(40))) == 40
        engine.reset()


EXPLICIT = """
    # fastscore.action: unused
    # fastscore.slot.2: in-use
    from fastscore.io import Slot
    import pandas
    first, second, out = Slot(0), Slot(2), Slot(1)
    for batch in first:
        out.write({"sum": int(batch.sum())})
    other = second.read()
    out.write({"other": len(other)})
"""


def test_an_explicit_model_reads_its_slots_itself(engine):
    engine.run_model(EXPLICIT, {0: inline("1", "2", "3", Batching={"Watermark": 2}), 2: REST, 1: REST})
    assert _numbers(engine.outputs(2)) == [{"sum": 3}, {"sum": 3}]
    assert engine.state == "running"
    engine.input(2, b"1")
    assert _numbers(engine.outputs()) == [{"other": 1}]
    engine.reaches("finished")  # with input left


def test_an_explicit_model_passes_pigs_on_and_can_be_paused(engine):
    source = """
        # fastscore.action: none
        from fastscore.io import Slot
        for batch in Slot(0):
            for value in batch:
                Slot(1).write(value)
    """
    engine.run_model(source, BOTH)
    pig = {"$fastscore": "pig", "id": 1, "timestamp": 2, "misc": ""}
    for body in (b"1", json.dumps(pig).encode(), b"2"):
        engine.input(0, body)
    assert _numbers(engine.outputs(3)) == [1, pig, 2]
    engine.pause()
    engine.input(0, b"3")
    assert engine.output(1, 0.1) is None
    engine.unpause()
    assert engine.outputs(1) == [b"3"]
    engine.input(0, b'{"$fastscore": "end"}')
    engine.reaches("finished")


def test_a_model_without_inputs_begins_and_ends(engine):
    source = """
        # fastscore.slot.0: unused
        def begin():
            print("began")
        def end():
            yield "done"
    """
    engine.run_model(source, {1: REST})
    assert engine.outputs() == [b'"done"']
    engine.reaches("finished")


def test_record_sets_and_their_markers(engine):
    source = """
        # fastscore.recordsets.$all: true
        def action(frame):
            yield frame * 2
    """
    engine.run_model(source, BOTH)
    for body in (b'{"a": 1}', b'{"a": 2}', b'{"$fastscore": "set"}'):
        engine.input(0, body)
    found = _numbers(engine.outputs(3))
    assert [record for record in found if "a" in record] == [{"a": 2}, {"a": 4}]
    assert found[-1] == {"$fastscore": "set"}


def test_a_stream_that_fails_ends_the_run(engine, tmp_path):
    engine.run_model(DOUBLE, {0: REST, 1: {"Transport": {"Type": "exec", "Run": "/bin/true"}, "Encoding": "json"}})
    with contextlib.suppress(StateError):  # it may end between the look and the input
        until(lambda: engine.state == "error" or engine.input(0, b"1"))
    engine.reaches("error")
    assert until(lambda: engine.of_type("log"))[0]["level"] == 8
    assert until(lambda: engine.of_type("model-error"))[0]["input"] is None


def test_a_stream_that_cannot_be_opened_is_not_attached(engine, tmp_path):
    engine.load(package(DOUBLE))
    missing = {"Transport": {"Type": "file", "Path": str(tmp_path / "none")}, "Encoding": "json"}
    with pytest.raises(Exception, match="none"):
        engine.attach(0, "in", missing)
    assert engine.active_streams() == []


def test_sensors_count_what_flows(engine):
    seen = engine.sensors.install({"Tap": "manifold.0.records.count", "Aggregate": "sum", "Report": {"Interval": 0.05}})
    wrong = engine.sensors.install({"Tap": "manifold.0.records.rejected.by.encoding", "Report": {"Interval": 0.05}})
    engine.run_model(DOUBLE, {0: inline("1", "oops", "3"), 1: DISCARD})
    jet = engine.sensors.install(
        {"Tap": "jet.1.output.records.count", "Aggregate": "sum", "Report": {"Interval": 0.05}}
    )
    engine.reaches("finished")

    def total(number):
        return sum(report["data"] for report in engine.of_type("sensor-report") if report["id"] == number)

    until(lambda: total(seen) == 3 and total(jet) == 2)
    until(lambda: [report for report in engine.of_type("sensor-report") if report["id"] == wrong])
    assert {"sys.memory", "manifold.0.debug", "manifold.1.records.size"} <= set(engine.sensors.points())
    engine.sensors.remove(seen)
    with pytest.raises(KeyError):
        engine.sensors.remove(seen)
    with pytest.raises(DescriptorError, match=r"sys\.memory"):
        engine.sensors.install({"Tap": "sys.nothing"})


def test_gauges_read_the_jets(engine):
    engine.run_model("x = 'm' * 50_000_000\n" + DOUBLE, BOTH)
    until(lambda: engine.pids())
    memory = engine.sensors.install({"Tap": "sys.memory", "Report": {"Interval": 0.05}, "Aggregate": "sum"})
    usage = engine.sensors.install({"Tap": "sys.cpu.utilization", "Report": {"Interval": 0.05}, "Aggregate": "sum"})
    until(lambda: {memory, usage} <= {event["id"] for event in engine.of_type("sensor-report")})
    by_id = {event["id"]: event["data"] for event in engine.of_type("sensor-report")}
    assert by_id[memory] > 50_000_000
    assert by_id[usage].keys() == {"kernel", "user"}


def test_the_cost_of_a_while(engine):
    engine.run_model(DOUBLE, {0: inline("1", "2", Loop=True), 1: DISCARD})
    until(lambda: engine.pids())
    found = engine.cpu(0.3)
    assert found["duration"] >= 0.3
    assert found["input_records"] > 0
    assert found["user_time"] > 0
    assert found["jets"][0]["output_records"] > 0
