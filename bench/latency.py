"""Milliseconds from `produce` of a record to its score at a read-committed consumer, open loop, one partition: exactly
once, at least once, with librdkafka's defaults, with a commit interval, and a bare transactional loop beside them."""

from __future__ import annotations

import contextlib
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from confluent_kafka import Consumer, Producer, TopicPartition

from bench.figures import HIGHER, LOWER, quantile, ratio, target
from bench.processes import ROOT, cpu_s, status
from support.brokers import free_ports
from support.kafka import Kafka
from support.service import FLAGSHIP, ROLLING_MEAN_BATCHED, Service

ALL = {1: 20, 100: 15, 1000: 15}
"""Records per second -> seconds."""
BUSY = {100: 15, 1000: 15}
WARM_UP = 300
KEYS = 10
LIBRDKAFKA = ["retry.backoff.ms=100", "linger.ms=5", "fetch.queue.backoff.ms=1000"]


class Case(NamedTuple):
    name: str
    rates: dict[int, int]
    start: Callable[[Kafka, str, str], contextlib.AbstractContextManager[Running]]


class Running(NamedTuple):
    """The program between the two topics: its process id; its /status and its log, where it has them."""

    pid: int
    status: Callable[[], dict[str, Any] | None] = lambda: None
    log: Callable[[], str] = lambda: ""


def service(model: str, **options: object) -> Callable[[Kafka, str, str], contextlib.AbstractContextManager[Running]]:
    @contextlib.contextmanager
    def start(kafka: Kafka, topic: str, out: str) -> Iterator[Running]:
        (port,) = free_ports(1)
        flags = {"input_topic": topic, "output_topic": out, "group": out, "http": port, **options}
        with tempfile.TemporaryDirectory() as folder, Service(Path(folder), model, kafka.servers, **flags) as running:
            running.wait_for("assigned")
            yield Running(running.process.pid, lambda: status(port), running.text)

    return start


@contextlib.contextmanager
def bare_loop(kafka: Kafka, topic: str, out: str) -> Iterator[Running]:
    process = subprocess.Popen([sys.executable, "-m", "bench.bare", kafka.servers, topic, out], cwd=ROOT)
    try:
        yield Running(process.pid)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


FLOOR, OURS, ACKS = "bare transactional loop", "exactly once", "at least once"
DEFAULTS, HELD, LSTM = "exactly once, librdkafka's defaults", "exactly once, gathered 100 ms", "flagship, exactly once"
CASES = [
    Case(FLOOR, ALL, bare_loop),
    Case(OURS, ALL, service(ROLLING_MEAN_BATCHED)),
    Case(ACKS, ALL, service(ROLLING_MEAN_BATCHED, delivery="at-least-once")),
    Case(DEFAULTS, BUSY, service(ROLLING_MEAN_BATCHED, kafka=LIBRDKAFKA)),
    Case(HELD, BUSY, service(ROLLING_MEAN_BATCHED, commit_interval=0.1)),
    Case(LSTM, BUSY, service(FLAGSHIP)),
    Case("flagship, at least once", BUSY, service(FLAGSHIP, delivery="at-least-once")),
]


def run(kafka: Kafka, share: float) -> dict[str, Any]:
    print(f"{'':43} {'milliseconds from sending to score':^36} {'CPU us':>8} {'of a batch':^25}")
    heads = ("p50", "p99", "p99.9", "most", "a record", "records", "score ms", "commit")
    print(f"{'':36} {'per s':>6} ", *(f"{head:>8}" for head in heads))
    ms: dict[str, dict[int, dict[str, float]]] = {}
    # A broker that has just started is several times slower until the JVM has compiled its code.
    measure(kafka, Case("(warming the broker up)", {1000: 15}, bare_loop), min(share, 1))
    for case in CASES:
        ms[case.name] = measure(kafka, case, min(share, 1))

    def over(upper: str, lower: str, key: str = "p50") -> float:
        return ms[upper][1000][key] / ms[lower][1000][key]

    target("exactly once at 1,000/s, p50", ms[OURS][1000]["p50"], 20, LOWER, " ms")
    target("exactly once at 1,000/s, p99", ms[OURS][1000]["p99"], 60, LOWER, " ms")
    target("the same with librdkafka's defaults, p50", ms[DEFAULTS][1000]["p50"], 100, HIGHER, " ms")
    ratios = {
        "p50 at 1,000/s, exactly once / bare loop": ratio(over(OURS, FLOOR), LOWER),
        "p50 at 1,000/s, exactly / at least once": ratio(over(OURS, ACKS), LOWER),
        "p99 at 1,000/s, librdkafka's defaults / ours": ratio(over(DEFAULTS, OURS, "p99"), HIGHER),
        "p50 at 1,000/s, flagship / rolling mean": ratio(over(LSTM, OURS), LOWER),
    }
    return {"ms": ms, "ratios": ratios}


