"""Waits until a descriptor can be read or written. By poll(): select() fails on descriptors above 1,023."""

from __future__ import annotations

import select
from typing import Protocol


class HasDescriptor(Protocol):
    """A file, a pipe or a socket."""

    def fileno(self) -> int: ...


def wait_readable(source: int | HasDescriptor, timeout_s: float) -> bool:
    """Block until a read would not, at most `timeout_s`. Return whether it would not; at the end of input it would not."""
    return _wait(source, select.POLLIN, timeout_s)


def wait_writable(target: int | HasDescriptor, timeout_s: float) -> bool:
    """Block until a write would not, at most `timeout_s`. Return whether it would not; if nobody reads, it fails."""
    return _wait(target, select.POLLOUT, timeout_s)


def _wait(descriptor: int | HasDescriptor, events: int, timeout_s: float) -> bool:
    poll = select.poll()
    poll.register(descriptor, events)
    return bool(poll.poll(max(timeout_s, 0) * 1000))
