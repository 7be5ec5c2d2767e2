"""Streams of programs: an input reads what the program prints, an output writes to its standard input."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Sequence

from stream_scorer.errors import EndOfInput, TransportError
from stream_scorer.modelop.endpoints.base import NothingToSettle
from stream_scorer.system.polling import wait_readable

_CHUNK = 1 << 16
_EXIT_S = 3.0
"""How long a program that has closed its output may take to exit."""


def _start(command: list[str], **pipes: int) -> subprocess.Popen[bytes]:
    try:
        # A process group of its own: what the program has started is killed with it.
        return subprocess.Popen(command, bufsize=0, start_new_session=True, **pipes)  # type: ignore[call-overload, no-any-return]
    except OSError as error:
        raise TransportError(
            f"exec {command[0]!r} cannot be started: {error.strerror}. The path is one of the engine's machine."
        ) from error


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _check(process: subprocess.Popen[bytes], code: int) -> None:
    if code:
        cause = f"was ended by signal {-code}" if code < 0 else f"ended with status {code}"
        raise TransportError(f"exec {process.args[0]!r} {cause}. What it says of it is on the engine's stderr.")  # type: ignore[index]


class ExecFeed(NothingToSettle):
    """Raises TransportError when the program cannot be started, or ends with a status other than 0."""

    def __init__(self, command: list[str]) -> None:
        self._process = _start(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        assert self._process.stdout is not None
        self._out = self._process.stdout

    def read(self, timeout_s: float) -> list[bytes]:
        if not wait_readable(self._out, timeout_s):
            return []
        data = os.read(self._out.fileno(), _CHUNK)
        if data:
            return [data]
        try:
            code = self._process.wait(_EXIT_S)
        except subprocess.TimeoutExpired:
            raise EndOfInput from None  # it has closed its output and still runs
        _check(self._process, code)
        raise EndOfInput

    def close(self) -> None:
        _stop(self._process)
        self._out.close()


class ExecDrain:
    """Raises TransportError when the program cannot be started, does not read, or ends with a status other than 0."""

    def __init__(self, command: list[str]) -> None:
        self._process = _start(command, stdin=subprocess.PIPE)
        assert self._process.stdin is not None
        self._in = self._process.stdin

    def write(self, pieces: Sequence[bytes]) -> None:
        data = memoryview(b"".join(pieces))
        try:
            while data:
                data = data[self._in.write(data) or 0 :]
        except (OSError, ValueError) as error:
            raise TransportError(f"exec {self._process.args[0]!r} does not read its input: {error}") from error  # type: ignore[index]

    def finish(self, linger_s: float) -> None:
        self._in.close()
        try:
            code = self._process.wait(linger_s)
        except subprocess.TimeoutExpired:
            return  # its input is complete; `close` kills it
        _check(self._process, code)

    def close(self) -> None:
        _stop(self._process)
        self._in.close()
