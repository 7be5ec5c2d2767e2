"""SIGTERM is honoured within 10 s in every phase, and what takes long keeps the worker in its group."""

from __future__ import annotations

import signal
import socket
import struct
import time
import urllib.error
import urllib.request

import pytest

from support.brokers import free_ports
from support.service import MODELS, Service, score_topic

pytestmark = [pytest.mark.broker, pytest.mark.slow]
SLOW, COUNTER = str(MODELS / "slow_counter.py"), str(MODELS / "counter.py")


def _send(kafka, topics, values):
    kafka.send(
        topics["input_topic"], [{"value": struct.pack("<d", value), "key": b"k", "partition": 0} for value in values]
    )


def _ends(service):
    started = time.monotonic()
    service.signal(signal.SIGTERM)
    code = service.wait(30)
    assert time.monotonic() - started < 10
    return code


@pytest.fixture
def endless(tmp_path):
    model = tmp_path / "model.py"
    model.write_text(
        "import time\n\n\ndef begin():\n    print('beginning', flush=True)\n    time.sleep(300)\n\n\n"
        "def action(x):\n    yield x\n"
    )
    return {"model": str(model), "input_encoding": "json", "output_encoding": "json"}


@pytest.mark.parametrize("workers", [1, 2])
def test_in_begin(workers, endless, kafka, topics, tmp_path):
    (port,) = free_ports(1)
    with Service(tmp_path, servers=kafka.servers, workers=workers, http=port, **endless, **topics) as service:
        service.wait_for_times("beginning", workers)
        for number in range(workers):
            assert (_code(port + number, "livez"), _code(port + number, "readyz")) == (200, 503)
        assert _ends(service) == 0


def test_workers_in_begin_when_their_supervisor_is_killed(endless, kafka, topics, tmp_path):
    with Service(tmp_path, servers=kafka.servers, workers=2, **endless, **topics) as service:
        service.wait_for_times("beginning", 2)
        service.kill()
        service.wait_for_no_worker()


def test_in_an_action_that_does_not_end(kafka, topics, tmp_path):
    """The record was not published; it comes again."""
    _send(kafka, topics, [-300.0])
    with Service(tmp_path, SLOW, kafka.servers, **topics) as service:
        service.wait_for("assigned ")
        time.sleep(1)
        assert _ends(service) == 0
        assert "the process ends now" in service.text()
    assert kafka.committed(topics["group"], topics["input_topic"]) == [0]


def test_in_a_rebuild(kafka, topics, tmp_path):
    """Of 400 records at 40 ms, with 6 s until a silent worker is expelled: it stays in its group and lives."""
    _send(kafka, topics, [1.0] * 400)
    score_topic(COUNTER, kafka.servers, **topics)
    (port,) = free_ports(1)
    limits = ["max.poll.interval.ms=6000", "session.timeout.ms=3000", "heartbeat.interval.ms=500"]
    options = {"on_state_mismatch": "rebuild", "http": port, "kafka": limits, **topics}
    with Service(tmp_path, SLOW, kafka.servers, **options) as service:
        service.wait_for("rebuilding sessions from the inputs before 400")
        service.wait_for("feeding inputs, offset")
        deadline = time.monotonic() + 9
        while time.monotonic() < deadline:
            assert _code(port, "livez") == 200
            assert _code(port, "readyz") == 503
            time.sleep(0.2)
        text = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5).read().decode()
        assert "stream_scorer_restoring_partitions 1.0" in text
        assert "lost" not in service.text()
        assert _ends(service) == 0
    with Service(tmp_path, SLOW, kafka.servers, **options) as service:
        service.wait_for("fed 400 inputs before offset 400")
        service.wait_for("assigned ")
        _send(kafka, topics, [1.0])
        found = kafka.wait_for(topics["output_topic"], 401)
        assert struct.unpack("<d", found[-1].value()) == (401.0,)
        assert _ends(service) == 0


@pytest.mark.parametrize("workers", [1, 2])
def test_while_the_broker_is_away(workers, own_broker, own_kafka, name, tmp_path):
    topics = {
        "input_topic": own_kafka.create(name("in")),
        "output_topic": own_kafka.create(name("out")),
        "group": name("group"),
    }
    with Service(tmp_path, COUNTER, own_kafka.servers, workers=workers, **topics) as service:
        service.wait_for("assigned ")
        own_broker.pause()
        try:
            _send_nothing_for(3)
            assert _ends(service) == 0
        finally:
            own_broker.resume()


@pytest.mark.parametrize("workers", [1, 2])
def test_before_any_broker_answers(workers, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as mute:
        mute.settimeout(120)
        servers = f"127.0.0.1:{mute.getsockname()[1]}"
        with Service(tmp_path, COUNTER, servers, input_topic="in", output_topic="out", workers=workers) as service:
            called = [mute.accept()[0] for _ in range(workers)]
            assert _ends(service) == 0
            assert "ended with" not in service.text()
        for connection in called:
            connection.close()


def test_while_it_joins_a_group_with_a_member_that_does_not_answer(kafka, topics, tmp_path):
    limits = ["session.timeout.ms=60000", "max.poll.interval.ms=120000"]
    with Service(tmp_path, COUNTER, kafka.servers, kafka=limits, **topics) as member:
        member.wait_for("assigned ")
        member.signal(signal.SIGSTOP)
        try:
            with Service(tmp_path, COUNTER, kafka.servers, kafka=limits, **topics) as joining:
                joining.wait_for("ready: ")
                assert _ends(joining) == 0
                assert "assigned " not in joining.text()
        finally:
            member.kill()


def _send_nothing_for(seconds):
    time.sleep(seconds)


def _code(port, path):
    try:
        return urllib.request.urlopen(f"http://127.0.0.1:{port}/{path}", timeout=5).status
    except urllib.error.HTTPError as error:
        with error:
            return error.code
