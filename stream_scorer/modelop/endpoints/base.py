"""What every transport of ModelOp streams implements: a `Feed` to read from, a `Drain` to write to.

Both deal in pieces. If the transport keeps the boundaries of records, a piece is one record; otherwise it is any part of
the stream of bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class Feed(Protocol):
    """What an inlet reads from. One call at a time, `close` included. A constructor may block while it connects."""

    def read(self, timeout_s: float) -> list[bytes]:
        """Return the pieces that have come, in order; [] if none came within `timeout_s`. Blocks for that time at most.

        Raises EndOfInput (nothing more will come) and TransportError.
        """

    def settle(self, count: int) -> None:
        """Say that the next `count` pieces, in order, are processed: they need not come again. Does not block."""

    def close(self) -> None:
        """Give the transport back. Raises nothing."""


class Drain(Protocol):
    """What an outlet writes to. One call of `write` or `finish` at a time; `close` comes from any thread."""

    def write(self, pieces: Sequence[bytes]) -> None:
        """Write the pieces, in order. Blocks while the reader is slow. Raises TransportError, also after `close`."""

    def finish(self, linger_s: float) -> None:
        """Nothing more will be written: wait up to `linger_s` until the reader has all. Raises TransportError."""

    def close(self) -> None:
        """Give the transport back at once, and unblock `write`. Raises nothing."""


class NothingToSettle:
    """For feeds that cannot deliver a piece twice."""

    def settle(self, count: int) -> None:
        pass
