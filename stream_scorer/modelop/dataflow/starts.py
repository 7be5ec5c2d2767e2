"""Jets that are starting: each waits for the others before its `begin`, and records wait until all have begun."""

from __future__ import annotations

import threading
from collections.abc import Callable

from stream_scorer.errors import ModelError

_LEAVE_CHECK_S = 1.0


class Starts:
    """Keeps the order of a start. Its lock is that of `changed`, which is notified at each step.

    What module bodies and `begin` do to cells and pools must not depend on how fast each jet starts. So all bodies
    return before a snapshot is restored and before the first `begin`, and every `begin` returns before any jet gets
    another record. Jets that already run finish their batch meanwhile.
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
        """The jet has begun, or will never begin. Does not raise if it is not starting."""
        with self._changed:
            self._body_done.pop(jet, None)
            self._changed.notify_all()

    def wait_for_bodies(self, jet: object, leave: Callable[[], bool]) -> None:
        """The body of this jet has returned: block until the others have. Raises ModelError if `leave` returns True."""
        with self._changed:
            self._body_done[jet] = True
            self._changed.notify_all()
            while not (leave() or all(self._body_done.values())):
                self._changed.wait(_LEAVE_CHECK_S)
            if leave():
                raise ModelError("the jet is not needed any more.")
