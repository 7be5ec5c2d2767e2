"""A test that starts a process has the mark `process`, and `make check` leaves it out. Without the mark it fails."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

_STARTS = frozenset({"subprocess.Popen", "os.fork", "os.forkpty", "os.posix_spawn", "os.system"})
_MAY_START = ("process", "broker", "container", "tensorflow", "slow", "soak")  # none of these is in `make check`
_running: list[pytest.Item] = []
_installed = False


class Processes:
    """A plugin of pytest."""

    def __init__(self) -> None:
        global _installed
        if not _installed:  # an audit hook cannot be taken out again
            sys.addaudithook(_fail_if_unmarked)
            _installed = True

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        _running.append(item)
        try:
            return (yield)
        finally:
            _running.pop()


def _fail_if_unmarked(event: str, arguments: object) -> None:
    """Raises RuntimeError, and the process is not started."""
    if event in _STARTS and _running and not any(map(_running[-1].get_closest_marker, _MAY_START)):
        raise RuntimeError(f"{_running[-1].nodeid} starts a process: give it the mark `process`, or let it start none")
