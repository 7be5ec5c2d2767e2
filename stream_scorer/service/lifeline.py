"""The line between a supervisor and one of its workers: the worker beats on it, and its end says who is gone."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import threading
from collections.abc import Callable

log = logging.getLogger(__name__)

VARIABLE = "STREAM_SCORER_WORKER"
"""Tells a process that it is a worker, and the descriptor of its end of the line."""
BEAT_S = 1.0
BEAT, READY, HUNG = b".", b"r", b"h"


class Line:
    """The supervisor's end. The other one is for the process that is started with `fd` and `environment`."""

    def __init__(self) -> None:
        self._mine, self._theirs = socket.socketpair()
        self._mine.setblocking(False)

    @property
    def fd(self) -> int:
        return self._theirs.fileno()

    @property
    def environment(self) -> dict[str, str]:
        return {VARIABLE: str(self.fd)}

    def handed_over(self) -> None:
        """The process has been started: its end is its own."""
        self._theirs.close()

    def heard(self) -> bytes:
        """What the worker has told since the last call: BEAT, READY and HUNG, or nothing."""
        try:
            return self._mine.recv(4096)
        except OSError:  # nothing now, or the worker is gone
            return b""

    def close(self) -> None:
        self._mine.close()


class Lifeline:
    """The worker's end. It beats every second, from a thread of its own, or tells that the worker hangs.

    It stops the worker, as SIGTERM does, when the supervisor is gone. Ctrl-C is left to the supervisor: a terminal
    gives it to all of its processes, and the supervisor stops its workers.
    """

    def __init__(self, fd: int) -> None:
        os.set_inheritable(fd, False)
        self._socket = socket.socket(fileno=fd)
        self._socket.settimeout(BEAT_S)
        self._well: Callable[[], bool] = lambda: True
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        threading.Thread(target=self._beat, name="lifeline", daemon=True).start()

    @classmethod
    def taken(cls) -> Lifeline | None:
        """Of this process, if a supervisor started it. To be called once: what this process starts is no worker."""
        fd = os.environ.pop(VARIABLE, "")
        return cls(int(fd)) if fd else None

    def ready(self, well: Callable[[], bool]) -> None:
        """The worker has started: from now on it hangs unless `well()`, which is asked from another thread."""
        self._well = well
        self._send(READY)

    def _beat(self) -> None:
        while True:
            self._send(BEAT if self._well() else HUNG)
            try:
                if not self._socket.recv(1):
                    break
            except TimeoutError:
                continue
            except OSError:
                break
        os.kill(os.getpid(), signal.SIGTERM)  # first: nobody may read the log any more
        log.error("the supervisor is gone: stopping")

    def _send(self, told: bytes) -> None:
        with contextlib.suppress(OSError):  # it does not read, or is gone: `recv` says so
            self._socket.send(told)
