"""What benches need of processes: a child with one thread of arithmetic, CPU and memory of others, free topics."""

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
    """The environment of a child whose arithmetic is to run on one thread; it has to be there before NumPy loads."""
    # A kernel that a variable forces on OpenBLAS is not the one this processor is best at.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OPENBLAS_")}
    return {**environment, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}


def child(module: str, *arguments: object) -> Any:
    """Run `python -m MODULE` with one thread; what it prints last is JSON."""
    line = [sys.executable, "-m", module, *map(str, arguments)]
    done = subprocess.run(line, cwd=ROOT, env=one_thread(), capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{module} ended with {done.returncode}:\n{done.stderr[-3000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def cpu_s(*pids: int) -> float:
    """CPU seconds of those processes that live, user and system, in steps of a hundredth."""
    return sum(spent.user + spent.kernel for spent in cpu_times(pids).values())


def rss_mb(pid: int, field: str = "VmRSS") -> float:
    """Resident memory of a living process in MB (10^6 bytes); of field VmHWM, the most it ever had."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024 / 1e6
    raise LookupError(f"process {pid} has no {field}")


def status(port: int) -> dict[str, Any]:
    """What the service tells at /status."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/status", timeout=5) as answer:
        found: dict[str, Any] = json.load(answer)
    return found
