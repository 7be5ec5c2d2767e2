"""A pair of sockets between a supervisor and one worker: the worker sends beats, and its end shows that the other is gone."""

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
"""Environment variable of a worker: the descriptor of its end of the line."""
BEAT_S = 1.0
BEAT, READY, HUNG = b".", b"r", b"h"


class Line:
    """The supervisor's end. The other end is for the process that is started with `fd` and `environment`."""

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
        """The process was started: close its end here."""
        self._theirs.close()

    def received(self) -> bytes:
        """What the worker has sent since the last call: BEAT, READY and HUNG, or nothing. Does not block."""
        try:
            return self._mine.recv(4096)
        except OSError:  # nothing now, or the worker is gone
            return b""

    def close(self) -> None:
        self._mine.close()


class Lifeline:
    """The worker's end. A thread of its own sends a beat every second, or HUNG if the worker hangs.

    When the supervisor is gone, it stops the worker by SIGTERM. Ctrl-C is left to the supervisor: a terminal sends it to
    all of its processes, and the supervisor stops its workers.
    """

    def __init__(self, fd: int) -> None:
        os.set_inheritable(fd, False)
        self._socket = socket.socket(fileno=fd)
        self._socket.settimeout(BEAT_S)
        self._is_well: Callable[[], bool] = lambda: True
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        threading.Thread(target=self._beat, name="lifeline", daemon=True).start()

    @classmethod
    def taken(cls) -> Lifeline | None:
        """The line of this process if a supervisor started it. Call it once: processes started from here are no workers."""
        fd = os.environ.pop(VARIABLE, "")
        return cls(int(fd)) if fd else None

    def ready(self, is_well: Callable[[], bool]) -> None:
        """The worker has started. From now on it hangs unless `is_well()`, which is called from another thread."""
        self._is_well = is_well
        self._send(READY)

    def _beat(self) -> None:
        while True:
            self._send(BEAT if self._is_well() else HUNG)
            try:
                if not self._socket.recv(1):
                    break
            except TimeoutError:
                continue
            except OSError:
                break
        os.kill(os.getpid(), signal.SIGTERM)  # first: there may be no reader of the log any more
        log.error("the supervisor is gone: stopping")

    def _send(self, message: bytes) -> None:
        with contextlib.suppress(OSError):  # the supervisor does not read, or is gone: `recv` says so
            self._socket.send(message)
