"""Lines of text as records: stdin to stdout, for `score`."""

from __future__ import annotations

import os
import select
from collections.abc import Callable, Mapping, Sequence
from typing import BinaryIO, TextIO

from stream_scorer.errors import EndOfInput
from stream_scorer.records import Control, Outgoing, Partition, Record, Reject, Snapshot
from stream_scorer.transports.stream_ends import NothingToSettle

_CHUNK = 1 << 16
_MARK = b"$fastscore"


class LinesSource:
    """The `Source` port over a file descriptor: one record a line, offsets counted from 0. Finite, not replayable.

    Control records are obeyed, as in a ModelOp stream of JSON: "end" ends the input, "set" cuts a batch, "pig"
    is handed to `pig` once all before it has been committed. `control` tells them from data.
    """

    def __init__(
        self,
        descriptor: int,
        name: str = "stdin",
        control: Callable[[bytes], Control | None] = lambda _: None,
        pig: Callable[[Control], None] = lambda _: None,
    ) -> None:
        self._descriptor = descriptor
        self._control, self._pig = control, pig
        self._marked = False  # a control record may be among the lines
        self._partition = Partition(name, 0)
        self._rest = b""
        self._lines: list[bytes] = []
        self._offset = self._settled = 0
        self._ended = False

    def poll(self, limit: int, timeout_s: float) -> list[Record]:
        if not self._lines and not self._ended:
            self._read(timeout_s)
        if self._marked:
            limit = self._before_control(limit)
        if not self._lines and self._ended:
            raise EndOfInput
        taken, self._lines = self._lines[:limit], self._lines[limit:]
        first, self._offset = self._offset, self._offset + len(taken)
        return [
            Record(self._partition, offset, None, line, None, None)
            for offset, line in enumerate(taken, first)
            if line.strip()
        ]

    def _before_control(self, limit: int) -> int:
        """Obey control records that are next; the count of lines before another one, at most `limit`."""
        while self._lines:
            controls = ((at, found) for at, line in enumerate(self._lines) if (found := self._control(line)))
            count, control = next(controls, (limit, None))
            if count or control is None:
                return min(count, limit)
            self._lines, self._offset = self._lines[1:], self._offset + 1
            if control.kind == "end":
                self._lines, self._ended = [], True
            elif control.kind == "pig":
                self._pig(control)
        self._marked = False
        return limit

    def _read(self, timeout_s: float) -> None:
        """What is there, without waiting for more: a line typed or piped is scored at once."""
        if not select.select([self._descriptor], [], [], timeout_s)[0]:
            return
        chunk = os.read(self._descriptor, _CHUNK)
        if not chunk:
            self._ended = True
            self._lines = [self._rest] if self._rest else []
            self._marked = _MARK in self._rest
            return
        data = self._rest + chunk
        *self._lines, self._rest = data.split(b"\n")
        self._marked = _MARK in data

    @property
    def unsaved(self) -> bool:
        return False

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


class LinesFeed(NothingToSettle):
    """The feed of a ModelOp stream over a file descriptor that somebody else opened: what is there, at once."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def read(self, timeout_s: float) -> list[bytes]:
        if not select.select([self._descriptor], [], [], timeout_s)[0]:
            return []
        chunk = os.read(self._descriptor, _CHUNK)
        if not chunk:
            raise EndOfInput
        return [chunk]

    def close(self) -> None:
        pass


class LinesDrain:
    """The drain of a ModelOp stream over a file that somebody else opened."""

    def __init__(self, out: BinaryIO) -> None:
        self._out = out

    def write(self, pieces: Sequence[bytes]) -> None:
        self._out.write(b"".join(pieces))
        self._out.flush()

    def finish(self, linger_s: float) -> None:
        self._out.flush()

    def close(self) -> None:
        pass
