"""What benches need of processes: a child that computes on one thread; CPU time, memory and /status of others."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

from stream_scorer.modelop.dataflow.processes import cpu_times

ROOT = Path(__file__).parents[1]


def one_thread() -> dict[str, str]:
    """The environment of a child that computes on one thread: NumPy reads it when it is imported."""
    # A variable may force OpenBLAS to use a kernel that is not the fastest on this processor.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OPENBLAS_")}
    return {**environment, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}


def child(module: str, *arguments: object) -> Any:
    """Run `python -m MODULE` on one thread; its last line, parsed as JSON. Blocks; raises RuntimeError if it fails."""
    line = [sys.executable, "-m", module, *map(str, arguments)]
    done = subprocess.run(line, cwd=ROOT, env=one_thread(), capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{module} ended with {done.returncode}:\n{done.stderr[-3000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def cpu_s(*pids: int) -> float:
    """CPU seconds (user and system) of the processes that are alive, in steps of 0.01 s."""
    return sum(spent.user + spent.kernel for spent in cpu_times(pids).values())


def rss_mb(pid: int, field: str = "VmRSS") -> float:
    """Resident memory of a running process in MB (10^6 bytes); with field VmHWM its peak."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024 / 1e6
    raise LookupError(f"process {pid} has no {field}")


def status(port: int) -> dict[str, Any]:
    """The service's answer at /status."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/status", timeout=5) as answer:
        fields: dict[str, Any] = json.load(answer)
    return fields
