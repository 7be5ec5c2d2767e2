"""The states of an engine and the moves between them, section [h] of the norm."""

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
"""To INIT by a reset only."""


class Lifecycle:
    """The state of the engine, found from what is asked and what has happened.

    Safe from any thread. `changed` is notified after every move; its lock is the one that guards all
    data flow, so that whoever holds it sees state and data together.
    """

    def __init__(self, on_move: Callable[[str], None]) -> None:
        """`on_move` is called with each new state, in order, with the lock held: it must not wait."""
        self.changed = threading.Condition()
        self.state = INIT
        self._on_move = on_move
        self._pause_asked = False
        self._pigs = 0
        self._inputs_ended = False

    @property
    def flowing(self) -> bool:
        """Whether batches may go to jets."""
        return self.state in (RUNNING, PIGGING, FINISHING)

    @property
    def active(self) -> bool:
        """Whether there is a run that may go on."""
        return self.state in (RUNNING, PIGGING, PAUSED, FINISHING)

    def begin(self) -> None:
        """Every slot in use has a stream."""
        with self.changed:
            self._pigs, self._inputs_ended = 0, False
            self._move(PAUSED if self._pause_asked else RUNNING)
            self._settle()

    def pause(self) -> bool:
        """At once while running, after the pig while pigging, at the start in INIT. False where it is too late."""
        return self._ask_pause(True)

    def unpause(self) -> bool:
        return self._ask_pause(False)

    def pig_entered(self) -> None:
        with self.changed:
            self._pigs += 1
            self._settle()

    def pig_left(self) -> None:
        with self.changed:
            self._pigs -= 1
            self._settle()

    def inputs_ended(self, ended: bool) -> None:
        """All inputs are at EOF; or one is not any more, for it was attached anew."""
        with self.changed:
            self._inputs_ended = ended
            self._settle()

    def finished(self) -> None:
        """Outputs are at EOF too."""
        with self.changed:
            if self.state == FINISHING:
                self._move(FINISHED)

    def fail(self, tell: Callable[[], None]) -> bool:
        """To ERROR, `tell` before; False where there is no run to fail."""
        with self.changed:
            if not self.active:
                return False
            tell()
            self._move(ERROR)
            return True

    def reset(self) -> None:
        """To INIT from any state; what was asked is forgotten."""
        with self.changed:
            self._pause_asked, self._pigs, self._inputs_ended = False, 0, False
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
            elif self._inputs_ended:
                self._move(FINISHING)

    def _move(self, state: str) -> None:
        assert state in MOVES[self.state], f"{self.state} does not lead to {state}"
        self.state = state
        self._on_move(state)
        self.changed.notify_all()
