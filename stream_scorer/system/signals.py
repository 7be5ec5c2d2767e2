"""SIGTERM and SIGINT: a worker ends within 10 s, whatever it is doing."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from types import FrameType

from stream_scorer.errors import EXIT_DONE, EXIT_INTERRUPTED, GiveUp

log = logging.getLogger(__name__)

LONGEST_S = 8.0
"""From the signal to the end of the process, if what it is doing does not end by itself."""


class Stopping:
    """What is to happen when a signal comes.

    Before `stops` is called, and at the second signal, GiveUp is raised in the main thread. After it, the given
    function is called, once, from the signal handler.
    """

    def __init__(self, longest_s: float) -> None:
        self._longest_s = longest_s
        self._stop: Callable[[], None] | None = None
        self._came: set[int] = set()
        self.gave_up = False
        """Whether GiveUp was raised."""
        self._ended = threading.Event()

    @property
    def came(self) -> bool:
        """Whether any signal has come."""
        return bool(self._came)

    @property
    def code(self) -> int:
        """The exit code: EXIT_INTERRUPTED after a SIGINT, else EXIT_DONE."""
        return EXIT_INTERRUPTED if signal.SIGINT in self._came else EXIT_DONE

    def stops(self, stop: Callable[[], None]) -> None:
        """From now on a signal calls `stop`, which is to end what runs within a few seconds."""
        self._stop = stop

    def ended(self) -> None:
        """What a signal was to end has ended."""
        self._ended.set()

    def on_signal(self, number: int, _: FrameType | None) -> None:
        first = not self._came
        self._came.add(number)
        if first and self._stop is not None:
            log.info("%s: finishing the step in hand", signal.Signals(number).name)
            self._stop()
        else:
            self.gave_up = True
            raise GiveUp

    def watch(self, pipe: int) -> None:
        """In a thread of its own: end the process if a signal does not. Numbers of signals come through the pipe.

        A signal handler of Python waits until the main thread comes back from C, which may take long.
        """
        while (number := os.read(pipe, 1)) not in (b"", bytes([signal.SIGTERM]), bytes([signal.SIGINT])):
            pass
        if not number or self._ended.wait(self._longest_s):
            os.close(pipe)  # not before: a second signal still writes into it
            return
        log.warning(
            "not stopped %.0f s after the signal: ending at once. What was in hand was not published, and comes again.",
            self._longest_s,
        )
        os._exit(EXIT_INTERRUPTED if number[0] == signal.SIGINT else EXIT_DONE)


@contextlib.contextmanager
def stopping(longest_s: float = LONGEST_S, by: Sequence[int] = (signal.SIGTERM, signal.SIGINT)) -> Iterator[Stopping]:
    """Within the block SIGTERM and SIGINT, or those of them in `by`, end what runs; the block ends quietly when they do."""
    found = Stopping(longest_s)
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    threading.Thread(target=found.watch, args=(reading,), name="signals", daemon=True).start()
    before = {number: signal.signal(number, found.on_signal) for number in by}
    wakeup = signal.set_wakeup_fd(writing)
    try:
        yield found
    except GiveUp:
        log.info("stopped")
    except Exception as error:
        if not found.gave_up:
            raise
        # What was going on has made it an error of its own: an import of C code, a model.
        log.info("stopped: %s", error)
    finally:
        signal.set_wakeup_fd(wakeup)
        for number, handler in before.items():
            signal.signal(number, handler)
        found.ended()
        os.close(writing)
