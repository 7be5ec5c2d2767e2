"""The operating system's side of a jet: a process in a group of its own, its console, its end."""

from __future__ import annotations

import array
import codecs
import contextlib
import fcntl
import logging
import mmap
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import termios
import threading
import time
from collections.abc import Callable
from typing import Any

from stream_scorer.modelop.process.frames import Channel
from stream_scorer.modelop.process.shared import SharedState
from stream_scorer.system.stderr import is_banner

log = logging.getLogger(__name__)

_TAIL = 8000
_IDLE_S = 0.05
_LAST_WORDS_S = 0.2
_HIDDEN = "STREAM_SCORER_"


class JetProcess:
    """Started by its constructor. `control` is the channel to it.

    Args:
        on_console: gets what the model prints, whole lines where it can; from a thread of its own.
    """

    def __init__(self, shared: SharedState, on_console: Callable[[str], None], folder: str) -> None:
        self._on_console = on_console
        self._tail = ""
        self._telling = False
        self._waiting = ""  # for the end of its line
        mine, theirs = socket.socketpair()
        shared_mine, shared_theirs = socket.socketpair()
        life, self._life = os.pipe()
        self._console, console_in = os.pipe()
        with tempfile.TemporaryFile(dir=folder) as progress:
            progress.truncate(8)
            self._progress_map = mmap.mmap(progress.fileno(), 8)
            self._progress = memoryview(self._progress_map).cast("q")
            given = (theirs.fileno(), shared_theirs.fileno(), life, progress.fileno())
            try:
                self._process = subprocess.Popen(
                    [sys.executable, "-P", "-m", "stream_scorer.modelop.process.child", *map(str, given)],
                    stdin=subprocess.DEVNULL,
                    stdout=console_in,
                    stderr=console_in,
                    pass_fds=given,
                    start_new_session=True,
                    env=_environment(),
                )
            finally:
                theirs.close()
                shared_theirs.close()
                os.close(life)
                os.close(console_in)
        self.pid = self._process.pid
        self._ending = _ending(self.pid)
        self.control = Channel(mine, self._ending)
        self._reader = threading.Thread(target=self._read_console, name="console", daemon=True)
        self._reader.start()
        threading.Thread(target=shared.serve, args=(shared_mine,), name="shared", daemon=True).start()

    @property
    def record_in_hand(self) -> int:
        """Number of the record in its batch, from 1; 0 when there is none."""
        return int(self._progress[0])

    def send(self, head: dict[str, Any], body: bytes = b"") -> None:
        """To a process that may be gone: who receives will see."""
        with contextlib.suppress(OSError):
            self.control.send(head, body)

    def begin_call(self) -> None:
        """Nothing in hand, and nothing said yet."""
        self._progress[0] = 0
        self._tail = ""

    def how_it_ended(self, timeout_s: float = 2.0) -> str:
        """After the other end of `control` is gone: in words, with the last the console said."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout_s)
        code = self._process.returncode
        self.kill()
        self._reader.join(1.0)
        return f"{self._tail.strip()}\n{_told(code)}".strip()

    def hear_out(self) -> None:
        """What it has printed so far has been told by then, if that is quick."""
        until = time.monotonic() + _LAST_WORDS_S
        while time.monotonic() < until and (self._telling or self._waiting or _unread(self._console)):
            time.sleep(0.0005)

    def show_where(self) -> None:
        """Make it write its Python stack to the console, and end."""
        with contextlib.suppress(OSError):
            os.kill(self.pid, signal.SIGABRT)

    def leave(self, timeout_s: float) -> None:
        """Ask it to go, make it go when it has not within `timeout_s`. Safe to call again."""
        if self._process.returncode is None:
            self.send({"do": "leave"})
            with contextlib.suppress(ChildProcessError):
                self._wait_unreaped(timeout_s)
        self.kill()

    def kill(self) -> None:
        """The process and all it has started, now."""
        with contextlib.suppress(OSError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()

    def close(self) -> None:
        """Give back what is held here. After `leave` or `kill`."""
        self.control.close()
        self._reader.join(1.0)
        os.close(self._life)
        if self._ending is not None:
            os.close(self._ending)
        if not self._reader.is_alive():
            os.close(self._console)

    def _wait_unreaped(self, timeout_s: float) -> None:
        """Until it has ended; its number stays its own, so that the group can be killed by it."""
        until = time.monotonic() + timeout_s
        while time.monotonic() < until:
            if os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is not None:
                return
            time.sleep(0.002)

    def _read_console(self) -> None:
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        poll = select.poll()
        poll.register(self._console, select.POLLIN)
        while True:
            self._telling = False
            if not poll.poll(_IDLE_S * 1000 if self._waiting else None):
                self._tell_all()
                continue
            self._telling = True
            chunk = os.read(self._console, 1 << 16)
            self._waiting += decoder.decode(chunk, final=not chunk)
            if not chunk:
                break
            whole = self._waiting.rfind("\n") + 1
            if whole:
                told, self._waiting = self._waiting[:whole], self._waiting[whole:]
                self._tell(told)
        self._tell_all()
        self._telling = False

    def _tell_all(self) -> None:
        self._tell(self._waiting)
        self._waiting = ""

    def _tell(self, text: str) -> None:
        lines = [line for line in text.splitlines(keepends=True) if not is_banner(line.encode())]
        if lines:
            self._tail = (self._tail + "".join(lines))[-_TAIL:]
            try:
                self._on_console("".join(lines))
            except Exception:  # the console has to be emptied whatever becomes of what it said
                log.exception("console of process %d", self.pid)


def _ending(pid: int) -> int | None:
    """A descriptor that is readable when the process has ended, where the system has such."""
    try:
        return os.pidfd_open(pid)
    except (AttributeError, OSError):
        return None


def _unread(descriptor: int) -> bool:
    count = array.array("i", [0])
    fcntl.ioctl(descriptor, termios.FIONREAD, count)
    return count[0] > 0


def _environment() -> dict[str, str]:
    """Ours without settings of ours: what they hold is not for a model."""
    return {name: value for name, value in os.environ.items() if not name.startswith(_HIDDEN)} | {
        "PYTHONIOENCODING": "utf-8"
    }


def _told(code: int | None) -> str:
    if code is None:
        return "the model's process closed its connection to the engine"
    if code >= 0:
        return f"the model's process ended by itself with exit status {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = "no name"
    hint = ", perhaps for want of memory" if -code == signal.SIGKILL else ""
    return f"the model's process was ended by signal {-code} ({name}){hint}"
