"""Memory and CPU time of processes, from Linux's /proc."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

_TICK_S = 1 / os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_PROC = Path("/proc")


class CpuTime(NamedTuple):
    """CPU time in seconds."""

    user: float
    kernel: float


def memory(pids: Iterable[int]) -> int:
    """Return the resident bytes of all processes that exist. Shared pages count for each process."""
    return sum(_resident(pid) for pid in pids)


def has_exited(pid: int) -> bool:
    """Whether a child process is gone, or waits to be reaped. Reads one file of /proc."""
    text = _read(pid, "stat")
    return text is None or text.rpartition(")")[2].split()[0] in ("Z", "X")


def cpu_time(pid: int) -> CpuTime | None:
    """Return the CPU time of all threads since the start of the process; None if it does not exist."""
    text = _read(pid, "stat")
    if text is None:
        return None
    fields = text.rpartition(")")[2].split()  # the name before it may hold blanks and parentheses
    return CpuTime(int(fields[11]) * _TICK_S, int(fields[12]) * _TICK_S)


def cpu_times(pids: Iterable[int]) -> dict[int, CpuTime]:
    """Return the CPU times of the processes that exist, by process id."""
    return {pid: spent for pid in pids if (spent := cpu_time(pid)) is not None}


def utilization(pids: Callable[[], Iterable[int]]) -> Callable[[], dict[str, float]]:
    """Return a function that returns `{"kernel", "user"}`: percent of one core since its last call; 200 is two cores."""
    last_at, last = time.monotonic(), cpu_times(pids())

    def read() -> dict[str, float]:
        nonlocal last_at, last
        now, times = time.monotonic(), cpu_times(pids())
        spent = max(now - last_at, 1e-9)
        user = sum(times[pid].user - last[pid].user for pid in times if pid in last)
        kernel = sum(times[pid].kernel - last[pid].kernel for pid in times if pid in last)
        last_at, last = now, times
        return {"kernel": round(100 * kernel / spent, 2), "user": round(100 * user / spent, 2)}

    return read


def _resident(pid: int) -> int:
    text = _read(pid, "statm")
    return int(text.split()[1]) * _PAGE if text else 0


def _read(pid: int, name: str) -> str | None:
    try:
        return (_PROC / str(pid) / name).read_text()
    except OSError:  # it has exited
        return None
