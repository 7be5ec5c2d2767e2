"""Reads a transport in a thread of its own, for transports that can only be read without a timeout."""

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
    """The pieces of a generator, read ahead in a thread. `read` raises the errors of the generator.

    Args:
        cancel: unblocks the generator, so that it ends; called from another thread.
    """

    def __init__(self, pieces: Pieces, cancel: Callable[[], None]) -> None:
        self._cancel = cancel
        self._queue: queue.Queue[bytes | TransportError | None] = queue.Queue(_AHEAD)
        self._closed = threading.Event()
        self._last: TransportError | EndOfInput | None = None  # what `read` raises from now on
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
        except Exception as error:  # noqa: BLE001 - of a library: the stream has to fail, not to stop in silence
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
        if self._last is not None:
            raise self._last
        pieces: list[bytes] = []
        try:
            item = self._queue.get(timeout=timeout_s) if timeout_s > 0 else self._queue.get_nowait()
            while isinstance(item, bytes):
                pieces.append(item)
                item = self._queue.get_nowait()
        except queue.Empty:
            return pieces
        self._last = EndOfInput() if item is None else item
        if pieces:
            return pieces
        raise self._last

    def close(self) -> None:
        self._closed.set()
        self._cancel()
        self._thread.join(1)
