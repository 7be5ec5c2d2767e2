"""The end of a command: all that it opened is closed, and the process ends, whatever a library does then."""

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
"""For all closing together. A consumer that leaves its group waits 5 s for a broker that does not answer."""


class Closing:
    """What is open, closed in the reverse order of opening: as a context manager, or earlier by `close`.

    Each one is closed, whatever another one raises: such errors are logged.

    Args:
        ends_process: if all of it takes longer than CLOSE_S, the process ends with the text and the code of the error that
            is on its way. Else `close` blocks for as long as it takes.
    """

    def __init__(self, *, ends_process: bool = True) -> None:
        self._limit = at_most if ends_process else _unlimited
        self._open: list[tuple[str, Callable[[], object]]] = []

    def add(self, what: str, close: Callable[[], object]) -> None:
        """`what` names it in the log."""
        self._open.append((what, close))

    def close(self) -> None:
        with self._limit(CLOSE_S, sys.exception()):
            while self._open:
                what, close = self._open.pop()
                try:
                    close()
                except Exception:
                    log.warning("%s was not closed", what, exc_info=True)

    def __enter__(self) -> Closing:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


@contextlib.contextmanager
def at_most(seconds: float, error: BaseException | None = None) -> Iterator[None]:
    """If the block takes longer, the process ends in the midst of it, with the text and the exit code of `error`."""
    done = threading.Event()
    threading.Thread(target=_end_late, args=(done, seconds, error), name="ending", daemon=True).start()
    try:
        yield
    finally:
        done.set()


@contextlib.contextmanager
def _unlimited(_seconds: float, _error: BaseException | None) -> Iterator[None]:
    yield


def _end_late(done: threading.Event, seconds: float, error: BaseException | None) -> None:
    if done.wait(seconds):
        return
    if isinstance(error, Exception):
        log.error("%s", error, exc_info=None if isinstance(error, StreamScorerError) else error)
    log.warning("not all was closed after %.0f s: ending at once", seconds)
    os._exit(code_of(error))


def code_of(error: BaseException | None) -> int:
    """What a command ends with for an error."""
    if isinstance(error, StreamScorerError):
        return error.exit_code
    if isinstance(error, SystemExit):
        return int(error.code or EXIT_DONE)
    if isinstance(error, KeyboardInterrupt):
        return EXIT_INTERRUPTED
    return 1 if isinstance(error, Exception) else EXIT_DONE


def end(code: int) -> NoReturn:
    """End the process of a command that has used Kafka.

    Clients of it may be left. The interpreter would destroy them last of all, and librdkafka may wait then for
    ever, where no thread of Python can end it any more. So they end with the process, and it ends here.
    """
    with at_most(CLOSE_S, SystemExit(code)):
        atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)
