"""The states of an engine and the moves between them (rule `h.states`)."""

from __future__ import annotations

import threading
from collections.abc import Callable

INIT, RUNNING, PIGGING, PAUSED = "init", "running", "pigging", "paused"
FINISHING, FINISHED, ERROR = "finishing", "finished", "error"
MOVES = {
    INIT: {RUNNING, PAUSED},
    RUNNING: {PIGGING, PAUSED, FINISHING, ERROR, INIT},
    PIGGING: {RUNNING, ERROR, INIT},
    PAUSED: {RUNNING, ERROR, INIT},
    FINISHING: {FINISHED, ERROR, INIT},
    FINISHED: {INIT},
    ERROR: {INIT},
}
"""The states that each state may move to; to INIT by a reset only."""


class Lifecycle:
    """The state of the engine, derived from what clients ask and what has happened.

    Safe from any thread; no method blocks. `changed` is notified after every move. Its lock is the one lock of the
    dataflow, so that a thread that holds it sees state and data of one moment.
    """

    def __init__(self, on_move: Callable[[str], None]) -> None:
        """`on_move` is called with each new state, in order, with the lock held: it must not block."""
        self.changed = threading.Condition()
        self.state = INIT
        self._on_move = on_move
        self._pause_asked = False
        self._pigs = 0
        self._inputs_at_eof = False

    @property
    def flowing(self) -> bool:
        """Whether batches may go to jets."""
        return self.state in (RUNNING, PIGGING, FINISHING)

    @property
    def active(self) -> bool:
        """Whether there is a run, and it can go on."""
        return self.state in (RUNNING, PIGGING, PAUSED, FINISHING)

    def begin(self) -> None:
        """Begin a run: every slot in use has a stream."""
        with self.changed:
            self._pigs, self._inputs_at_eof = 0, False
            self._move(PAUSED if self._pause_asked else RUNNING)
            self._settle()

    def pause(self) -> bool:
        """Pause: at once while running, behind the pig while pigging, from the start in INIT. Return False if it is too late."""
        return self._ask_pause(True)

    def unpause(self) -> bool:
        """Return False if it is too late."""
        return self._ask_pause(False)

    def pig_entered(self) -> None:
        """A pig has been read from an input."""
        with self.changed:
            self._pigs += 1
            self._settle()

    def pig_left(self) -> None:
        """A pig is at all outputs, or dropped."""
        with self.changed:
            self._pigs -= 1
            self._settle()

    def inputs_at_eof(self, at_eof: bool) -> None:
        """Say whether all inputs are at the end of their streams."""
        with self.changed:
            self._inputs_at_eof = at_eof
            self._settle()

    def finished(self) -> None:
        """All outputs are at the end of their streams, too."""
        with self.changed:
            if self.state == FINISHING:
                self._move(FINISHED)

    def fail(self, report: Callable[[], None]) -> bool:
        """Call `report` and move to ERROR. Return False if no run can fail."""
        with self.changed:
            if not self.active:
                return False
            report()
            self._move(ERROR)
            return True

    def reset(self) -> None:
        """Move to INIT from any state, and forget what clients have asked."""
        with self.changed:
            self._pause_asked, self._pigs, self._inputs_at_eof = False, 0, False
            if self.state != INIT:
                self._move(INIT)

    def _ask_pause(self, asked: bool) -> bool:
        with self.changed:
            if self.state in (FINISHING, FINISHED, ERROR):
                return False
            self._pause_asked = asked
            self._settle()
            return True

    def _settle(self) -> None:
        if self.state == PAUSED and not self._pause_asked:
            self._move(RUNNING)
        if self.state == PIGGING and not self._pigs:
            self._move(RUNNING)
        if self.state == RUNNING:
            if self._pigs:
                self._move(PIGGING)
            elif self._pause_asked:
                self._move(PAUSED)
            elif self._inputs_at_eof:
                self._move(FINISHING)

    def _move(self, state: str) -> None:
        assert state in MOVES[self.state], f"{self.state} does not lead to {state}"
        self.state = state
        self._on_move(state)
        self.changed.notify_all()
