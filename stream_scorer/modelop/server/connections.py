"""The open connections of the server: how many there may be, how long each may wait, and which one makes room for a new one.

All of it runs on the event loop. Who has not sent a request that the guard lets pass is not *known*: it may neither keep
others out nor keep a connection for long.
"""

from __future__ import annotations

import asyncio
import collections
import enum
import socket
import time

HEAD_S = 10.0
"""A TLS handshake, and the head of a request, must be complete this long after its first byte (or after the connection)."""
LINGER_S = 10.0
"""How long the rest of a body is taken in and dropped after its request was refused: many clients read no answer before they
have sent all, and would report a broken connection."""
STALLED_S = 30.0
"""A client that takes less than the server's write buffer of an answer in this time is given up."""
CLOSING_S = 5.0
_TICK_S = 1.0


class Phase(enum.Enum):
    """What a connection is waiting for."""

    HEAD = "the head of a request"
    BUSY = "the rest of a body, or the answer"
    IDLE = "the next request"
    LINGER = "the rest of a body that nobody wants"


class Connection:
    """One client. `known`: the guard has let a request of it pass."""

    def __init__(self, peer: str, client: socket.socket) -> None:
        self.peer = peer
        self.waiting: socket.socket | None = client
        """Until `task` begins."""
        self.known = False
        self.task: asyncio.Task[object] | None = None
        """Makes the connection: the TLS handshake."""
        self.transport: asyncio.Transport | None = None
        self.phase = Phase.HEAD
        self.since = time.monotonic()
        """When the phase began."""
        self.blocked_since: float | None = None
        """Since when the client has read too little of what was sent."""
        self._closing_since: float | None = None

    def enter(self, phase: Phase) -> None:
        self.phase, self.since = phase, time.monotonic()

    def blocked(self, blocked: bool) -> None:
        self.blocked_since = time.monotonic() if blocked else None

    def drop(self) -> None:
        """Close it at once. What was not sent is lost."""
        if self.transport is not None:
            self.transport.abort()
            return
        if self.task is not None:
            self.task.cancel()
        if self.waiting is not None:
            self.waiting.close()

    def overdue(self, now: float) -> bool:
        """Return whether it has kept the server waiting for too long."""
        if self.transport is None:
            return False  # the handshake has a time limit of its own
        if self.transport.is_closing():
            if self._closing_since is None:
                self._closing_since = now
            return now - self._closing_since > CLOSING_S
        if self.blocked_since is not None and now - self.blocked_since > STALLED_S:
            return True
        limit = {Phase.HEAD: HEAD_S, Phase.LINGER: LINGER_S}.get(self.phase)
        return limit is not None and now - self.since > limit


class Connections:
    """Args: most: how many there may be."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._open: dict[int, Connection] = {}
        self.accepted = 0
        self.displaced = 0
        """Closed to make room for another one."""
        self.refused = 0
        """Closed as soon as they came: all others were busy."""
        self.overdue = 0
        self.malformed = 0

    def __len__(self) -> int:
        return len(self._open)

    def add(self, connection: Connection) -> bool:
        """Count it. Return False if there is no room: every other connection has a request in hand."""
        if len(self._open) >= self._most and not self.make_room():
            self.refused += 1
            return False
        self.accepted += 1
        self._open[id(connection)] = connection
        return True

    def remove(self, connection: Connection) -> None:
        self._open.pop(id(connection), None)

    def make_room(self) -> bool:
        """Drop one connection: the oldest that is not known, of the address with most of them; else the longest idle one."""
        unknown = [each for each in self._open.values() if not each.known]
        if unknown:
            most = collections.Counter(each.peer for each in unknown).most_common(1)[0][0]
            victim = next(each for each in unknown if each.peer == most)
        else:
            idle = [each for each in self._open.values() if each.phase is Phase.IDLE]
            if not idle:
                return False
            victim = min(idle, key=lambda each: each.since)
        self.displaced += 1
        self.remove(victim)
        victim.drop()
        return True

    async def watch(self) -> None:
        """Drop connections that keep the server waiting for too long. Runs until it is cancelled."""
        while True:
            await asyncio.sleep(_TICK_S)
            now = time.monotonic()
            for connection in [each for each in self._open.values() if each.overdue(now)]:
                self.overdue += 1
                connection.drop()
