"""Jets on their way up. Records wait for them, and each waits for the others before its `begin`."""

from __future__ import annotations

import threading
from collections.abc import Callable

from stream_scorer.errors import ModelError

_LEAVE_CHECK_S = 1.0


class Starts:
    """Guarded by the lock of `changed`, which is notified when one has come further.

    What a module body and `begin` do to cells and pools must not depend on how fast a jet starts: all bodies are done
    before a snapshot is restored and before the first `begin`, and all `begin` before the next record is given to any
    jet. Jets that run already finish what they have in hand meanwhile.
    """

    def __init__(self, changed: threading.Condition) -> None:
        self._changed = changed
        self._body_done: dict[object, bool] = {}

    def __bool__(self) -> bool:
        """Whether any jet is on its way."""
        return bool(self._body_done)

    def add(self, jet: object) -> None:
        with self._changed:
            self._body_done[jet] = False

    def remove(self, jet: object) -> None:
        """It has begun, or never will."""
        with self._changed:
            self._body_done.pop(jet, None)
            self._changed.notify_all()

    def meet(self, jet: object, leave: Callable[[], bool]) -> None:
        """The body of this one is done: waits for those of the others. Raises ModelError when it should leave."""
        with self._changed:
            self._body_done[jet] = True
            self._changed.notify_all()
            while not (leave() or all(self._body_done.values())):
                self._changed.wait(_LEAVE_CHECK_S)
            if leave():
                raise ModelError("the jet is not needed any more.")
