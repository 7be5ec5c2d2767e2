"""The contestants: how each is run, what it promises, and how many records it gets.

Slow contestants get fewer, so that each takes seconds. The docstring of each program tells its settings.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from bench.peers import environments
from bench.peers.jobs import Avro, V2Json, Wire
from bench.peers.programs.lane import Task
from support.service import FLAGSHIP, ROLLING_MEAN_BATCHED, command

PROGRAMS = "bench.peers.programs"


@dataclass(frozen=True)
class Contestant:
    """
    Args:
        promise: its guarantee for the output and for the state.
        records: number by job; it takes part in these jobs only.
        command: may raise `environments.Unavailable`.
        warm_up: records before the measurement, as a share of those measured.
        copies: it gives back the values of its job instead of scores.
        partitions: of the input and the output topic.
        members: of its group; each must have partitions before records are sent.
        reads_committed: if not, its records are sent when the clock starts.
        ready: texts of its log; records sent before them would be missed.
    """

    name: str
    promise: str
    records: Mapping[str, int]
    command: Callable[[Task], list[str]]
    warm_up: float = 0.1
    copies: bool = False
    partitions: int = 1
    members: int = 1
    reads_committed: bool = True
    wire: Wire = Avro
    ready: tuple[str, ...] = ()


def _service(**options: object) -> Callable[[Task], list[str]]:
    """As an operator runs it. The group has the name of the output topic, so that it is new in each run."""

    def line(task: Task) -> list[str]:
        return command(
            "run",
            {"lstm": FLAGSHIP, "mean": ROLLING_MEAN_BATCHED}[task.job],
            bootstrap_servers=task.servers,
            input_topic=task.source,
            output_topic=task.target,
            group=task.group,
            create_topics=True,
            **options,
        )

    return line


def _ours(program: str) -> Callable[[Task], list[str]]:
    return lambda _: [sys.executable, "-m", f"{PROGRAMS}.{program}"]


def _peer(environment: str, program: str) -> Callable[[Task], list[str]]:
    return lambda _: [environments.python(environment), "-m", f"{PROGRAMS}.{program}"]


def _java(job: str) -> Callable[[Task], list[str]]:
    return lambda _: [
        "java",
        "-XX:+UseParallelGC",
        "-Xms256m",
        "-Xmx1g",
        "-cp",
        environments.kafka_streams(),
        "Streams",
        job,
    ]


_EOS, _ALO = "exactly once", "at least once"
CONTESTANTS = [
    Contestant("stream-scorer", _EOS, {"lstm": 20_000, "mean": 300_000}, _service()),
    Contestant("stream-scorer-alo", _ALO, {"lstm": 20_000, "mean": 300_000}, _service(delivery="at-least-once")),
    Contestant("one-worker", f"{_EOS}; 2 partitions", {"lstm": 60_000}, _service(), partitions=2),
    Contestant("two-workers", f"{_EOS}; 2 partitions", {"lstm": 60_000}, _service(workers=2), partitions=2, members=2),
    Contestant("bare-loop", f"{_ALO}; windows lost", {"lstm": 2_000, "mean": 200_000}, _ours("bare_loop")),
    Contestant("quix", _EOS, {"lstm": 4_000, "mean": 150_000}, _peer("quix", "quix")),
    Contestant("bytewax", _ALO, {"lstm": 20_000, "mean": 200_000}, _peer("bytewax", "bytewax_flow")),
    Contestant(
        "faststream", f"{_ALO}; windows lost", {"lstm": 16_000, "mean": 60_000}, _peer("faststream", "faststream_app")
    ),
    Contestant("faust", _ALO, {"lstm": 4_000, "mean": 10_000}, _peer("faust", "faust_app"), reads_committed=False),
    Contestant(
        "mlserver",
        "none; JSON, not Avro",
        {"lstm": 2_000, "mean": 4_000},
        _peer("mlserver", "mlserver_runtime"),
        reads_committed=False,
        wire=V2Json,
        ready=("Reading messages from consumer", "Loaded model"),
    ),
    # As many records again to warm up: the JVM compiles code that has run often.
    Contestant("kafka-streams", _EOS, {"mean": 300_000}, _java("mean"), warm_up=1),
    Contestant("kafka-streams-headers", f"{_EOS}, both headers", {"mean": 300_000}, _java("mean-headers"), warm_up=1),
    Contestant("kafka-streams-copy", f"{_EOS}; no model", {"mean": 300_000}, _java("copy"), warm_up=1, copies=True),
    Contestant("copy-loop", f"{_EOS}; no model", {"mean": 300_000}, _ours("copy_loop"), copies=True),
]
