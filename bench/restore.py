"""10,000 sessions of 30 doubles restored from the changelog after a restart, and the memory a session takes."""

from __future__ import annotations

import re
import resource
import struct
import subprocess
import sys
import uuid
from typing import Any

from support.kafka import Kafka
from support.service import ROLLING_MEAN_BATCHED, command

PARTITIONS = 4
_RESTORED = re.compile(r"restored (\d+) sessions in ([\d.]+) s")


def run(kafka: Kafka, share: float) -> dict[str, Any]:
    keys = int(10_000 * share)
    name = uuid.uuid4().hex[:8]
    topic, out = kafka.create(f"bench-{name}", PARTITIONS), kafka.create(f"bench-{name}-out", PARTITIONS)
    kafka.send(
        topic,
        (
            {"value": struct.pack("<d", round_ + key * 0.001), "key": b"symbol-%d" % key, "partition": key % PARTITIONS}
            for round_ in range(30)
            for key in range(keys)
        ),
    )
    settings = {"input_topic": topic, "output_topic": out, "until_end": True, "bootstrap_servers": kafka.servers}
    line = command("run", ROLLING_MEAN_BATCHED, group=f"bench-{name}", **settings)
    subprocess.run(line, capture_output=True, text=True, check=True)
    again = subprocess.run(line, capture_output=True, text=True, check=True).stderr
    parts = [(int(count), float(seconds)) for count, seconds in _RESTORED.findall(again)]
    sessions, seconds = sum(count for count, _ in parts), sum(seconds for _, seconds in parts)
    assert sessions == keys, again[-2000:]
    result = {
        "sessions": sessions,
        "seconds": round(seconds, 3),
        "sessions_per_s": round(sessions / seconds),
        "bytes_per_session": _memory(),
    }
    print(f"{sessions:,} sessions restored in {seconds:.2f} s: {result['sessions_per_s']:,} sessions/s")
    print(f"{result['bytes_per_session']:,} bytes of memory a session, bookkeeping included")
    return result


def _memory(sessions: int = 100_000) -> int:
    """Bytes by which a new process grows with each session: a full window, its key and the bookkeeping."""
    code = f"""
import resource, struct
from stream_scorer.model.module import Module
from stream_scorer.records import Partition, Record
from stream_scorer.state.sessions import Sessions
from pathlib import Path
module = Module(Path({ROLLING_MEAN_BATCHED!r})); module.begin()
sessions = Sessions(module, module.state_names)
rss = lambda: int(open("/proc/self/statm").read().split()[1]) * {resource.getpagesize()}
before = rss()
window = [float(at) for at in range(30)]
for number in range({sessions}):
    record = Record(Partition("in", 0), number, b"symbol-%d" % number, None, number, None)
    sessions.enter(record)
    module.namespace["window"] = window
    sessions.keep(record)
    if number % 1000 == 0: sessions.end_batch(), sessions.settle()
sessions.end_batch(), sessions.settle()
print((rss() - before) // {sessions})
"""
    return int(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
