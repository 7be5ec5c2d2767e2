"""Where the sessions of one partition are kept."""

from __future__ import annotations

import struct

from stream_scorer.records import State
from stream_scorer.state.notes import Pending

Key = bytes | None
HEAD = struct.Struct("<qq")  # offset after the session's last record, its timestamp in ms (or NO_TIME)
NO_TIME = -(2**63)


class Live:
    """A session of the batch in hand, not yet bytes again."""

    __slots__ = ("offset", "size", "state", "timestamp")

    def __init__(self, offset: int, timestamp: int, state: State, size: int) -> None:
        self.offset, self.timestamp, self.state = offset, timestamp, state
        self.size = size  # of its bytes before the batch

    def __len__(self) -> int:
        return self.size


class Shelf:
    """The sessions of one partition."""

    __slots__ = ("before", "carried", "notes", "sessions", "stream_time", "time_before")

    def __init__(self) -> None:
        # Head + state by key, and a note if there are notes. With a time to live or a cap: the longest unused first.
        self.sessions: dict[Key, bytes | Live] = {}
        # What changed since the last settle, as it was before; None: there was no such session.
        self.before: dict[Key, bytes | None] = {}
        # What the next commit has to save although it is not the work of the records before it.
        self.carried: set[Key] = set()
        # Notes taken in the batch in hand; at its end they are in the bytes of their sessions.
        self.notes: dict[Key, Pending] = {}
        # Latest record timestamp so far, with a time to live only; and what it was at the last settle, if it moved.
        self.stream_time: int | None = None
        self.time_before: list[int | None] = []


def head(kept: bytes | Live) -> tuple[int, int]:
    """Offset after the session's last record, its timestamp in ms."""
    if type(kept) is Live:
        return kept.offset, kept.timestamp
    offset, timestamp = HEAD.unpack_from(kept)  # type: ignore[arg-type]
    return offset, timestamp
