"""Lines of text as records: stdin to stdout, for `score`."""

from __future__ import annotations

import os
import select
from collections.abc import Mapping, Sequence
from typing import BinaryIO, TextIO

from stream_scorer.errors import EndOfInput
from stream_scorer.records import Outgoing, Partition, Record, Reject, Snapshot

_CHUNK = 1 << 16


class LinesSource:
    """The `Source` port over a file descriptor: one record a line, offsets counted from 0. Finite, not replayable."""

    def __init__(self, descriptor: int, name: str = "stdin") -> None:
        self._descriptor = descriptor
        self._partition = Partition(name, 0)
        self._rest = b""
        self._lines: list[bytes] = []
        self._offset = self._settled = 0
        self._ended = False

    def poll(self, limit: int, timeout_s: float) -> list[Record]:
        if not self._lines and not self._ended:
            self._read(timeout_s)
        if not self._lines and self._ended:
            raise EndOfInput
        taken, self._lines = self._lines[:limit], self._lines[limit:]
        first, self._offset = self._offset, self._offset + len(taken)
        return [
            Record(self._partition, offset, None, line, None, None)
            for offset, line in enumerate(taken, first)
            if line.strip()
        ]

    def _read(self, timeout_s: float) -> None:
        """What is there, without waiting for more: a line typed or piped is scored at once."""
        if not select.select([self._descriptor], [], [], timeout_s)[0]:
            return
        chunk = os.read(self._descriptor, _CHUNK)
        if not chunk:
            self._ended = True
            self._lines = [self._rest] if self._rest else []
            return
        *self._lines, self._rest = (self._rest + chunk).split(b"\n")

    def positions(self) -> Mapping[Partition, int]:
        return {self._partition: self._offset} if self._offset != self._settled else {}

    def settle(self) -> None:
        self._settled = self._offset

    def rewind(self) -> None:
        raise NotImplementedError("lines cannot be read twice")

    reload = rewind

    def close(self) -> None:
        pass


class LinesSink:
    """The `Sink` port over a stream: one score a line, flushed at every commit. Rejects go to `rejects`, a line each."""

    def __init__(self, out: BinaryIO, rejects: TextIO) -> None:
        self._out = out
        self._rejects = rejects
        self._waiting: list[bytes] = []

    def begin(self) -> None:
        self._waiting.clear()

    def send(self, outs: Sequence[Outgoing]) -> None:
        self._waiting += [out.value or b"null" for out in outs]

    def reject(self, reject: Reject) -> None:
        source = reject.source
        value = (source.value or b"").decode(errors="replace").strip()
        message = reject.message.encode(errors="backslashreplace").decode()  # JSON may carry half a surrogate pair
        self._rejects.write(
            f"{source.partition.topic}:{source.offset + 1}: {reject.stage}: {message} The line: {value[:200]}\n"
        )

    def save(self, snapshot: Snapshot) -> None:
        pass

    def commit(self, positions: Mapping[Partition, int]) -> None:
        if self._waiting:
            self._out.write(b"\n".join(self._waiting) + b"\n")
            self._waiting.clear()
        self._out.flush()
        self._rejects.flush()

    def abort(self) -> None:
        self._waiting.clear()

    reopen = abort

    def close(self) -> None:
        self._out.flush()
