"""The sessions of one partition, and what is needed to undo or save what has changed since the last commit."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator

from stream_scorer.records import Partition, Snapshot, State
from stream_scorer.state import pending_forecasts
from stream_scorer.state.pending_forecasts import Placeholder

Key = bytes | None
HEAD = struct.Struct("<qq")  # offset after the session's last record, its timestamp in ms (or NO_TIME)
NO_TIME = -(2**63)


class LiveSession:
    """A session that the current batch has changed: its state is still objects, not yet bytes."""

    __slots__ = ("offset", "size", "state", "timestamp")

    def __init__(self, offset: int, timestamp: int, state: State, size: int) -> None:
        self.offset, self.timestamp, self.state = offset, timestamp, state
        self.size = size  # bytes of the session before the batch

    def __len__(self) -> int:
        return self.size


class PartitionSessions:
    """The sessions of one partition by key.

    sessions: HEAD, then the state as bytes, then a pending forecast if forecasts are judged; or a LiveSession.
        With a time to live or a cap the session that has been unused longest comes first.
    before: the sessions that changed since the last `settle`, as they were before; None: there was no such session.
    carried: keys that the next commit has to save although no record of it has changed them.
    forecasts: pending forecasts of the current batch; at its end they go into the bytes of their sessions.
    stream_time: latest record timestamp so far in ms, kept with a time to live only.
    """

    __slots__ = ("_stream_time_before", "before", "carried", "forecasts", "sessions", "stream_time")

    def __init__(self) -> None:
        self.sessions: dict[Key, bytes | LiveSession] = {}
        self.before: dict[Key, bytes | None] = {}
        self.carried: set[Key] = set()
        self.forecasts: dict[Key, Placeholder] = {}
        self.stream_time: int | None = None
        self._stream_time_before: list[int | None] = []  # stream time at the last `settle`, if it has moved since

    def evict(self, key: Key) -> None:
        """Drop a session. It is undone by `roll_back`, and saved as dropped."""
        evicted = self.sessions.pop(key)
        self.forecasts.pop(key, None)
        if type(evicted) is bytes:
            self.before.setdefault(key, evicted)

    def sweep(self, timestamp: int, ttl_ms: int, current: Key) -> None:
        """Move stream time on to `timestamp`, and drop the sessions that have expired by then, except the `current` one."""
        before = self.stream_time
        if not self._stream_time_before:
            self._stream_time_before.append(before)
        now = self.stream_time = timestamp if before is None else max(timestamp, before)
        # The longest unused come first, so the first session that has not expired ends the search.
        while self.sessions:
            oldest = next(iter(self.sessions))
            if oldest == current or not expired(self.sessions[oldest], now, ttl_ms):
                return
            self.evict(oldest)

    def write_forecasts(self) -> None:
        """Put the pending forecasts of the batch into the bytes of their sessions."""
        for key, placeholder in self.forecasts.items():
            session = self.sessions[key]
            assert type(session) is bytes
            packed = pending_forecasts.pack(placeholder.forecast)
            self.sessions[key] = session[: -pending_forecasts.PACKED_SIZE] + packed
        self.forecasts.clear()

    def settle(self) -> None:
        """What changed since the last call is committed."""
        self.before.clear()
        self.carried.clear()
        self._stream_time_before.clear()

    def carry(self, also: Iterable[Key]) -> None:
        """What changed since the last `settle` is not to be undone, but saved by the next commit, and so is `also`."""
        self.carried.update(self.before, also)
        self.before.clear()
        self._stream_time_before.clear()

    def roll_back(self, *, ordered: bool) -> None:
        """Undo what changed since the last `settle`. ordered: keep the sessions in their order of use."""
        for key, before in self.before.items():
            self.sessions.pop(key, None)
            if before is not None:
                self.sessions[key] = before
        if ordered and self.before:
            # Offsets tell the order of use. All are bytes now: every LiveSession has changed since the last `settle`.
            self.sessions = dict(sorted(self.sessions.items(), key=lambda item: head(item[1])[0]))
        self.before.clear()
        self.forecasts.clear()
        if self._stream_time_before:
            self.stream_time = self._stream_time_before.pop()

    def unsettled(self, partition: Partition) -> Iterator[Snapshot]:
        """What the next commit has to save: changed and carried sessions; without state, those that were dropped."""
        for key in self.before.keys() | self.carried if self.carried else self.before:
            session = self.sessions.get(key)
            if session is None:
                yield Snapshot(partition, key, 0, None, None)
            else:
                assert type(session) is bytes, "unsettled() before end_batch()"
                offset, timestamp = HEAD.unpack_from(session)
                state = session[HEAD.size :]
                yield Snapshot(partition, key, offset, None if timestamp == NO_TIME else timestamp, state)


def head(session: bytes | LiveSession) -> tuple[int, int]:
    """Offset after the session's last record, its timestamp in ms."""
    if type(session) is LiveSession:
        return session.offset, session.timestamp
    offset, timestamp = HEAD.unpack_from(session)  # type: ignore[arg-type]
    return offset, timestamp


def expired(session: bytes | LiveSession, timestamp: int | None, ttl_ms: int) -> bool:
    """Whether the session's last record is more than `ttl_ms` older than `timestamp`. Without a time: False."""
    if timestamp is None:
        return False
    last = head(session)[1]
    return last != NO_TIME and timestamp - last > ttl_ms
