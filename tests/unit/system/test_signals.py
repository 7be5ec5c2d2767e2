"""What a signal does, in a process of its own."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from stream_scorer.system.signals import stopping

OPEN = Path("/proc/self/fd")
CODES = {signal.SIGTERM: 0, signal.SIGINT: 130}
BEGIN = """
import time
from stream_scorer.system.signals import stopping

def told():
    print("told", flush=True)

with stopping(limit_s={longest}) as signals:
    print("ready", flush=True)
    {what}
print("after", flush=True)
raise SystemExit(signals.code)
"""
NO_LOOP = "time.sleep(60)"
LOOP = "signals.call_on_stop(told); time.sleep(2)"
WRAPS = "exec('try: time.sleep(60)\\nexcept BaseException: raise SystemError')"
"""As an import of C code does it, or a model."""
STUCK = "signals.call_on_stop(told); time.sleep(60)"


def _start(what, longest=1.0):
    code = BEGIN.format(what=what, longest=longest)
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"
    time.sleep(0.2)
    return process


@pytest.mark.slow
@pytest.mark.parametrize("number", CODES)
@pytest.mark.parametrize(
    ("what", "said"),
    [(NO_LOOP, "after\n"), (LOOP, "told\nafter\n"), (STUCK, "told\n"), (WRAPS, "after\n")],
    ids=["none", "loop", "stuck", "wraps"],
)
def test_what_runs_ends(what, said, number):
    process = _start(what, 30 if what != STUCK else 1)
    process.send_signal(number)
    out, _ = process.communicate(timeout=20)
    assert (out, process.returncode) == (said, CODES[number])


@pytest.mark.slow
def test_a_second_signal_gives_up_at_once():
    process = _start(STUCK, 30)
    process.send_signal(signal.SIGTERM)
    assert process.stdout.readline() == "told\n"
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=10)
    assert (out, process.returncode) == ("after\n", 130)


@pytest.mark.slow
def test_a_call_that_does_not_come_back_from_c_is_ended():
    """As one of librdkafka's while its broker is away: the handler of Python's would wait for it."""
    process = _start("import hashlib; signals.call_on_stop(told); hashlib.pbkdf2_hmac('sha256', b'', b'', 10**9)", 1)
    process.send_signal(signal.SIGTERM)
    _, _ = process.communicate(timeout=20)
    assert process.returncode == 0


def test_nothing_stays_open_after_it():
    before = len(list(OPEN.iterdir()))
    for _ in range(20):
        with stopping():
            pass
    deadline = time.monotonic() + 60
    while len(list(OPEN.iterdir())) > before and time.monotonic() < deadline:
        time.sleep(0.01)  # the thread that watches ends by itself
    assert len(list(OPEN.iterdir())) <= before
