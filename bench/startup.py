"""Seconds until a command answers and until the flagship's service is ready, its memory by then, and which commands
load TensorFlow."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.figures import HIGHER, LOWER, medians_of, ratio, target
from bench.processes import rss_mb
from support.kafka import Kafka
from support.service import FLAGSHIP, ROLLING_MEAN, ROLLING_MEAN_BATCHED, Service, command

ROUNDS = 5
HELP, SCORE, IMPORT, READY, PEAK = (
    "--help",
    "score, one record",
    "import tensorflow",
    "flagship ready",
    "flagship, peak MB",
)
_LOADED = """
import sys
from stream_scorer.cli import main
try:
    main({argv!r})
except SystemExit:
    pass
print("tensorflow" in sys.modules, file=sys.stderr)
"""


def run(kafka: Kafka, share: float) -> dict[str, Any]:
    jobs: dict[str, Callable[[], dict[str, float]]] = {
        HELP: lambda: {HELP: _wall([sys.executable, "-m", "stream_scorer", "--help"])},
        SCORE: lambda: {SCORE: _wall(command("score", ROLLING_MEAN), b"1.5\n")},
        IMPORT: lambda: {IMPORT: _wall([sys.executable, "-c", "import tensorflow"])},
        READY: lambda: _flagship(kafka),
    }
    rounds = []
    for _ in range(ROUNDS if share >= 1 else 2):
        seconds: dict[str, float] = {}
        for job in jobs.values():
            seconds |= job()
        rounds.append(seconds)
    middle = medians_of(rounds)
    after_import = [measured[READY] - measured[IMPORT] for measured in rounds]
    target("stream-scorer --help", middle[HELP], 0.15, LOWER, " s")
    target("stream-scorer score, a model without TensorFlow, one line", middle[SCORE], 0.3, LOWER, " s")
    target("flagship ready, after the time TensorFlow's import takes", statistics.median(after_import), 4, LOWER, " s")
    target("flagship, most memory", middle[PEAK] / 1000, 1.2, LOWER, " GB")
    print(f"\nimport tensorflow {middle[IMPORT]:.2f} s, flagship ready {middle[READY]:.2f} s after its process began")
    loads = {name: _loads_tensorflow(argv, lines) for name, argv, lines in _commands()}
    print("loads TensorFlow:", ", ".join(name for name, yes in loads.items() if yes) or "none")
    print("does not:", ", ".join(name for name, yes in loads.items() if not yes))
    ratios = {
        "flagship ready / import tensorflow": ratio([measured[READY] / measured[IMPORT] for measured in rounds], LOWER),
        "import tensorflow / score, one record": ratio(
            [measured[IMPORT] / measured[SCORE] for measured in rounds], HIGHER
        ),
    }
    return {"seconds": middle, "loads_tensorflow": loads, "ratios": ratios}


def _wall(line: list[str], stdin: bytes = b"") -> float:
    started = time.perf_counter()
    subprocess.run(line, input=stdin, capture_output=True, check=True)
    return time.perf_counter() - started


def _flagship(kafka: Kafka) -> dict[str, float]:
    """Seconds from the start of the process to its log line "ready", and its peak memory until the first poll."""
    topic, out = (kafka.create(f"bench-{uuid.uuid4().hex[:8]}") for _ in range(2))
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        with Service(Path(folder), FLAGSHIP, kafka.servers, input_topic=topic, output_topic=out, group=out) as service:
            while " ready: " not in service.text():  # more often than `wait_for` looks
                assert service.process.poll() is None, service.text()
                time.sleep(0.01)
            ready = time.perf_counter() - started
            service.wait_for("assigned")
            return {READY: ready, PEAK: rss_mb(service.process.pid, "VmHWM")}


def _commands() -> list[tuple[str, list[str], bytes]]:
    """Name, arguments and stdin: the help of every command, and runs that need no TensorFlow."""
    from stream_scorer.cli import COMMANDS

    helps = [(f"{name} --help", [name, "--help"], b"") for name in COMMANDS]
    nowhere = ["--input-topic", "a", "--output-topic", "b", "--bootstrap-servers", "127.0.0.1:1"]
    return [
        *helps,
        ("score", ["score", ROLLING_MEAN_BATCHED], b"1.5\n"),
        ("verify", ["verify", ROLLING_MEAN_BATCHED], b""),
        ("run, settings refused", ["run", FLAGSHIP, *nowhere, "--batch", "0"], b""),
        ("run, no broker", ["run", FLAGSHIP, *nowhere], b""),
        ("score, no such model", ["score", "nothing.py"], b""),
    ]


def _loads_tensorflow(argv: list[str], stdin: bytes) -> bool:
    done = subprocess.run(
        [sys.executable, "-c", _LOADED.format(argv=argv)], input=stdin, capture_output=True, check=True, timeout=120
    )
    return done.stderr.splitlines()[-1] == b"True"
