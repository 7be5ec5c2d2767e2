"""Records through the service, end to end: the flagship and a rolling mean, exactly once and at least once,
beside a bare loop that copies records in transactions with the same headers."""

from __future__ import annotations

import re
import struct
import subprocess
import time
import uuid
from typing import Any

from bench.figures import HIGHER, LOWER, medians_of, ratio
from bench.peers.programs.copy_loop import CopyLoop
from support.kafka import Kafka
from support.service import FLAGSHIP, ROLLING_MEAN, ROLLING_MEAN_BATCHED, command

ROUNDS = 3
_SPEED = re.compile(r"([\d,]+) records, .*; ([\d,]+) records/s, (\d+)% of work in scoring")


def run(kafka: Kafka, share: float) -> dict[str, Any]:
    trivial, flagship = int(200_000 * share), int(20_000 * share)
    topic = fill(kafka, trivial)
    jobs = {
        "copy loop, transactions": lambda: _copy(kafka, topic, trivial),
        "rolling mean, batched, exactly-once": lambda: _service(kafka, topic, trivial, ROLLING_MEAN_BATCHED),
        "rolling mean, batched, at-least-once": lambda: _service(
            kafka, topic, trivial, ROLLING_MEAN_BATCHED, delivery="at-least-once"
        ),
        "rolling mean, one by one, exactly-once": lambda: _service(kafka, topic, trivial, ROLLING_MEAN),
        "flagship LSTM, exactly-once": lambda: _service(kafka, fill(kafka, flagship), flagship, FLAGSHIP),
    }
    rounds: dict[str, list[dict[str, float]]] = {name: [] for name in jobs}
    for _ in range(ROUNDS):
        for name, job in jobs.items():
            rounds[name].append(job())
    result: dict[str, Any] = {}
    print(f"{'':42} {'records/s':>10} {'CPU us/record':>14}")
    for name, measured in rounds.items():
        middle = result[name] = medians_of(measured)
        print(f"{name:42} {middle['records_per_s']:10,.0f} {middle['cpu_us_per_record']:14.1f}")

    def over(upper: str, lower: str, key: str, better: str) -> dict[str, Any]:
        pairs = zip(rounds[upper], rounds[lower], strict=True)
        return ratio([above[key] / below[key] for above, below in pairs], better)

    copy, eos, alo, one_by_one = list(jobs)[:4]
    result["ratios"] = {
        "CPU, service / copy loop": over(eos, copy, "cpu_us_per_record", LOWER),
        "records/s, service / copy loop": over(eos, copy, "records_per_s", HIGHER),
        "records/s, exactly / at least once": over(eos, alo, "records_per_s", HIGHER),
        "CPU, one by one / batched": over(one_by_one, eos, "cpu_us_per_record", LOWER),
    }
    return result


def fill(kafka: Kafka, count: int) -> str:
    """The name of a new topic with `count` records."""
    topic = kafka.create(f"bench-{uuid.uuid4().hex[:8]}")
    kafka.send(
        topic, ({"value": struct.pack("<d", 1 + at % 97 * 0.01), "key": b"k%d" % (at % 50)} for at in range(count))
    )
    return topic


def _service(kafka: Kafka, topic: str, count: int, model: str, **options: object) -> dict[str, float]:
    """The CPU time is that of a whole run, less that of a run without any input."""
    out = kafka.create(f"bench-{uuid.uuid4().hex[:8]}")
    settings = {
        "input_topic": topic,
        "output_topic": out,
        "group": out,
        "until_end": True,
        "bootstrap_servers": kafka.servers,
    }
    first, cpu = _run(command("run", model, **settings, **options))
    _, idle = _run(command("run", model, **settings, **options))
    match = _SPEED.search(first)
    assert match, first[-2000:]
    assert int(match[1].replace(",", "")) == count
    return {"records_per_s": _busy_speed(first), "cpu_us_per_record": (cpu - idle) / count * 1e6}


def _busy_speed(log: str) -> float:
    """Records a second between the assignment and the end of input: neither the start nor the stop counts."""
    import datetime

    stamps = {}
    for line in log.splitlines():
        for mark in ("kafka.source: assigned", "end of input"):
            if mark in line and mark not in stamps:
                stamps[mark] = datetime.datetime.fromisoformat(line.split()[0])
    seconds = (stamps["end of input"] - stamps["kafka.source: assigned"]).total_seconds()
    match = _SPEED.search(log)
    assert match
    return int(match[1].replace(",", "")) / seconds


def _run(line: list[str]) -> tuple[str, float]:
    import resource

    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(line, capture_output=True, text=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return done.stderr, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _copy(kafka: Kafka, topic: str, count: int) -> dict[str, float]:
    """The first transaction is not counted: its time includes joining the group."""
    loop = CopyLoop(kafka.servers, topic, kafka.create(f"bench-{uuid.uuid4().hex[:8]}"))
    first = 0
    while not first:
        first = loop.turn()
    done, started, cpu = first, time.perf_counter(), time.process_time()
    while done < count:
        done += loop.turn()
    seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    loop.close()
    return {"records_per_s": (count - first) / seconds, "cpu_us_per_record": cpu / (count - first) * 1e6}
