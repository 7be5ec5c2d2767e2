"""The manifold and its streams: when records go on, rejected ones, streams that take the place of others."""

from __future__ import annotations

import io
import json
import os
import socket
import time

import fastavro
import pytest

from stream_scorer.errors import TransportError
from stream_scorer.modelop.streams import envelopes
from support.brokers import free_ports
from support.manifold import DISCARD, REST, Engine, package, until

pytestmark = pytest.mark.process

DOUBLE = "def action(x):\n    yield 2 * x\n"
SETS = "# fastscore.recordsets.0: yes\ndef action(xs):\n    yield len(xs)\n"
EXPLICIT = """
    # fastscore.action: unused
    from fastscore.io import Slot
    for xs in Slot(0):
        Slot(1).write(len(xs))
"""
ROW = {"type": "record", "name": "row", "fields": [{"name": "a", "type": "int"}]}
BY_DEFAULT = {"Transport": "REST", "Encoding": "json"}
SOON_S, NAGLE_S = 0.3, 0.5


@pytest.fixture
def engine():
    engine = Engine()
    yield engine
    engine.close()


def _numbers(records):
    return [json.loads(record) for record in records]


def _after(engine, *bodies):
    """The next output of these inputs, and the seconds it took."""
    began = time.monotonic()
    for body in bodies:
        engine.input(0, body)
    return json.loads(engine.outputs(1)[0]), time.monotonic() - began


def test_a_record_does_not_wait_for_a_batch_that_the_model_cannot_see(engine):
    engine.run_model(DOUBLE, {0: BY_DEFAULT, 1: REST})
    until(engine.pids)
    times = []
    for value in range(5):
        found, seconds = _after(engine, b"%d" % value)
        assert found == 2 * value
        times.append(seconds)
    assert min(times) < SOON_S


@pytest.mark.parametrize("source", [SETS, EXPLICIT], ids=["record sets", "explicit"])
def test_a_batch_that_the_model_sees_keeps_its_limits(engine, source):
    engine.run_model(source, {0: BY_DEFAULT, 1: REST})
    until(engine.pids)
    found, seconds = _after(engine, b"1", b"2", b"3")
    assert found == 3
    assert seconds > 0.9 * NAGLE_S


def test_batches_follow_the_model_that_is_loaded_while_data_flow(engine):
    engine.run_model(DOUBLE, {0: BY_DEFAULT, 1: REST})
    until(engine.pids)
    assert _after(engine, b"1")[0] == 2
    engine.load(package(SETS))
    until(engine.pids)
    assert _after(engine, b"1", b"2")[0] == 2  # one set of two
    engine.load(package(DOUBLE))
    until(engine.pids)
    assert min(_after(engine, b"1")[1] for _ in range(3)) < SOON_S


def test_explicit_batching_is_kept(engine):
    engine.run_model(DOUBLE, {0: {**BY_DEFAULT, "Batching": "explicit"}, 1: REST})
    engine.input(0, b"1")
    assert engine.output(1, 0.2) is None
    engine.input(0, b'{"$fastscore": "set"}')
    assert engine.outputs(1) == [b"2"]


def test_rejected_records_are_told_one_by_one(engine):
    taps = [f"manifold.{slot}.records.rejected.by.{by}" for slot in (0, 1) for by in ("schema", "encoding")]
    ids = {engine.sensors.install({"Tap": tap, "Report": {"Interval": 0.05}}): tap for tap in taps}
    engine.run_model(
        "# fastscore.schema.0: double\n# fastscore.schema.1: double\n"
        "def action(x):\n    yield x if x < 100 else 'too much'\n    yield {1: {2}} if x == 5 else x\n",
        {0: REST, 1: DISCARD},
    )
    for record in (b'"x"', b"{", b"5", b"700", *[b"?%d" % at for at in range(50)]):
        engine.input(0, record)

    def told(tap):
        reports = [event for event in engine.of_type("sensor-report") if ids.get(event["id"]) == f"manifold.{tap}"]
        return [record for report in reports for record in report["data"]]

    until(lambda: told("0.records.rejected.by.schema") == ['"x"'])
    until(lambda: "?0" in told("0.records.rejected.by.encoding"))
    assert told("0.records.rejected.by.encoding")[0] == "{"
    until(lambda: told("1.records.rejected.by.schema") == ["{1: {2}}", '"too much"'])


