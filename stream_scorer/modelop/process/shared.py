"""Cells and pools: values that all jets of an engine share (rule `k.shared`).

A stored value is the bytes that `state.values` writes, so that no two jets hold the same object.
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
    """Values by place. Safe from any thread. Blocks while another jet is in `update`."""

    def get(self, place: Place) -> bytes | None:
        """Return the value; None if it is not set."""

    def set(self, place: Place, value: bytes) -> None: ...

    def update(self, place: Place, change: Callable[[bytes | None], bytes]) -> None:
        """Set the value to `change(value)`. Nobody changes any value meanwhile. `change` may call `update`."""


class SharedState:
    """The `Store` of an engine. Jets, which are processes of their own, reach it through `serve`."""

    def __init__(self) -> None:
        # One lock for all values, so that nested updates cannot deadlock.
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
        """Remove all values, as at the start of an engine."""
        with self._lock:
            self._values.clear()
            self._restored = None

    def dump(self) -> bytes:
        """Return all values, in the form that `restore` takes."""
        with self._lock:
            return values.dump([dict(self._values)])

    def restore(self, data: bytes) -> None:
        """Replace all values by those of a dump. If several jets restore the same dump, only the first does.

        Raises ValueError: it is not a dump. The values themselves are not read: see `check_dump`.
        """
        restored = _read(data)
        digest = hashlib.sha256(data).digest()
        with self._lock:
            if self._restored != digest:
                self._restored = digest
                self._values = restored

    def serve(self, connection: socket.socket) -> None:
        """Answer one jet until it is gone, then release what it had locked. Blocks; a thread for each jet."""
        channel, depth = Channel(connection), 0
        # KeyError and TypeError: a model has written to a descriptor that it does not know.
        with contextlib.closing(channel), contextlib.suppress(EOFError, OSError, ValueError, KeyError, TypeError):
            try:
                while True:
                    request = channel.receive()
                    depth = self._answer(request, channel, depth)
            finally:
                for _ in range(depth):
                    self._lock.release()

    def _answer(self, request: Frame, channel: Channel, depth: int) -> int:
        operation = request.head["do"]
        if operation == "lock":
            self._lock.acquire()
            channel.send({})
            return depth + 1
        if operation == "unlock":
            if depth:
                self._lock.release()
            channel.send({})
            return max(depth - 1, 0)
        place = tuple(request.head["at"])
        if operation == "set":
            self.set(place, request.body)
            channel.send({})
        else:
            value = self.get(place)
            channel.send({"set": value is not None}, value or b"")
        return depth


class SharedClient:
    """The `Store` of a jet, which is the engine's, reached through a socket."""

    def __init__(self, connection: socket.socket) -> None:
        self._channel = Channel(connection)
        self._lock = threading.RLock()

    def get(self, place: Place) -> bytes | None:
        answer = self._ask({"do": "get", "at": place})
        return answer.body if answer.head["set"] else None

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
    return read[0]


def check_dump(data: bytes) -> None:
    """Read a dump with all its values, as jets will. Raises ValueError: it is not a dump."""
    for place, value in _read(data).items():
        if len(values.load(value)) != 1 or place[:1] not in (("cell",), ("pool",)):
            raise ValueError("not cells and pools")
        if place[0] == "pool":
            values.load(bytes.fromhex(place[2]) if len(place) == 3 else b"broken")
