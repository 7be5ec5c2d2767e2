"""How a command exits: all that it opened is closed, and the process ends even if a library hangs."""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import sys
import threading
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import NoReturn

from stream_scorer.errors import EXIT_DONE, EXIT_INTERRUPTED, StreamScorerError

log = logging.getLogger(__name__)

CLOSE_S = 8.0
"""Limit for closing everything. A consumer that leaves its group waits 5 s for a broker that does not answer."""


class Closing:
    """Closes what was opened, in reverse order: at the end of a `with` block, or earlier by `close`.

    An error of one `close` function is logged, and the others are still called.

    Args:
        ends_process: if closing takes longer than CLOSE_S, the process ends, with the text and the exit code of the error
            being raised. False: `close` blocks as long as it takes.
    """

    def __init__(self, *, ends_process: bool = True) -> None:
        self._limit = time_limit if ends_process else _unlimited
        self._open: list[tuple[str, Callable[[], object]]] = []

    def add(self, name: str, close: Callable[[], object]) -> None:
        """`close` will be called. `name`: of the thing, for the log."""
        self._open.append((name, close))

    def close(self) -> None:
        with self._limit(CLOSE_S, sys.exception()):
            while self._open:
                name, close = self._open.pop()
                try:
                    close()
                except Exception:
                    log.warning("%s was not closed", name, exc_info=True)

    def __enter__(self) -> Closing:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


@contextlib.contextmanager
def time_limit(seconds: float, error: BaseException | None = None) -> Iterator[None]:
    """If the block takes longer than `seconds`, end the process: log `error`, exit with its code."""
    done = threading.Event()
    threading.Thread(target=_exit_when_late, args=(done, seconds, error), name="exit", daemon=True).start()
    try:
        yield
    finally:
        done.set()


@contextlib.contextmanager
def _unlimited(_seconds: float, _error: BaseException | None) -> Iterator[None]:
    yield


def _exit_when_late(done: threading.Event, seconds: float, error: BaseException | None) -> None:
    if done.wait(seconds):
        return
    if isinstance(error, Exception):
        log.error("%s", error, exc_info=None if isinstance(error, StreamScorerError) else error)
    log.warning("not everything was closed after %.0f s: the process ends now", seconds)
    os._exit(exit_code_of(error))


def exit_code_of(error: BaseException | None) -> int:
    """The exit code of a command for an error; EXIT_DONE without one."""
    if isinstance(error, StreamScorerError):
        return error.exit_code
    if isinstance(error, SystemExit):
        return int(error.code or EXIT_DONE)
    if isinstance(error, KeyboardInterrupt):
        return EXIT_INTERRUPTED
    return 1 if isinstance(error, Exception) else EXIT_DONE


def exit_process(code: int) -> NoReturn:
    """End the process of a command that has used Kafka, after its exit functions and with its output flushed.

    Some clients may still be open. The interpreter would destroy them at the very end, where librdkafka may wait
    forever and no Python thread can stop it. So the process ends here, and the clients end with it.
    """
    with time_limit(CLOSE_S, SystemExit(code)):
        atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)
