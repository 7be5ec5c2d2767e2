"""REST streams: a queue between the engine's REST API and the model. Safe from any thread."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence

from stream_scorer.errors import EndOfInput, TransportError, Unavailable
from stream_scorer.modelop.endpoints.base import NothingToSettle

MAX_BYTES = 64 << 20
MAX_PIECES = 1_000_000
"""Limits of what waits in one stream."""
POST_TIMEOUT_S = 10.0
_AT_ONCE = 10_000


class _Queue:
    """Pieces, limited by MAX_BYTES and MAX_PIECES. A piece that is larger than MAX_BYTES waits alone."""

    def __init__(self) -> None:
        self._pieces: deque[bytes] = deque()
        self._bytes = 0
        self._changed = threading.Condition()
        self.finished = False
        self.closed = False

    def put(self, pieces: Sequence[bytes], timeout_s: float | None) -> bool:
        """Return whether all pieces went in within `timeout_s` (None: wait for ever). Raises TransportError after `close`."""
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        with self._changed:
            for piece in pieces:
                if not self._wait_until(lambda piece=piece: self._room(len(piece)), deadline):  # type: ignore[misc]
                    return False
                if self.closed:
                    raise TransportError("the REST stream is closed")
                self._pieces.append(piece)
                self._bytes += len(piece)
            self._changed.notify_all()
        return True

    def take(self, most: int, timeout_s: float) -> list[bytes]:
        """Return up to `most` pieces; [] if none came in time. Raises EndOfInput: nothing is left and nothing will come."""
        with self._changed:
            self._wait_until(lambda: bool(self._pieces) or self.finished, time.monotonic() + timeout_s)
            if not self._pieces and (self.finished or self.closed):
                raise EndOfInput
            taken = [self._pieces.popleft() for _ in range(min(most, len(self._pieces)))]
            self._bytes -= sum(map(len, taken))
            self._changed.notify_all()
            return taken

    def _room(self, size: int) -> bool:
        return not self._pieces or (self._bytes + size <= MAX_BYTES and len(self._pieces) < MAX_PIECES)

    def _wait_until(self, holds: Callable[[], bool], deadline: float | None) -> bool:
        while not (holds() or self.closed):
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                return False
            self._changed.notify_all()
            self._changed.wait(left)
        return True

    def finish(self) -> None:
        with self._changed:
            self.finished = True
            self._changed.notify_all()

    def close(self) -> None:
        with self._changed:
            self.closed = True
            self._pieces.clear()
            self._changed.notify_all()


class RestFeed(NothingToSettle):
    """What clients post. It is at its end when a client posts an `end` control record."""

    def __init__(self) -> None:
        self._queue = _Queue()

    def post(self, body: bytes) -> None:
        """Blocks up to POST_TIMEOUT_S while the queue is full. Raises Unavailable if it stays full, TransportError."""
        if not self._queue.put([body], POST_TIMEOUT_S):
            raise Unavailable(
                f"the input is full: {MAX_BYTES >> 20} MB or {MAX_PIECES:,} records wait for the model. Send slower, "
                "or read the output, if that is a REST stream too."
            )

    def read(self, timeout_s: float) -> list[bytes]:
        return self._queue.take(_AT_ONCE, timeout_s)

    def close(self) -> None:
        self._queue.close()


class RestDrain:
    """What clients fetch: one record at a time in simple mode, all waiting bytes in chunked mode."""

    def __init__(self, *, chunked: bool) -> None:
        self._queue = _Queue()
        self._chunked = chunked

    def write(self, pieces: Sequence[bytes]) -> None:
        self._queue.put(pieces, None)

    def take(self, timeout_s: float) -> bytes | None:
        """Return None if nothing came within `timeout_s`. Raises EndOfInput."""
        taken = self._queue.take(MAX_PIECES if self._chunked else 1, timeout_s)
        return b"".join(taken) if taken else None

    def finish(self, linger_s: float) -> None:
        """What is written stays available to clients, without a time limit."""
        self._queue.finish()

    def close(self) -> None:
        self._queue.close()
