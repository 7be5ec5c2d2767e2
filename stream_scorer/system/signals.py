"""SIGTERM and SIGINT end a process within 10 s, whatever it is doing."""

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

LIMIT_S = 8.0
"""From the signal to the end of the process, if the work does not finish by itself."""


class Stopping:
    """What a signal does.

    Before `call_on_stop`, the first signal raises GiveUp in the main thread. After it, the first signal calls the given
    function from the signal handler. The second signal raises GiveUp in either case.
    """

    def __init__(self, limit_s: float) -> None:
        self._longest_s = limit_s
        self._stop: Callable[[], None] | None = None
        self._received: set[int] = set()
        self.gave_up = False
        """Whether GiveUp was raised."""
        self._finished = threading.Event()

    @property
    def received(self) -> bool:
        """Whether a signal has come."""
        return bool(self._received)

    @property
    def code(self) -> int:
        """The exit code: EXIT_INTERRUPTED after a SIGINT, else EXIT_DONE."""
        return EXIT_INTERRUPTED if signal.SIGINT in self._received else EXIT_DONE

    def call_on_stop(self, stop: Callable[[], None]) -> None:
        """From now on the first signal calls `stop`, which must make the work finish within a few seconds."""
        self._stop = stop

    def finished(self) -> None:
        """The work has finished: the process need not be ended by force."""
        self._finished.set()

    def on_signal(self, number: int, _: FrameType | None) -> None:
        first = not self._received
        self._received.add(number)
        if first and self._stop is not None:
            log.info("%s: finishing the step in hand", signal.Signals(number).name)
            self._stop()
        else:
            self.gave_up = True
            raise GiveUp

    def watch(self, pipe: int) -> None:
        """Run in a thread of its own: end the process if it goes on for `limit_s` after a signal.

        The numbers of signals come through the pipe. A Python signal handler does not run before the main thread returns
        from C, which may take long.
        """
        while (number := os.read(pipe, 1)) not in (b"", bytes([signal.SIGTERM]), bytes([signal.SIGINT])):
            pass
        if not number or self._finished.wait(self._longest_s):
            os.close(pipe)  # not before: a second signal still writes into it
            return
        log.warning(
            "not stopped %.0f s after the signal: the process ends now. Records in hand are not published, and are read again.",
            self._longest_s,
        )
        os._exit(EXIT_INTERRUPTED if number[0] == signal.SIGINT else EXIT_DONE)


@contextlib.contextmanager
def stopping(limit_s: float = LIMIT_S, by: Sequence[int] = (signal.SIGTERM, signal.SIGINT)) -> Iterator[Stopping]:
    """Within the block the signals in `by` stop the work; the block then ends without an error.

    Whatever the work does, the process ends `limit_s` seconds after the first signal.
    """
    state = Stopping(limit_s)
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    threading.Thread(target=state.watch, args=(reading,), name="signals", daemon=True).start()
    before = {number: signal.signal(number, state.on_signal) for number in by}
    wakeup = signal.set_wakeup_fd(writing)
    try:
        yield state
    except GiveUp:
        log.info("stopped")
    except Exception as error:
        if not state.gave_up:
            raise
        # The work has turned GiveUp into an error of its own, as an import of C code or a model may.
        log.info("stopped: %s", error)
    finally:
        signal.set_wakeup_fd(wakeup)
        for number, handler in before.items():
            signal.signal(number, handler)
        state.finished()
        os.close(writing)
