"""The process of a jet: its start in a process group of its own, its console, its exit."""

from __future__ import annotations

import array
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

from stream_scorer.modelop.process import descendants
from stream_scorer.modelop.process.console import MAX_LINE, ConsoleLines
from stream_scorer.modelop.process.frames import Channel
from stream_scorer.modelop.process.shared import SharedState
from stream_scorer.system.stderr import is_banner

log = logging.getLogger(__name__)

_TAIL = 8000
"""Characters of the console that are kept to explain an exit."""
_PARTIAL_LINE_S = 0.05
"""A line without its end is handed on after this time."""
_CONSOLE_WAIT_S = 0.2
_HIDDEN = "STREAM_SCORER_"


class JetProcess:
    """Started by its constructor. `control` is the channel to it.

    Args:
        on_console: called with what the model prints, in whole lines if possible; from a thread of its own.
        folder: directory for its temporary file.
    """

    def __init__(self, shared: SharedState, on_console: Callable[[str], None], folder: str) -> None:
        self._on_console = on_console
        self._tail = ""
        self._delivering = False
        self._lines = ConsoleLines()
        control, child_control = socket.socketpair()
        self._shared, child_shared_values = socket.socketpair()
        self._mark = descendants.new_mark()
        life, self._life = os.pipe()
        self._console, console_in = os.pipe()
        with tempfile.TemporaryFile(dir=folder) as progress:
            progress.truncate(8)
            self._progress_map = mmap.mmap(progress.fileno(), 8)
            self._progress = memoryview(self._progress_map).cast("q")
            passed = (child_control.fileno(), child_shared_values.fileno(), life, progress.fileno())
            try:
                self._process = subprocess.Popen(
                    [sys.executable, "-P", "-m", "stream_scorer.modelop.process.child", *map(str, passed)],
                    stdin=subprocess.DEVNULL,
                    stdout=console_in,
                    stderr=console_in,
                    pass_fds=passed,
                    start_new_session=True,
                    env=environment() | self._mark,
                )
            finally:
                child_control.close()
                child_shared_values.close()
                os.close(life)
                os.close(console_in)
        self.pid = self._process.pid
        self._exit_descriptor = _exit_descriptor(self.pid)
        self.control = Channel(control, self._exit_descriptor)
        self._reader = threading.Thread(target=self._read_console, name="console", daemon=True)
        self._reader.start()
        threading.Thread(target=shared.serve, args=(self._shared,), name="shared", daemon=True).start()

    @property
    def record_in_hand(self) -> int:
        """The number, from 1, of the record of the batch that the model works on; 0 for none."""
        return int(self._progress[0])

    def send(self, head: dict[str, Any], body: bytes = b"") -> None:
        """Send a frame. Raises nothing if the process is gone: the next `receive` finds out."""
        with contextlib.suppress(OSError):
            self.control.send(head, body)

    def begin_call(self) -> None:
        """Forget the record in hand and the console of the call before."""
        self._progress[0] = 0
        self._tail = ""

    def exit_text(self, timeout_s: float = 2.0) -> str:
        """Once the peer of `control` is gone: return how the process has exited, with the last lines of its console."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout_s)
        code = self._process.returncode
        self.kill()
        self._reader.join(1.0)
        return f"{self._tail.strip()}\n{_exit_cause(code)}".strip()

    def wait_for_console(self) -> None:
        """Block until `on_console` has what the process has printed so far, or for _CONSOLE_WAIT_S."""
        until = time.monotonic() + _CONSOLE_WAIT_S
        while time.monotonic() < until and (self._delivering or self._lines.holds or _unread(self._console)):
            time.sleep(0.0005)

    def dump_stack(self) -> None:
        """Make the process write its Python stack to the console and exit."""
        with contextlib.suppress(OSError):
            os.kill(self.pid, signal.SIGABRT)

    def leave(self, timeout_s: float) -> None:
        """Ask the process to exit, and kill it if it has not within `timeout_s`. May be called again."""
        if self._process.returncode is None:
            self.send({"do": "leave"})
            with contextlib.suppress(ChildProcessError):
                self._wait_unreaped(timeout_s)
        self.kill()

    def kill(self) -> None:
        """Kill the process and all that it has started."""
        with contextlib.suppress(OSError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()
        descendants.kill(self._mark)
        # If one of them is left, it must not hold the lock of cells and pools.
        with contextlib.suppress(OSError):
            self._shared.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close all descriptors. After `leave` or `kill`."""
        self.control.close()
        self._reader.join(1.0)
        os.close(self._life)
        if self._exit_descriptor is not None:
            os.close(self._exit_descriptor)
        if not self._reader.is_alive():
            os.close(self._console)

    def _wait_unreaped(self, timeout_s: float) -> None:
        """Wait for its exit without reaping it, so that its id stays reserved and the group can be killed by it."""
        until = time.monotonic() + timeout_s
        while time.monotonic() < until:
            if os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is not None:
                return
            time.sleep(0.002)

    def _read_console(self) -> None:
        poll = select.poll()
        poll.register(self._console, select.POLLIN)
        while True:
            self._delivering = False
            if not poll.poll(_PARTIAL_LINE_S * 1000 if self._lines.holds else None):
                self._deliver(self._lines.take())
                continue
            self._delivering = True
            chunk = os.read(self._console, MAX_LINE)
            if not chunk:
                break
            self._deliver(self._lines.feed(chunk))
        self._deliver(self._lines.take(final=True))
        self._delivering = False

    def _deliver(self, text: str) -> None:
        lines = [line for line in text.splitlines(keepends=True) if not is_banner(line.encode())]
        if lines:
            self._tail = (self._tail + "".join(lines))[-_TAIL:]
            try:
                self._on_console("".join(lines))
            except Exception:  # the console has to be read on: a full pipe would block the model
                log.exception("console of process %d", self.pid)


def _exit_descriptor(pid: int) -> int | None:
    """Return a descriptor that is readable once the process has exited; None if the system has no such descriptors."""
    try:
        return os.pidfd_open(pid)
    except (AttributeError, OSError):
        return None


def _unread(descriptor: int) -> bool:
    count = array.array("i", [0])
    fcntl.ioctl(descriptor, termios.FIONREAD, count)
    return count[0] > 0


def environment() -> dict[str, str]:
    """Our environment without our own settings, which may hold secrets."""
    return {name: value for name, value in os.environ.items() if not name.startswith(_HIDDEN)} | {
        "PYTHONIOENCODING": "utf-8"
    }


def _exit_cause(code: int | None) -> str:
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
