"""CPU time and traffic of a running engine, measured over some seconds."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from typing import Any

from stream_scorer.errors import SettingsError
from stream_scorer.modelop.dataflow.processes import CpuTime, cpu_times
from stream_scorer.modelop.dataflow.taps import Taps
from stream_scorer.modelop.dataflow.worker import Worker

MAX_S = 60.0
_NONE = CpuTime(0.0, 0.0)


def sample(taps: Taps, slots: Iterable[int], workers: list[Worker], duration_s: float) -> dict[str, Any]:
    """Return the API's CpuUsageInfo of the next `duration_s` seconds. Blocks for that time.

    Records and bytes of all inputs and outputs, CPU seconds of engine and jets. `op_times` is empty: single operations
    are not timed.

    Raises SettingsError: the duration is not from 0 to MAX_S.
    """
    if not 0 <= duration_s <= MAX_S:
        raise SettingsError(f"duration: {duration_s} s cannot be had. Give seconds from 0 to {MAX_S:g}.")
    slots = list(slots)
    began = time.monotonic()
    before, spent_before = _totals(taps, slots), _spent(workers)
    jets_before = [(worker.input.count.total, worker.output.count.total) for worker in workers]
    time.sleep(duration_s)
    after, spent = _totals(taps, slots), _spent(workers)
    used = {pid: _less(spent[pid], spent_before.get(pid, _NONE)) for pid in spent}
    jets = []
    for worker, (read, written) in zip(workers, jets_before, strict=True):
        own = used.get(worker.jet.pid, _NONE)
        jets.append(
            {
                "input_records": int(worker.input.count.total - read),
                "output_records": int(worker.output.count.total - written),
                "user_time": round(own.user, 4),
                "kernel_time": round(own.kernel, 4),
            }
        )
    return {
        "duration": round(time.monotonic() - began, 4),
        **{name: int(after[name] - before[name]) for name in after},
        "user_time": round(sum(cpu_time.user for cpu_time in used.values()), 4),
        "kernel_time": round(sum(cpu_time.kernel for cpu_time in used.values()), 4),
        "op_times": [],
        "jets": jets,
    }


def _totals(taps: Taps, slots: list[int]) -> dict[str, float]:
    totals = {f"{way}_{unit}": 0.0 for way in ("input", "output") for unit in ("bytes", "records")}
    for slot in slots:
        way, traffic = ("output" if slot % 2 else "input"), taps.slot(slot)
        totals[f"{way}_bytes"] += traffic.size.total
        totals[f"{way}_records"] += traffic.count.total
    return totals


def _spent(workers: list[Worker]) -> dict[int, CpuTime]:
    return cpu_times([os.getpid(), *(worker.jet.pid for worker in workers)])


def _less(after: CpuTime, before: CpuTime) -> CpuTime:
    return CpuTime(after.user - before.user, after.kernel - before.kernel)
