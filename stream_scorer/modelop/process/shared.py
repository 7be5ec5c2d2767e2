"""Cells and pools: values that all jets of an engine share. Section [k].

At rest every value is the bytes `state.values` writes: a jet gets a value of its own, never somebody else's object.
"""

from __future__ import annotations

import contextlib
import hashlib
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from stream_scorer.modelop.process.frames import Channel, Frame
from stream_scorer.state import values

Place = tuple[str, ...]
"""("cell", name), or ("pool", name, key as `state.values` writes it, in hex)."""


class Store(Protocol):
    """Safe from any thread."""

    def get(self, place: Place) -> bytes | None: ...

    def set(self, place: Place, value: bytes) -> None: ...

    def update(self, place: Place, change: Callable[[bytes | None], bytes]) -> None:
        """Nobody sees or changes any value between the two. May be nested."""


class SharedState:
    """The `Store` of an engine. Jets in processes of their own reach it by `serve`."""

    def __init__(self) -> None:
        # One lock for all, so that updates within updates cannot wait for each other in a ring.
        self._lock = threading.RLock()
        self._values: dict[Place, bytes] = {}
        self._restored: bytes | None = None

    def get(self, place: Place) -> bytes | None:
        return self._values.get(place)

    def set(self, place: Place, value: bytes) -> None:
        with self._lock:
            self._values[place] = value

    def update(self, place: Place, change: Callable[[bytes | None], bytes]) -> None:
        with self._lock:
            self._values[place] = change(self._values.get(place))

    def clear(self) -> None:
        """As at the start of an engine."""
        with self._lock:
            self._values.clear()
            self._restored = None

    def dump(self) -> bytes:
        """All of it, as `restore` takes it."""
        with self._lock:
            return values.dump([dict(self._values)])

    def restore(self, data: bytes) -> None:
        """What `dump` gave, in place of all there is. Once: other jets restoring the same change nothing.

        Raises ValueError: not what `dump` gave.
        """
        found = _read(data)
        digest = hashlib.sha256(data).digest()
        with self._lock:
            if self._restored != digest:
                self._restored = digest
                self._values = found

    def serve(self, end: socket.socket) -> None:
        """Answer one jet until it is gone; then what it had locked is free again. Blocks."""
        channel, depth = Channel(end), 0
        with contextlib.suppress(EOFError, OSError, ValueError, KeyError):
            try:
                while True:
                    asked = channel.receive()
                    depth = self._answer(asked, channel, depth)
            finally:
                for _ in range(depth):
                    self._lock.release()
        channel.close()

    def _answer(self, asked: Frame, channel: Channel, depth: int) -> int:
        what = asked.head["do"]
        if what == "lock":
            self._lock.acquire()
            channel.send({})
            return depth + 1
        if what == "unlock":
            if depth:
                self._lock.release()
            channel.send({})
            return max(depth - 1, 0)
        place = tuple(asked.head["at"])
        if what == "set":
            self.set(place, asked.body)
            channel.send({})
        else:
            found = self.get(place)
            channel.send({"set": found is not None}, found or b"")
        return depth


class SharedClient:
    """The `Store` of a jet: an engine's, at the other end of a socket."""

    def __init__(self, end: socket.socket) -> None:
        self._channel = Channel(end)
        self._lock = threading.RLock()

    def get(self, place: Place) -> bytes | None:
        found = self._ask({"do": "get", "at": place})
        return found.body if found.head["set"] else None

    def set(self, place: Place, value: bytes) -> None:
        self._ask({"do": "set", "at": place}, value)

    def update(self, place: Place, change: Callable[[bytes | None], bytes]) -> None:
        with self._locked():
            self.set(place, change(self.get(place)))

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        with self._lock:
            self._ask({"do": "lock"})
            try:
                yield
            finally:
                self._ask({"do": "unlock"})

    def _ask(self, head: dict[str, Any], body: bytes = b"") -> Frame:
        with self._lock:
            self._channel.send(head, body)
            return self._channel.receive()


def _read(data: bytes) -> dict[Place, bytes]:
    read = values.load(data)
    if len(read) != 1 or not isinstance(read[0], dict):
        raise ValueError("not cells and pools")
    for place, value in read[0].items():
        if not (isinstance(place, tuple) and all(isinstance(part, str) for part in place) and isinstance(value, bytes)):
            raise ValueError("not cells and pools")
        values.load(value)
    return read[0]
