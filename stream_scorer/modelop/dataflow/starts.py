"""Jets that are starting. Records wait until all have begun, and each jet waits for the others before its `begin`."""

from __future__ import annotations

import threading
from collections.abc import Callable

from stream_scorer.errors import ModelError

_LEAVE_CHECK_S = 1.0


class Starts:
    """The order of a start. The lock of `changed` guards it, and `changed` is notified at each step.

    What module bodies and `begin` do to cells and pools must not depend on how fast each jet starts. So all bodies end
    before a snapshot is restored and before the first `begin`; and every `begin` ends before any jet is given the next
    record. Jets that already run finish the batch in hand meanwhile.
    """

    def __init__(self, changed: threading.Condition) -> None:
        self._changed = changed
        self._body_done: dict[object, bool] = {}

    def __bool__(self) -> bool:
        """Whether any jet is starting."""
        return bool(self._body_done)

    def add(self, jet: object) -> None:
        with self._changed:
            self._body_done[jet] = False

    def remove(self, jet: object) -> None:
        """The jet has begun, or will never begin."""
        with self._changed:
            self._body_done.pop(jet, None)
            self._changed.notify_all()

    def meet(self, jet: object, leave: Callable[[], bool]) -> None:
        """The body of this jet is done: blocks until those of the others are. Raises ModelError if `leave` says so."""
        with self._changed:
            self._body_done[jet] = True
            self._changed.notify_all()
            while not (leave() or all(self._body_done.values())):
                self._changed.wait(_LEAVE_CHECK_S)
            if leave():
                raise ModelError("the jet is not needed any more.")
