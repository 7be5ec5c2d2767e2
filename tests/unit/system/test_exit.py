"""All is closed, in order, within a bound, and a process ends."""

from __future__ import annotations

import subprocess
import sys

import pytest

from stream_scorer.errors import BrokerError, GiveUp, ModelError, SettingsError
from stream_scorer.system.exit import Closing, exit_code_of


def _raise(error):
    raise error


def test_all_is_closed_the_last_opened_first_whatever_one_raises(caplog):
    closed = []
    with Closing() as closing:
        for name in "abc":
            closing.add(name, lambda name=name: closed.append(name))
            closing.add(f"bad {name}", lambda: _raise(ValueError("stuck")))
    assert closed == ["c", "b", "a"]
    assert [record.getMessage() for record in caplog.records] == [f"bad {name} was not closed" for name in "cba"]


def _opened(closed, last=lambda: None):
    """Closes in the midst of it, as a command may, and ends with an error."""
    with Closing() as closing:
        closing.add("a", lambda: closed.append("a"))
        closing.add("b", last)
        closing.close()
        closing.add("c", lambda: closed.append("c"))
        raise BrokerError("away")


def test_each_is_closed_once_and_an_error_goes_on():
    closed = []
    with pytest.raises(BrokerError):
        _opened(closed)
    assert closed == ["a", "c"]


def test_one_who_gives_up_while_closing_leaves_the_rest_to_the_end():
    closed = []
    with pytest.raises(GiveUp):
        _opened(closed, lambda: _raise(GiveUp()))
    assert closed == ["a"]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (None, 0),
        (GiveUp(), 0),
        (SettingsError(), 2),
        (ModelError(), 3),
        (BrokerError(), 4),
        (KeyboardInterrupt(), 130),
        (ValueError(), 1),
        (SystemExit(3), 3),
        (SystemExit(), 0),
    ],
)
def test_the_code_of_an_error(error, code):
    assert exit_code_of(error) == code


def _process(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)


HANGS = """
import hashlib, logging
from stream_scorer import errors; from stream_scorer.system import exit as system_exit
logging.basicConfig()
system_exit.CLOSE_S = 0.2
with system_exit.Closing() as closing:
    closing.add("it", lambda: hashlib.pbkdf2_hmac("sha256", b"", b"", 10**9))  # as a client that waits in C
    {what}
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("what", "code", "said"),
    [
        ("pass", 0, "not everything was closed"),
        ("raise errors.BrokerError('no broker answers')", 4, "no broker answers\n"),
        ("raise ValueError('a mistake')", 1, "Traceback"),
    ],
)
def test_what_does_not_close_ends_the_process_with_text_and_code(what, code, said):
    done = _process(HANGS.format(what=what))
    assert done.returncode == code
    assert said in done.stderr


DESTROYED = """
import atexit, hashlib, sys
from stream_scorer.system.exit import exit_process

class Client:
    def __del__(self):
        hashlib.pbkdf2_hmac("sha256", b"", b"", 10**9)

sys.modules["confluent_kafka"] = client = Client()
atexit.register(print, "at exit")
print("done", end=" ")
exit_process(4)
"""


@pytest.mark.slow
def test_clients_left_over_are_not_destroyed_at_the_end():
    done = _process(DESTROYED)
    assert (done.returncode, done.stdout) == (4, "done at exit\n")
