"""What passes between a supervisor and its worker."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from stream_scorer.service.lifeline import BEAT, HUNG, READY, VARIABLE, Line

WORKER = """
import os, subprocess, sys, time
from stream_scorer.service import lifeline
lifeline.BEAT_S = 0.05
from stream_scorer.system.signals import stopping
with stopping() as signals:
    line = lifeline.Lifeline.taken()
    assert lifeline.Lifeline.taken() is None
    {what}
    time.sleep(60)
print("stopped", flush=True)
sys.exit(signals.code)
"""


@pytest.fixture
def line():
    line = Line()
    yield line
    line.close()


def _start(line, what="pass"):
    process = subprocess.Popen(
        [sys.executable, "-c", WORKER.format(what=what)],
        env={**os.environ, **line.environment},
        pass_fds=[line.fd],
        stdout=subprocess.PIPE,
        text=True,
    )
    line.handed_over()
    return process


def _hears(line, what, seconds=30):
    deadline = time.monotonic() + seconds
    while what not in line.received():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.slow
def test_a_worker_beats_and_stops_when_its_supervisor_is_gone(line):
    """While it loads, too: nothing is ready yet."""
    with _start(line) as worker:
        _hears(line, BEAT)
        os.kill(worker.pid, signal.SIGINT)  # Ctrl-C is the supervisor's
        _hears(line, BEAT)
        line.close()
        assert worker.wait(30) == 0
        assert worker.stdout.read() == "stopped\n"


@pytest.mark.slow
def test_what_a_worker_starts_does_not_hold_its_line(line):
    """A model's own process lives on: the line is the worker's all the same."""
    sleeper = f"assert {VARIABLE!r} not in os.environ; subprocess.Popen(['sleep', '10'], close_fds=False)"
    with _start(line, sleeper) as worker:
        _hears(line, BEAT)
        worker.kill()
        worker.wait()
        line._mine.settimeout(30)
        while line._mine.recv(100):  # up to the end: nobody else has that descriptor
            pass


@pytest.mark.slow
def test_a_worker_that_is_ready_tells_when_it_hangs(line):
    with _start(line, "well = [True]; line.ready(lambda: well[0]); time.sleep(0.2); well[0] = False") as worker:
        _hears(line, READY)
        _hears(line, HUNG)
        assert BEAT not in line.received()
        worker.kill()