def _udp(port, **more):
    return {"Transport": {"Type": "UDP", "Port": port, **more}, "Encoding": "json"}


def _sends(engine, port, value):
    """Datagrams until one has come through: there is no other sign that the port is listened to."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        deadline = time.monotonic() + 60
        while (found := engine.output(1, 0.05)) is None:
            assert time.monotonic() < deadline
            client.sendto(value, ("127.0.0.1", port))
        return json.loads(found)


def test_a_udp_port_passes_from_one_stream_to_the_next(engine):
    (port,) = free_ports(1)
    engine.load(package(DOUBLE))
    engine.attach(0, "first", _udp(port))
    engine.attach(0, "second", _udp(port))  # before the run
    with pytest.raises(TransportError, match="cannot be listened on"):
        engine.attach(0, "nowhere", _udp(port, BindTo="203.0.113.1"))
    assert [stream["name"] for stream in engine.active_streams()] == ["second"]
    engine.attach(1, "out", REST)
    until(engine.pids)
    assert _sends(engine, port, b"1") == 2
    engine.attach(0, "third", _udp(port, BindTo="127.0.0.1"))
    assert _sends(engine, port, b"2") in (2, 4)
    for raw in (_udp(port, BindTo="203.0.113.1"), {**_udp(port, BindTo="203.0.113.1"), "Encoding": "utf-8"}):
        with pytest.raises(TransportError, match="cannot be listened on"):
            engine.attach(0, "nowhere", raw)
        assert engine.active_streams()[0]["name"] == "third"
        assert engine.state == "running"
        until(lambda: _sends(engine, port, b"3") == 6)
    engine.attach(0, "fourth", {**_udp(port), "Encoding": "utf-8"})
    until(lambda: _sends(engine, port, b"x") == "xx")


def test_a_file_passes_from_one_stream_to_the_next(engine, tmp_path):
    path = tmp_path / "out"
    written = {"Transport": {"Type": "file", "Path": str(path)}, "Encoding": "json", "Batching": None}
    engine.run_model(DOUBLE, {0: REST, 1: written})
    engine.input(0, b"1")
    until(lambda: path.read_text() == "2\n")
    engine.attach(1, "again", {**written, "Description": "the same file"})
    assert path.read_text() == ""
    engine.input(0, b"2")
    until(lambda: path.read_text() == "4\n")
    engine.attach(1, "other form", {**written, "Encoding": "msgpack"})
    engine.input(0, b"3")
    until(lambda: path.read_bytes() == b"\x06")
    other = tmp_path / "link"
    other.symlink_to(path)
    engine.attach(1, "by another name", {**written, "Transport": {"Type": "file", "Path": str(other)}})
    engine.input(0, b"4")
    until(lambda: path.read_text() == "8\n")
    assert engine.state == "running"


def test_a_load_that_fails_at_one_stream_leaves_the_others_fit_for_the_next(engine):
    (port,) = free_ports(1)
    engine.attach(0, "in", REST)
    engine.attach(1, "out", {"Transport": {"Type": "TCP", "Host": "127.0.0.1", "Port": port}, "Encoding": "json"})
    with pytest.raises(TransportError, match="Does anything listen there"):
        engine.load(package(DOUBLE))
    engine.attach(1, "out", REST)
    engine.load(package(DOUBLE))
    engine.input(0, b"1")
    assert engine.outputs(1) == [b"2"]


def test_a_pipe_that_nobody_reads_holds_nothing_up(engine, tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    out = {"Transport": {"Type": "file", "Path": str(path)}, "Encoding": "json"}
    engine.run_model(DOUBLE, {0: REST, 1: out})
    engine.input(0, b"1")
    until(lambda: engine.status()["jets"] and engine.status()["jets"][0]["busy"])
    began = time.monotonic()
    engine.reset()
    assert time.monotonic() - began < 3
    engine.run_model(DOUBLE, {0: REST, 1: out})
    engine.input(0, b"1")
    engine.input(0, b'{"$fastscore": "end"}')
    assert path.read_text() == "2\n"  # until the writer has left
    engine.reaches("finished")


def test_a_pipe_as_input(engine, tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    engine.run_model(DOUBLE, {0: {"Transport": {"Type": "file", "Path": str(path)}, "Encoding": "json"}, 1: REST})
    assert engine.output(1, 0.2) is None  # nobody writes yet, which is no end
    with path.open("w") as writer:
        for value in (1, 2):
            writer.write(f"{value}\n")
            writer.flush()
            assert _numbers(engine.outputs(1)) == [2 * value]
    assert engine.outputs() == []
    engine.reaches("finished")
    engine.reset()
    engine.run_model(DOUBLE, {0: {"Transport": {"Type": "file", "Path": str(path)}, "Encoding": "json"}, 1: REST})
    began = time.monotonic()
    engine.reset()
    assert time.monotonic() - began < 3


def test_what_came_before_a_broken_block_is_scored(engine, tmp_path):
    """The run fails then: nothing behind that place can be trusted."""
    out = io.BytesIO()
    fastavro.writer(out, "long", range(500), sync_interval=100)
    (tmp_path / "x.avro").write_bytes(out.getvalue()[:-1] + b"!")
    file = {"Transport": {"Type": "file", "Path": str(tmp_path / "x.avro")}, "Encoding": "avro-binary"}
    engine.run_model(DOUBLE, {0: {**file, "Envelope": "ocf-block", "Schema": "long"}, 1: REST})
    until(lambda: engine.state == "error")
    found = _numbers(iter(lambda: engine.output(1, 0.05), None))
    assert 300 < len(found) < 500
    assert found == [2 * number for number in range(len(found))]
    assert "sync marker" in engine.status()["error"]


def test_an_open_quote_of_csv_is_one_rejected_record(engine, tmp_path):
    (tmp_path / "x.csv").write_text('a\n1\n2\n"3\n4\n' + "5\n" * 100)
    csv = {"Encoding": "csv", "Envelope": {"Type": "delimited-csv", "Separator": "\n"}, "Schema": ROW}
    file = {"Transport": {"Type": "file", "Path": str(tmp_path / "x.csv")}}
    engine.run_model("def action(x):\n    yield x['a']\n", {0: {**file, **csv}, 1: REST})
    assert _numbers(engine.outputs()) == [1, 2, 4, *[5] * 100]
    assert engine._taps.flow("manifold.0.records.rejected.by.encoding").total == 1


def test_a_record_without_an_end_is_one_rejected_record(engine, tmp_path, monkeypatch):
    monkeypatch.setattr(envelopes, "MAX_LINE", 1000)
    (tmp_path / "x.jsonl").write_bytes(b"1\n" + b"7" * (1 << 20) + b"\n2\n")
    file = {"Transport": {"Type": "file", "Path": str(tmp_path / "x.jsonl")}, "Encoding": "json"}
    engine.run_model(DOUBLE, {0: file, 1: REST})
    assert _numbers(engine.outputs()) == [2, 4]
    assert engine._taps.flow("manifold.0.records.rejected.by.encoding").total == 1


PIGS = {
    "json": b'{"$fastscore":"pig"}',
    "utf-8": "\u262efastscore.pig".encode(),
    None: b"\xfastscore.pig",
    "msgpack": b"\x81\xaa$fastscore\xa3pig",
    "avro-binary": b"\x1c$fastscore.pig\0\0\0",
}


def test_a_pig_comes_out_of_every_slot_in_its_encoding_as_it_went_in(engine):
    slots = dict(zip(range(1, 11, 2), PIGS, strict=True))
    source = "".join(f"# fastscore.slot.{slot}: in-use\n" for slot in slots) + "def action(x):\n    yield x\n"
    ends = {slot: {**REST, "Encoding": encoding} for slot, encoding in slots.items()}
    ends[9]["Schema"] = "string"
    engine.run_model(source, {0: REST, **ends})
    for pig in (PIGS["json"], b'{ "mine": [1.50], "$fastscore" : "pig" }'):
        engine.input(0, pig)
        assert engine.outputs(1)[0] == pig
        for slot, encoding in list(slots.items())[1:]:
            (found,) = engine.outputs(1, slot=slot)
            assert found == PIGS[encoding] or (b"mine" in pig and encoding == "msgpack")