def measure(kafka: Kafka, case: Case, share: float) -> dict[int, dict[str, float]]:
    name = f"bench-{uuid.uuid4().hex[:8]}"
    topic, out = kafka.create(name), kafka.create(f"{name}-out")
    by_rate = {}
    with case.start(kafka, topic, out) as running, Probe(kafka, topic, out, running.log) as probe:
        probe.send(WARM_UP, 200)
        for rate, seconds in case.rates.items():
            before, cpu = running.status(), cpu_s(running.pid)
            count = max(3, round(rate * seconds * share))
            times = probe.send(count, rate)
            figures = {f"p{part * 100:g}": quantile(times, part) * 1000 for part in (0.5, 0.99, 0.999)}
            figures["most"] = max(times) * 1000
            figures["cpu_us_per_record"] = (cpu_s(running.pid) - cpu) / count * 1e6
            by_rate[rate] = figures | _per_batch(before, running.status())
            print(f"{case.name:36} {rate:6,} ", *(f"{value:8.1f}" for value in by_rate[rate].values()), flush=True)
    return by_rate


def _per_batch(before: dict[str, Any] | None, after: dict[str, Any] | None) -> dict[str, float]:
    """Means of the batches between two readings of /status: records, ms of scoring, ms of sending and committing."""
    if before is None or after is None:
        return {}
    records, scoring, commit, batches = (
        after[name] - before[name] for name in ("records", "scoring_seconds", "commit_seconds", "commits")
    )
    means = {"records": records / batches, "scoring_ms": scoring / batches * 1e3, "commit_ms": commit / batches * 1e3}
    return {f"{name}_per_batch": value for name, value in means.items()}


class Probe:
    """Sends records at a fixed rate, whether scores come back or not, and measures the time until each score is visible.

    A score names the offset of its input in its `scorer-source` header. The topic has one partition and one producer, so
    that the offset is the number of the record.
    """

    def __init__(self, kafka: Kafka, topic: str, out: str, log: Callable[[], str]) -> None:
        self._topic = topic
        self._log = log
        self._sent: list[float] = []
        self._seen: dict[int, float] = {}
        self._producer = Producer({"bootstrap.servers": kafka.servers, "linger.ms": 0})
        self._consumer = Consumer(
            {
                "bootstrap.servers": kafka.servers,
                "group.id": f"{out}-probe",
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "fetch.wait.max.ms": 10,
            }
        )
        self._consumer.assign([TopicPartition(out, 0, 0)])
        self._closed = threading.Event()
        self._reader = threading.Thread(target=self._read)

    def __enter__(self) -> Probe:
        self._reader.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closed.set()
        self._reader.join()
        self._consumer.close()

    def _read(self) -> None:
        while not self._closed.is_set():
            message = self._consumer.poll(0.1)
            if message is not None and message.error() is None:
                now = time.perf_counter()
                source = dict(message.headers())["scorer-source"]
                self._seen.setdefault(int(source.rpartition(b"/")[2]), now)

    def send(self, count: int, rate: float) -> list[float]:
        """Send `count` records, `rate` a second; the seconds from sending to score of each. Blocks until all scores are there.

        The first 29 records of a key have no score: the first call warms up.
        """
        begin, started = len(self._sent), time.perf_counter()
        for number in range(count):
            due = started + number / rate
            while (left := due - time.perf_counter()) > 0:
                self._producer.poll(0)
                time.sleep(left)
            at = begin + number
            value, key = struct.pack("<d", 1 + at % 97 * 0.01), b"k%d" % (at % KEYS)
            self._sent.append(time.perf_counter())
            self._producer.produce(self._topic, value, key)
        assert self._producer.flush(30) == 0
        self._wait_for(begin + count - 1)
        return [self._seen[at] - self._sent[at] for at in range(begin, begin + count) if at in self._seen]

    def _wait_for(self, last: int) -> None:
        deadline = time.monotonic() + 60
        while last not in self._seen:
            assert time.monotonic() < deadline, f"no score of record {last} in 60 s:\n{self._log()[-3000:]}"
            time.sleep(0.01)
