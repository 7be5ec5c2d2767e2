"""Streams within the machine: files, data in the descriptor, and nowhere."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from stream_scorer.errors import EndOfInput, TransportError
from stream_scorer.transports.stream_ends import NothingToSettle

CHUNK = 1 << 18


class InlineFeed(NothingToSettle):
    """Records, or one piece of bytes, that the descriptor holds."""

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
    """Raises TransportError when the file cannot be opened."""

    def __init__(self, path: str, skip_to: int) -> None:
        self._path = path
        try:
            self._file = Path(path).open("rb")  # noqa: SIM115
            self._file.seek(skip_to)
        except OSError as error:
            raise _file_error(path, "read", error) from error

    def read(self, timeout_s: float) -> list[bytes]:
        try:
            chunk = self._file.read(CHUNK)
        except OSError as error:
            raise _file_error(self._path, "read", error) from error
        if not chunk:
            raise EndOfInput
        return [chunk]

    def close(self) -> None:
        self._file.close()


class FileDrain:
    """A new file; what was in it is gone. Raises TransportError when it cannot be opened."""

    def __init__(self, path: str) -> None:
        self._path = path
        try:
            self._file = Path(path).open("wb", buffering=0)  # noqa: SIM115
        except OSError as error:
            raise _file_error(path, "written", error) from error

    def write(self, pieces: Sequence[bytes]) -> None:
        data = memoryview(b"".join(pieces))
        try:
            while data:
                data = data[self._file.write(data) or 0 :]
        except (OSError, ValueError) as error:
            raise _file_error(self._path, "written", error) from error

    def finish(self, linger_s: float) -> None:
        self._file.close()

    def close(self) -> None:
        self._file.close()


def _file_error(path: str, done: str, error: Exception) -> TransportError:
    reason = error.strerror if isinstance(error, OSError) else error
    return TransportError(f"file {path!r} cannot be {done}: {reason}. The path is one of the engine's machine.")


class DiscardDrain:
    def write(self, pieces: Sequence[bytes]) -> None:
        pass

    def finish(self, linger_s: float) -> None:
        pass

    def close(self) -> None:
        pass
