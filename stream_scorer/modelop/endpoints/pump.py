"""A thread that reads where reading blocks, for transports that cannot be asked with a timeout."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable, Generator

from stream_scorer.errors import EndOfInput, TransportError
from stream_scorer.modelop.endpoints.base import NothingToSettle

_AHEAD = 64
Pieces = Generator[bytes, None, None]


class PumpFeed(NothingToSettle):
    """The pieces of a generator, read ahead in a thread. What it raises of ours comes out of `read`.

    Args:
        cancel: makes the generator end; safe from another thread.
    """

    def __init__(self, pieces: Pieces, cancel: Callable[[], None]) -> None:
        self._cancel = cancel
        self._queue: queue.Queue[bytes | TransportError | None] = queue.Queue(_AHEAD)
        self._closed = threading.Event()
        self._over: TransportError | EndOfInput | None = None
        self._thread = threading.Thread(target=self._run, args=(pieces,), name="stream-pump", daemon=True)
        self._thread.start()

    def _run(self, pieces: Pieces) -> None:
        last: TransportError | None = None
        try:
            with contextlib.closing(pieces):
                for piece in pieces:
                    if not self._put(piece):
                        return
        except TransportError as error:
            last = error
        except Exception as error:  # noqa: BLE001 - a library's; the stream is to tell of it, not to fall silent
            last = TransportError(f"the stream cannot be read on: {type(error).__name__}: {error}")
        self._put(last)

    def _put(self, item: bytes | TransportError | None) -> bool:
        while not self._closed.is_set():
            try:
                self._queue.put(item, timeout=0.1)
            except queue.Full:
                continue
            return True
        return False

    def read(self, timeout_s: float) -> list[bytes]:
        if self._over is not None:
            raise self._over
        found: list[bytes] = []
        try:
            item = self._queue.get(timeout=timeout_s) if timeout_s > 0 else self._queue.get_nowait()
            while isinstance(item, bytes):
                found.append(item)
                item = self._queue.get_nowait()
        except queue.Empty:
            return found
        self._over = EndOfInput() if item is None else item
        if found:
            return found
        raise self._over

    def close(self) -> None:
        self._closed.set()
        self._cancel()
        self._thread.join(1)
