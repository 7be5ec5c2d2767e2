"""The events of an engine, handed to a listener in order by a thread of its own."""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
from collections.abc import Callable
from typing import Any

log = logging.getLogger(__name__)

Event = dict[str, Any]
MAX_WAITING, MAX_WAITING_CHARACTERS = 10_000, 16 << 20
CLOSE_S = 5.0
WARNING, ERROR = 16, 8
"""Levels of `log` events (rule `h.pneumo`)."""


class Events:
    """Safe from any thread. No method but `close` blocks: a caller may hold a lock that the listener waits for.

    If MAX_WAITING events wait for the listener, or MAX_WAITING_CHARACTERS in their texts, further ones are dropped, and a
    log event says how many.
    """

    def __init__(self, listener: Callable[[Event], None]) -> None:
        self._listener = listener
        self._waiting: queue.Queue[Event | None] = queue.Queue(MAX_WAITING)
        self._dropped = 0
        self._characters = 0  # of the events that wait
        self._counting = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="events", daemon=True)
        self._thread.start()

    def emit(self, event: Event) -> None:
        size = _characters(event)
        with self._counting:
            if self._characters + size > MAX_WAITING_CHARACTERS:
                self._dropped += 1
                return
            try:
                self._waiting.put_nowait(event)
            except queue.Full:
                self._dropped += 1
            else:
                self._characters += size

    def state(self, state: str) -> None:
        self.emit({"type": "engine-state", "state": state})

    def config(self, item: str, op: str, ref: Any = None) -> None:
        """`item` is model, stream or jet; `ref` is the slot of a stream or the sandbox of a jet."""
        self.emit({"type": "engine-config", "item": item, "op": op} | ({} if ref is None else {"ref": ref}))

    def console(self, text: str) -> None:
        self.emit({"type": "model-console", "text": text})

    def log(self, level: int, text: str) -> None:
        self.emit({"type": "log", "level": level, "text": text})

    def close(self) -> None:
        """Hand on what waits. Blocks until that is done, for at most twice CLOSE_S."""
        with contextlib.suppress(queue.Full):
            self._waiting.put(None, timeout=CLOSE_S)
        self._thread.join(CLOSE_S)

    def _run(self) -> None:
        while (event := self._waiting.get()) is not None:
            with self._counting:
                self._characters -= _characters(event)
            self._hand_on(event)
            if self._waiting.empty():
                self._tell_dropped()
        self._tell_dropped()

    def _tell_dropped(self) -> None:
        with self._counting:
            dropped, self._dropped = self._dropped, 0
        if dropped:
            self._hand_on({"type": "log", "level": WARNING, "text": f"{dropped} events were dropped: too many came"})

    def _hand_on(self, event: Event) -> None:
        try:
            self._listener(event)
        except Exception:  # a listener that fails must still get the next event
            log.exception("the listener of events failed on %s", event.get("type"))


def _characters(event: Event) -> int:
    """How long the texts of an event are: of all that it has, only they can be long."""
    return sum(len(value) for value in event.values() if isinstance(value, str))
