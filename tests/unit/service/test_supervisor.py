"""The supervisor over real child processes: crashes, stops, signals."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time

import pytest

from stream_scorer.service import supervisor
from stream_scorer.service.lifeline import VARIABLE
from stream_scorer.service.supervisor import Worker, supervise, worker_command

pytestmark = pytest.mark.process


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(supervisor, "FIRST_PAUSE_S", 0.01)


def _child(code, *arguments):
    return [sys.executable, "-S", "-c", code, *map(str, arguments)]


CRASHES = """
import sys, pathlib
file, times = pathlib.Path(sys.argv[1]), int(sys.argv[2])
with file.open("a") as out: out.write("x")
sys.exit(1 if file.stat().st_size <= times else 0)
"""
SLEEPS = """
import sys, time, signal, pathlib
def stop(*_):
    pathlib.Path(sys.argv[1] + ".stopped").touch()
    sys.exit(0)
signal.signal(signal.SIGTERM, stop)
pathlib.Path(sys.argv[1]).touch()
time.sleep(60)
"""


DEAF = """
import sys, time, signal, pathlib
signal.signal(signal.SIGTERM, signal.SIG_IGN)
pathlib.Path(sys.argv[1]).touch()
time.sleep(60)
"""


def test_all_done_is_done():
    assert supervise([_child("pass"), _child("pass")]) == 0


def test_one_that_crashes_starts_again(tmp_path, caplog):
    assert supervise([_child(CRASHES, tmp_path / "runs", 2)]) == 0
    assert (tmp_path / "runs").stat().st_size == 3
    assert [record.args[1:] for record in caplog.records if record.levelname == "ERROR"] == [(1, 0.01), (1, 0.02)]


def test_the_pause_grows_to_its_limit_and_a_steady_run_begins_it_anew(monkeypatch):
    monkeypatch.setattr(supervisor, "LAST_PAUSE_S", 0.04)
    now = 100.0
    monkeypatch.setattr(supervisor.time, "monotonic", lambda: now)
    worker = Worker(0, _child("import os; os.kill(os.getpid(), 9)"), 60)

    def crash(lived_s):
        """Start, die after so long, start again; how long it had to wait for that."""
        nonlocal now
        while worker.process is None:
            worker.tend()
            now += 0.001
        worker.process.wait()
        now += lived_s
        worker.tend()
        died = now
        while worker.process is None:
            now += 0.001
            worker.tend()
        return round(now - died, 2)

    assert [crash(0) for _ in range(4)] == [0.01, 0.02, 0.04, 0.04]
    assert crash(supervisor.STEADY_S + 1) == 0.01
    worker.stop(now)


@pytest.mark.parametrize("code", [2, 3])
def test_one_that_stops_for_settings_or_model_stops_the_others(code, tmp_path):
    ready = tmp_path / "ready"
    wait = f"import sys, time, pathlib\nwhile not pathlib.Path({str(ready)!r}).exists(): time.sleep(0.01)\nsys.exit({code})"
    assert supervise([_child(SLEEPS, ready), _child(wait)]) == code
    assert (tmp_path / "ready.stopped").exists()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_a_signal_stops_all_and_the_handlers_come_back(number, code, tmp_path):
    files = [tmp_path / "a", tmp_path / "b"]

    def send():
        deadline = time.monotonic() + 60
        while not all(file.exists() for file in files) and time.monotonic() < deadline:
            time.sleep(0.01)
        os.kill(os.getpid(), number)

    before = signal.getsignal(number)
    thread = threading.Thread(target=send)
    thread.start()
    assert supervise([_child(SLEEPS, file) for file in files]) == code
    thread.join()
    assert all(file.with_name(file.name + ".stopped").exists() for file in files)
    assert signal.getsignal(number) is before


def test_one_that_does_not_stop_is_killed(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(supervisor, "STOP_S", 0.2)
    file = tmp_path / "deaf"
    wait = f"import sys, time, pathlib\nwhile not pathlib.Path({str(file)!r}).exists(): time.sleep(0.01)\nsys.exit(3)"
    assert supervise([_child(DEAF, file), _child(wait)]) == 3
    assert "did not stop in 0 s: killed" in caplog.text


def test_a_worker_knows_what_it_is(tmp_path):
    told = tmp_path / "told"
    code = f"import os; fd = os.environ[{VARIABLE!r}]; open({str(told)!r}, 'w').write(str(os.fstat(int(fd)).st_size))"
    assert supervise([_child(code)]) == 0
    assert told.read_text() == "0"
    assert worker_command(["m.py", "--batch", "3"])[1:] == ["-P", "-m", "stream_scorer", "run", "m.py", "--batch", "3"]


LINE = f"""
import os, socket, sys, time, pathlib
line = socket.socket(fileno=int(os.environ[{VARIABLE!r}]))
file = pathlib.Path(sys.argv[1])
with file.open("a") as out: out.write("x")
first = file.stat().st_size == 1
"""
TELLS_THAT_IT_HANGS = LINE + "line.send(b'r' + b'h' * first); time.sleep(60 * first)"
FALLS_SILENT = LINE + "line.send(b'r'); time.sleep(60 * first)"
SLOW_TO_LOAD = LINE + "time.sleep(0.5); line.send(b'r')"
BEATS = LINE + "line.send(b'r')\nfor _ in range(20): line.send(b'.'); time.sleep(0.05)"


@pytest.mark.parametrize(
    ("code", "lives"),
    [(TELLS_THAT_IT_HANGS, 2), (FALLS_SILENT, 2), (SLOW_TO_LOAD, 1), (BEATS, 1)],
    ids=["tells", "silent", "loads", "beats"],
)
def test_one_that_hangs_is_killed_and_starts_again(code, lives, tmp_path, caplog):
    file = tmp_path / "lives"
    assert supervise([_child(code, file)], hung_s=0.3) == 0
    assert file.stat().st_size == lives
    assert (", hangs, " in caplog.text) == (lives == 2)


def test_a_worker_is_not_taken_for_hung_for_what_its_supervisor_slept(tmp_path, monkeypatch):
    """The machine was suspended, or the supervisor stopped: nobody listened."""
    now = 100.0
    monkeypatch.setattr(supervisor.time, "monotonic", lambda: now)
    file = tmp_path / "ready"
    worker = Worker(0, _child(SLEEPS, file), hung_s=5)
    worker._ready = True
    worker.tend()
    for _ in range(3):
        now += 1000.0
        worker.tend()
    assert worker.process.poll() is None
    worker.process.kill()
    worker.stop(now)


FAILS = LINE + "line.send(sys.argv[3].encode())\ntime.sleep(0.02)\nsys.exit(int(sys.argv[2]))"


@pytest.mark.parametrize("code", [4, 1])
def test_workers_of_which_none_was_ever_ready_end_all_after_a_while(code, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(supervisor, "START_S", 0.0)
    ready = tmp_path / "ready"
    wait = FAILS.replace("time.sleep(0.02)", f"while not pathlib.Path({str(ready)!r}).exists(): time.sleep(0.01)")
    assert supervise([_child(SLEEPS, ready), _child(wait, tmp_path / "tries", code, ".")]) == code
    assert f"worker 1 ended with {code}: ending all" in caplog.messages
    assert (tmp_path / "ready.stopped").exists()


def test_one_that_was_ready_is_waited_for_however_it_ends(tmp_path, monkeypatch):
    monkeypatch.setattr(supervisor, "START_S", 0.0)
    monkeypatch.setattr(supervisor, "LAST_PAUSE_S", 0.05)
    file = tmp_path / "tries"
    again = "sys.exit(0) if file.stat().st_size > 10 else "
    assert supervise([_child(FAILS.replace("sys.exit", again + "sys.exit"), file, 4, "r")]) == 0
    assert file.stat().st_size == 11


def test_one_that_somebody_stopped_starts_again_unless_there_is_an_end(tmp_path):
    file = tmp_path / "lives"
    stopped_twice = _child(FAILS.replace("sys.argv[2]", "file.stat().st_size > 2 and sys.argv[2]"), file, 2, "r")
    assert supervise([stopped_twice], until_end=False) == 2
    assert file.stat().st_size == 3
