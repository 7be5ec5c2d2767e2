"""The other ends of ModelOp streams: pieces come in, pieces go out.

Of a transport that keeps boundaries a piece is a record; of another it is some bytes, cut anywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class Feed(Protocol):
    """What an inlet reads. One thread calls it, but for `close`, which comes when no other call is under way."""

    def read(self, timeout_s: float) -> list[bytes]:
        """Pieces that are there, at least one; [] if none came in time. Raises EndOfInput, TransportError."""

    def settle(self, count: int) -> None:
        """So many further pieces, in order, have been dealt with: they need not come again."""

    def close(self) -> None: ...


class Drain(Protocol):
    """What an outlet writes to."""

    def write(self, pieces: Sequence[bytes]) -> None:
        """Blocks while a reader is slow. Raises TransportError, also once it is closed."""

    def finish(self, linger_s: float) -> None:
        """All is written: see it through within so many seconds. Raises TransportError."""

    def close(self) -> None:
        """At once. Safe from any thread; unblocks `write`."""


class NothingToSettle:
    """For feeds that cannot give a piece twice."""

    def settle(self, count: int) -> None:
        pass
