"""Where the service's time goes: wall time of the main thread by part, while records flow."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

from bench.path import fill
from bench.processes import ROOT
from support.kafka import Kafka
from support.service import FLAGSHIP, ROLLING_MEAN_BATCHED, command

EVERY_S = 0.002
# Path below stream_scorer/, function (None: any), name of the part.
PARTS = (
    ("kafka/source.py", None, "take from the queue"),
    ("kafka/sink.py", "commit", "commit"),
    ("kafka/sink.py", None, "produce"),
    ("codec/", None, "decode, encode"),
    ("state/", None, "sessions"),
    ("model/module.py", "predict", "model: predict"),
    ("model/module.py", None, "model: push, action"),
    ("scoring/", None, "scoring"),
    ("service/", None, "loop"),
)


def run(kafka: Kafka, share: float) -> dict[str, Any]:
    result = {}
    for name, model, count in (
        ("rolling mean, batched", ROLLING_MEAN_BATCHED, int(1_000_000 * share)),
        ("flagship LSTM", FLAGSHIP, int(100_000 * share)),
    ):
        parts = result[name] = _profile(kafka, model, count)
        print(f"{name}, {count:,} records:")
        for part, seconds in sorted(parts.items(), key=lambda item: -item[1]):
            print(f"  {part:22} {seconds / sum(parts.values()):6.1%} {seconds / count * 1e6:8.2f} us a record")
    return result


def _profile(kafka: Kafka, model: str, count: int) -> dict[str, float]:
    """Seconds by part."""
    out = kafka.create(f"bench-{uuid.uuid4().hex[:8]}")
    line = command(
        "run",
        model,
        input_topic=fill(kafka, count),
        output_topic=out,
        group=out,
        until_end=True,
        bootstrap_servers=kafka.servers,
    )
    arguments = line[line.index("run") :]
    with tempfile.NamedTemporaryFile() as file:
        child = [sys.executable, "-m", "bench.profile", file.name, *arguments]
        subprocess.run(child, capture_output=True, check=True, cwd=ROOT)
        parts: dict[str, float] = json.loads(Path(file.name).read_text())
    return parts


class Sampler:
    """Adds the time since the last sample to the part in which the main thread is now.

    A long call into a library is sampled once, when it returns, with all its time.
    """

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()
        self._last = time.perf_counter()

    def sample(self, _: int, frame: FrameType | None) -> None:
        now = time.perf_counter()
        part = _part(frame)
        if part is not None:
            self.seconds[part] += now - self._last
        self._last = now


def _part(frame: FrameType | None) -> str | None:
    innermost, inside = None, False
    while frame is not None:
        file, name = frame.f_code.co_filename, frame.f_code.co_name
        inside = inside or (name == "step" and file.endswith("service/loop.py"))
        for path, function, part in PARTS:
            # A named function counts outwards too: commit calls helpers of the same file.
            if f"stream_scorer/{path}" in file and (name == function or (function is None and innermost is None)):
                innermost = part
        frame = frame.f_back
    return innermost if inside else None


def main(out: str, arguments: list[str], cli: Callable[[list[str]], int]) -> int:
    sampler = Sampler()
    signal.signal(signal.SIGALRM, sampler.sample)
    signal.setitimer(signal.ITIMER_REAL, EVERY_S, EVERY_S)
    code = cli(arguments)
    signal.setitimer(signal.ITIMER_REAL, 0)
    # Waiting for the first record and for the end is not work: only samples inside `step` count.
    Path(out).write_text(json.dumps(sampler.seconds))
    return code


if __name__ == "__main__":
    from stream_scorer.cli import main as cli

    sys.exit(main(sys.argv[1], sys.argv[2:], cli))
