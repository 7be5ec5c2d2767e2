"""Streams within the machine: files, data in the descriptor, and discarded outputs."""

from __future__ import annotations

import errno
import os
import stat
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from stream_scorer.errors import EndOfInput, TransportError
from stream_scorer.modelop.endpoints.base import NothingToSettle
from stream_scorer.system.polling import wait_readable, wait_writable

CHUNK = 1 << 18
_POLL_S = 0.05
"""Longest wait for the reader of a pipe: a writer notices `close` after this time."""
_FULL_S = 0.002
"""Pause while a pipe has less room than one write needs."""


class InlineFeed(NothingToSettle):
    """Records, or one piece of bytes, in the descriptor itself."""

    def __init__(self, pieces: Sequence[bytes]) -> None:
        self._pieces = list(pieces)

    def read(self, timeout_s: float) -> list[bytes]:
        if not self._pieces:
            raise EndOfInput
        taken, self._pieces = self._pieces, []
        return taken

    def close(self) -> None:
        self._pieces = []


class FileFeed(NothingToSettle):
    """A file, or a named pipe, which is at its end when its last writer closes it.

    Raises TransportError when it cannot be opened.
    """

    def __init__(self, path: str, skip_to: int) -> None:
        self._path = path
        try:
            self._file = open(path, "rb", buffering=0, opener=_open_at_once)  # noqa: SIM115
            if skip_to:
                self._file.seek(skip_to)
        except OSError as error:
            raise _file_error(path, "read", error) from error

    def read(self, timeout_s: float) -> list[bytes]:
        if not wait_readable(self._file, timeout_s):
            return []
        try:
            chunk = self._file.read(CHUNK)
        except OSError as error:
            raise _file_error(self._path, "read", error) from error
        if chunk is None:
            return []
        if not chunk:
            raise EndOfInput
        return [chunk]

    def close(self) -> None:
        self._file.close()


def _open_at_once(path: str, flags: int) -> int:
    """Open a pipe too, without waiting for its writer."""
    return os.open(path, flags | os.O_NONBLOCK)


class FileDrain:
    """A file, which is truncated, or a named pipe, which is opened when it has a reader.

    Raises TransportError when it cannot be opened.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._file: int | None = None
        self._closed = False
        self._using = threading.Lock()
        self._open()

    def write(self, pieces: Sequence[bytes]) -> None:
        data = memoryview(b"".join(pieces))
        with self._using:
            while data:
                if self._ready():
                    data = data[self._written(data) :]
                elif self._closed:
                    raise TransportError(f"file {self._path!r} is closed")

    def finish(self, linger_s: float) -> None:
        """Wait for the reader of a pipe, so that it sees the end of the stream."""
        until = time.monotonic() + linger_s
        with self._using:
            while not self._open() and not self._closed and time.monotonic() < until:
                time.sleep(_POLL_S)
        self.close()

    def close(self) -> None:
        self._closed = True
        with self._using:  # a thread in `write` leaves it within _POLL_S
            if self._file is not None:
                os.close(self._file)
                self._file = None

    def _open(self) -> bool:
        """Return False while it is a pipe without a reader."""
        if self._file is None and not self._closed:
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NONBLOCK | os.O_CLOEXEC
            try:
                self._file = os.open(self._path, flags, 0o666)
            except OSError as error:
                if error.errno == errno.ENXIO and stat.S_ISFIFO(Path(self._path).stat().st_mode):
                    return False
                raise _file_error(self._path, "written", error) from error
        return True

    def _ready(self) -> bool:
        """Wait up to _POLL_S. Return whether something can be written."""
        if self._closed:
            return False
        if not self._open():
            time.sleep(_POLL_S)
            return False
        assert self._file is not None, "it is open"
        return wait_writable(self._file, _POLL_S)

    def _written(self, data: memoryview) -> int:
        assert self._file is not None, "it is ready"
        try:
            return os.write(self._file, data)
        except BlockingIOError:  # the pipe has less room than one write needs
            time.sleep(_FULL_S)
            return 0
        except OSError as error:
            raise _file_error(self._path, "written", error) from error


def _file_error(path: str, done: str, error: OSError) -> TransportError:
    return TransportError(f"file {path!r} cannot be {done}: {error.strerror}. The path is one of the engine's machine.")


class DiscardDrain:
    """Drops everything."""

    def write(self, pieces: Sequence[bytes]) -> None:
        pass

    def finish(self, linger_s: float) -> None:
        pass

    def close(self) -> None:
        pass
