"""Transports over open file descriptors: stdin and stdout of `score`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import BinaryIO

from stream_scorer.errors import EndOfInput
from stream_scorer.modelop.endpoints.base import NothingToSettle
from stream_scorer.system.polling import wait_readable

_CHUNK = 1 << 16


class LinesFeed(NothingToSettle):
    """The `Feed` of a descriptor that stays open. It returns what has come, and does not wait for more."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def read(self, timeout_s: float) -> list[bytes]:
        if not wait_readable(self._descriptor, timeout_s):
            return []
        chunk = os.read(self._descriptor, _CHUNK)
        if not chunk:
            raise EndOfInput
        return [chunk]

    def close(self) -> None:
        pass


class LinesDrain:
    """The `Drain` of a file that stays open."""

    def __init__(self, out: BinaryIO) -> None:
        self._out = out

    def write(self, pieces: Sequence[bytes]) -> None:
        self._out.write(b"".join(pieces))
        self._out.flush()

    def finish(self, linger_s: float) -> None:
        self._out.flush()

    def close(self) -> None:
        pass
