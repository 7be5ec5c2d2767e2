"""N workers of one group: started, watched, restarted when they crash, stopped together."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from types import FrameType

from stream_scorer.errors import EXIT_DONE, EXIT_INTERRUPTED, EXIT_MODEL, EXIT_SETTINGS

log = logging.getLogger(__name__)

WORKER_VARIABLE = "STREAM_SCORER_WORKER"
FIRST_PAUSE_S, LAST_PAUSE_S = 0.5, 30.0
STEADY_S = 30.0
"""A worker that lived so long starts again without a pause."""
STOP_S = 20.0


class Worker:
    def __init__(self, number: int, command: Sequence[str]) -> None:
        self.number = number
        self._command = command
        self._pause_s = FIRST_PAUSE_S
        self._start_at = 0.0
        self._started_at = 0.0
        self.process: subprocess.Popen[bytes] | None = None
        self.done: int | None = None

    def tend(self) -> None:
        """Start it when it is due; see whether it has ended, and how."""
        now = time.monotonic()
        if self.process is None:
            if now >= self._start_at:
                self.process = subprocess.Popen(self._command, env={**os.environ, WORKER_VARIABLE: "1"})
                self._started_at = now
                log.info("worker %d started, process %d", self.number, self.process.pid)
            return
        code = self.process.poll()
        if code is None:
            return
        self.process = None
        if code in (EXIT_DONE, EXIT_SETTINGS, EXIT_MODEL):
            self.done = code
            return
        if now - self._started_at > STEADY_S:
            self._pause_s = FIRST_PAUSE_S
        log.error("worker %d ended with %d; starting it again in %.1f s", self.number, code, self._pause_s)
        self._start_at = now + self._pause_s
        self._pause_s = min(2 * self._pause_s, LAST_PAUSE_S)


def supervise(commands: Sequence[Sequence[str]]) -> int:
    """Run one process per command until all are done or a signal comes; the exit code for the whole.

    A worker that stops for its settings or model stops the others: it would do so again. One that
    crashes, or loses its broker, is started again with growing pauses.
    """
    workers = [Worker(number, command) for number, command in enumerate(commands)]
    came: list[int] = []

    def on_signal(number: int, _: FrameType | None) -> None:
        came.append(number)

    before = {number: signal.signal(number, on_signal) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        while not came:
            for worker in workers:
                if worker.done is None:
                    worker.tend()
            failed = [worker.done for worker in workers if worker.done]
            if failed:
                _stop(workers)
                return failed[0]
            if all(worker.done == EXIT_DONE for worker in workers):
                return EXIT_DONE
            time.sleep(0.05)
        _stop(workers)
        return EXIT_INTERRUPTED if came[0] == signal.SIGINT else EXIT_DONE
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _stop(workers: Sequence[Worker]) -> None:
    living = [worker.process for worker in workers if worker.process is not None]
    log.info("stopping %d workers", len(living))
    for process in living:
        process.send_signal(signal.SIGTERM)
    deadline = time.monotonic() + STOP_S
    for process in living:
        try:
            process.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            log.warning("process %d did not stop in %.0f s: killed", process.pid, STOP_S)
            process.kill()
            process.wait()


def worker_command(arguments: Sequence[str]) -> list[str]:
    return [sys.executable, "-m", "stream_scorer", "run", *arguments]


def is_worker() -> bool:
    """Whether this process was started by a supervisor."""
    return bool(os.environ.get(WORKER_VARIABLE))
