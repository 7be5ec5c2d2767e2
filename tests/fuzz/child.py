"""The process that decodes: what it does to itself, a crash, a hang, memory without end, is told of by its parent.

python -m tests.fuzz.child GROUP SEED COUNT FILE [FIRST_TARGET]

A line of JSON for each target: {"target", "done"}, or with "problem", "number" and "hex" as well. FILE holds the input
in hand, for the parent to read when this process is no more.
"""

from __future__ import annotations

import json
import mmap
import random
import resource
import signal
import struct
import sys
import time
import traceback
from pathlib import Path

from tests.fuzz import mutate
from tests.fuzz.targets import GROUPS, Target

HEAD = struct.Struct("<IQI")
"""Number of the target in its group, number of the input, its length."""
SIZE = HEAD.size + mutate.MOST
MORE_MEMORY = 1 << 30
MOST_GROWN = 300 << 20
"""Bytes that one input may make the process grow by: what is checked, as decoders may handle MemoryError themselves."""
MOST_CPU_S = 20
"""Of one input. A hang ends the process; it is no measure of speed, and time of other processes does not count."""


def main(group: str, seed: str, count: int, file: Path, first: int = 0) -> None:
    targets = GROUPS[group]()
    now = resource.getpagesize() * int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (now + MORE_MEMORY, now + MORE_MEMORY))
    with file.open("r+b") as opened:
        in_hand = mmap.mmap(opened.fileno(), SIZE)
    for number, target in list(enumerate(targets))[first:]:
        print(json.dumps(_fuzz(number, target, seed, max(count // len(targets), 1), in_hand)), flush=True)


def _fuzz(number: int, target: Target, seed: str, count: int, in_hand: mmap.mmap) -> dict[str, object]:
    rng = random.Random(f"{seed}/{target.name}")
    make = mutate.mutated_json if target.json else mutate.mutated
    slowest = 0.0
    for done in range(count):
        data = target.seeds[done] if done < len(target.seeds) else make(rng, target.seeds)
        in_hand[: HEAD.size + len(data)] = HEAD.pack(number, done, len(data)) + data
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        signal.setitimer(signal.ITIMER_PROF, MOST_CPU_S)
        began = time.process_time()
        problem = _problem(target, data)
        slowest = max(slowest, time.process_time() - began)
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory
        if problem is None and grown * 1024 > MOST_GROWN:
            problem = f"took {grown / 1024:.0f} MiB"
        if problem is not None:
            return {"target": target.name, "done": done, "problem": problem, "number": done, "hex": data.hex()}
    signal.setitimer(signal.ITIMER_PROF, 0)
    return {"target": target.name, "done": count, "slowest": round(slowest, 3)}


def _problem(target: Target, data: bytes) -> str | None:
    try:
        target.run(data)
    except target.allowed as error:
        text = str(error)
        return f"an error text of {len(text)} characters" if len(text) > 4000 else None
    except BaseException:  # noqa: BLE001 - whatever it is
        return traceback.format_exc()
    return None


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), Path(sys.argv[4]), *map(int, sys.argv[5:]))
