"""N workers of one group: started, watched, started again when they crash or hang, stopped together."""

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
from stream_scorer.service.lifeline import HUNG, READY, Line

log = logging.getLogger(__name__)

FIRST_PAUSE_S, LAST_PAUSE_S = 0.5, 30.0
STEADY_S = 30.0
"""A worker that ran for this long starts again without a pause."""
START_S = 10.0
"""For this long workers that end with an error are started again although none was ever ready."""
LOADING_S = 600.0
"""How long a worker may send nothing before it is ready: loading a model may be one long call into C."""
STOP_S = 9.0
"""Longer than the 8 s after a signal within which workers end by themselves."""
LOOK_S = 0.05


class Worker:
    """One worker: its process, which is started again and again.

    Args:
        hung_s: how long the process may send nothing once it is ready.
    """

    def __init__(self, number: int, command: Sequence[str], hung_s: float) -> None:
        self.number = number
        self._command = command
        self._hung_s = hung_s
        self._pause_s = FIRST_PAUSE_S
        self._start_at = 0.0
        self._started_at = 0.0
        self._looked_at = 0.0
        self._silent_s = 0.0
        self._ready = False
        self.was_ready = False
        """Whether any of its processes was ever ready."""
        self.process: subprocess.Popen[bytes] | None = None
        self.done: int | None = None

    def tend(self, final: Sequence[int] = (EXIT_DONE, EXIT_SETTINGS, EXIT_MODEL), *, any_error: bool = False) -> None:
        """Start the process when it is due; kill it if it hangs; note how it has ended. Does not block.

        The worker is done if its exit code is in `final`; with `any_error` also if it ended by itself, and was never ready.
        """
        now = time.monotonic()
        if self.process is None:
            if now >= self._start_at:
                self._start(now)
            return
        code = self.process.poll()
        received = self._line.received()  # after `poll`: if the process has ended, this is all it sent
        if READY in received:
            self._ready = self.was_ready = True
        if code is None:
            self._kill_if_hung(received, now)
            return
        self.process = None
        self._line.close()
        if code in final or (any_error and code > 0 and not self.was_ready):
            self.done = code
            return
        if now - self._started_at > STEADY_S:
            self._pause_s = FIRST_PAUSE_S
        log.error("worker %d ended with %d; starting it again in %.1f s", self.number, code, self._pause_s)
        self._start_at = now + self._pause_s
        self._pause_s = min(2 * self._pause_s, LAST_PAUSE_S)

    def _start(self, now: float) -> None:
        self._line = Line()
        environment = {**os.environ, **self._line.environment}
        self.process = subprocess.Popen(self._command, env=environment, pass_fds=[self._line.fd])
        self._line.handed_over()
        self._started_at = self._looked_at = now
        self._silent_s, self._ready = 0.0, False
        log.info("worker %d started, process %d", self.number, self.process.pid)

    def _kill_if_hung(self, received: bytes, now: float) -> None:
        """`received`: what the process has sent since the last call."""
        assert self.process is not None
        # 1 s at most: if this process did not run itself, nothing is known of the worker.
        self._silent_s = 0.0 if received else self._silent_s + min(now - self._looked_at, 1.0)
        self._looked_at = now
        limit_s = self._hung_s if self._ready else max(self._hung_s, LOADING_S)
        if HUNG in received or self._silent_s > limit_s:
            reason = "its step does not end" if HUNG in received else f"no sign of life for {limit_s:.0f} s"
            log.error(
                "worker %d, process %d, hangs, %s (--kafka max.poll.interval.ms): killed. Its transaction is aborted, "
                "and its records are read again",
                self.number,
                self.process.pid,
                reason,
            )
            self.process.kill()
            self._silent_s = 0.0

    def stop(self, deadline: float) -> None:
        """Wait for the process to end after a signal; kill it at `deadline`, on the monotonic clock."""
        if self.process is None:
            return
        try:
            self.process.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            log.warning("process %d did not stop in %.0f s: killed", self.process.pid, STOP_S)
            self.process.kill()
            self.process.wait()
        self.process = None
        self._line.close()


def supervise(commands: Sequence[Sequence[str]], hung_s: float = LOADING_S, *, until_end: bool = True) -> int:
    """Run one process per command until all are done or a signal comes; the exit code for the whole.

    A worker that stops because of its settings or model stops the others: it would do so again. One that crashes, hangs,
    or loses its broker is started again with growing pauses. But if no worker was ever ready, that is tried for START_S
    only: then all end, with the exit code of that worker. Blocks.

    Args:
        hung_s: a worker that sends nothing for so long is killed and started again.
        until_end: a worker may end when its input ends. False: a worker that ends was stopped from outside, and is started again.
    """
    workers = [Worker(number, command, hung_s) for number, command in enumerate(commands)]
    final = [EXIT_SETTINGS, EXIT_MODEL] + [EXIT_DONE] * until_end
    received: list[int] = []

    def on_signal(number: int, _: FrameType | None) -> None:
        received.append(number)

    handlers = {number: signal.signal(number, on_signal) for number in (signal.SIGTERM, signal.SIGINT)}
    began = time.monotonic()
    try:
        while not received:
            hopeless = time.monotonic() - began > START_S and not any(worker.was_ready for worker in workers)
            for worker in workers:
                if worker.done is None:
                    worker.tend(final, any_error=hopeless)
            failed = [worker for worker in workers if worker.done]
            if failed:
                log.error("worker %d ended with %d: ending all", failed[0].number, failed[0].done)
                _stop(workers)
                return failed[0].done or 0
            if all(worker.done == EXIT_DONE for worker in workers):
                return EXIT_DONE
            time.sleep(LOOK_S)
        _stop(workers)
        return EXIT_INTERRUPTED if received[0] == signal.SIGINT else EXIT_DONE
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def _stop(workers: Sequence[Worker]) -> None:
    running = [worker.process for worker in workers if worker.process is not None]
    log.info("stopping %d workers", len(running))
    for process in running:
        process.send_signal(signal.SIGTERM)
    deadline = time.monotonic() + STOP_S
    for worker in workers:
        worker.stop(deadline)


def worker_command(arguments: Sequence[str]) -> list[str]:
    # -P: otherwise a folder `stream_scorer` in the current directory would be taken for this package.
    return [sys.executable, "-P", "-m", "stream_scorer", "run", *arguments]
