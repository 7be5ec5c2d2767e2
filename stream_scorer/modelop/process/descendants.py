"""Processes that a model has started, found by a mark in their environment, also those that have left its group."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
from collections.abc import Mapping
from pathlib import Path

_NAME = "STREAM_SCORER_JET"
_ROUNDS = 10
"""A process may start others while it is looked for."""


def new_mark() -> dict[str, str]:
    """Return a variable for the environment of a process, which those that it starts inherit."""
    return {_NAME: secrets.token_hex(8)}


def kill(mark: Mapping[str, str]) -> None:
    """Kill all other processes of this user that have the mark. Does not block. Finds none where there is no /proc.

    `mark` may be the whole environment of a process.
    """
    variable = f"{_NAME}={mark.get(_NAME)}".encode()
    for _ in range(_ROUNDS):
        if not sum([_killed(pid, variable) for pid in _processes() if pid != os.getpid()]):
            return


def _processes() -> list[int]:
    with contextlib.suppress(OSError):
        return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdecimal()]
    return []


def _killed(pid: int, variable: bytes) -> bool:
    """Kill a process if it has the variable. Return whether it had."""
    if not _has(pid, variable):
        return False
    try:
        descriptor = os.pidfd_open(pid)
    except (AttributeError, OSError):
        return False
    try:
        # Once more: the number may be that of another process by now. From here on the descriptor holds the process.
        if not _has(pid, variable):
            return False
        signal.pidfd_send_signal(descriptor, signal.SIGKILL)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True


def _has(pid: int, variable: bytes) -> bool:
    try:
        return variable in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:  # it is gone, or another user's
        return False
