"""One measurement of a contestant: it is started, warmed up, gets all its records at once, and is watched from outside.

The records lie in one Kafka transaction: read-committed consumers see all of them at its commit, and there the clock
starts. It stops when the last output is visible to a read-committed consumer. The CPU time is that of the contestant's
process tree in between.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from confluent_kafka import Consumer, ConsumerGroupState, KafkaError, KafkaException, Message, Producer, TopicPartition

from bench.peers.jobs import JOBS, STEPS, difference, echoes, key, outputs, values
from bench.peers.programs.lane import Task
from bench.peers.registry import Contestant
from bench.processes import ROOT, cpu_s
from support.kafka import Kafka

LOOK_S = 0.02
"""Between two requests for the end offsets of the output: each costs the broker time that the contestant needs too."""
QUIET_S = 0.3
SETTLE_S = 1.0
START_S, RUN_S = 120.0, 180.0


class Failed(Exception):
    """The contestant did not do the job; the text says why."""


@dataclass(frozen=True)
class Measured:
    records: int
    seconds: float
    cpu_s: float
    worst: float
    """The largest difference of an output from the reference."""


def measure(kafka: Kafka, contestant: Contestant, job_name: str, share: float) -> Measured:
    """Raises Failed, or Unavailable when the contestant cannot be set up here."""
    job = JOBS[job_name]
    keys = max(job.keys, contestant.partitions)
    count = int(contestant.records[job_name] * share)
    warm_up = max(int(count * contestant.warm_up), 40 * keys)
    per_key = 0 if contestant.copies or contestant.wire.answers_all else STEPS - 1
    early, rest = warm_up - keys * per_key, count
    wanted = echoes(keys, warm_up + count) if contestant.copies else outputs(job, keys, warm_up + count)
    name = f"peers-{contestant.name}-{uuid.uuid4().hex[:8]}"
    source = kafka.create(name, contestant.partitions)
    target = kafka.create(f"{name}-out", contestant.partitions)
    task = Task(kafka.servers, source, target, job_name)
    line = contestant.command(task)
    with tempfile.TemporaryDirectory(prefix="stream-scorer-peer-") as folder, Process(line, task, Path(folder)) as run:
        run.wait_for(contestant.ready)
        if contestant.members > 1:
            _wait_for_group(kafka, target, contestant.members, run)
        output = Output(kafka.servers, target, contestant.partitions, run)
        try:
            sent = [(key(at, keys), value) for at, value in enumerate(values(warm_up + count).tolist())]
            _send(kafka.servers, source, sent[:warm_up], contestant, transaction=False)()
            seen, _ = output.wait(early, START_S)
            release = _send(kafka.servers, source, sent[warm_up:], contestant, contestant.reads_committed)
            time.sleep(SETTLE_S)
            run.look()
            if output.grown():
                raise Failed("records were scored before they were committed: the time would mean nothing")
            before, began = run.cpu_s(), time.perf_counter()
            release()
            scores, done = output.wait(rest, RUN_S)
        finally:
            output.close()
            kafka.admin.delete_topics([source, target])
    try:
        worst = difference([*seen, *scores], wanted, contestant.wire)
    except ValueError as error:
        raise Failed(str(error)) from error
    if not worst <= job.tolerance:
        raise Failed(f"wrong outputs, off by up to {worst:.2g}")
    return Measured(count, done.at - began, done.cpu_s - before, worst)


def _send(
    servers: str, topic: str, records: list[tuple[bytes, float]], contestant: Contestant, transaction: bool
) -> Callable[[], object]:
    """A function that makes all records visible at once: it commits the transaction in which they were sent.

    Without a transaction the function sends them: for contestants that read uncommitted records.
    """
    encoded = [(name, contestant.wire.write(name, value)) for name, value in records]
    settings = {
        "bootstrap.servers": servers,
        "linger.ms": 5,
        "queue.buffering.max.messages": 1_000_000,
        "log_level": 3,  # no line for each wait for a coordinator that is still loading
    }
    if transaction:
        settings |= {"transactional.id": f"{topic}-sender", "transaction.timeout.ms": 120_000}
    producer = Producer(settings)

    def send() -> None:
        for at, (name, value) in enumerate(encoded):
            producer.produce(topic, value, name, at % contestant.partitions, headers=contestant.wire.headers)
            if at % 1000 == 0:
                producer.poll(0)
        assert producer.flush(60) == 0

    if not transaction:
        return send
    producer.init_transactions(30)
    producer.begin_transaction()
    send()
    return lambda: producer.commit_transaction(30)


def _wait_for_group(kafka: Kafka, group: str, members: int, run: Process) -> None:
    """Wait until `members` have a partition each: a rebalance belongs to the start."""
    deadline = time.monotonic() + START_S
    while True:
        run.check()
        busy: list[object] = []
        # A broker that has just started may not know the coordinator of the group yet.
        with contextlib.suppress(KafkaException):
            description = kafka.admin.describe_consumer_groups([group])[group].result(30)
            busy = [
                member for member in description.members if member.assignment and member.assignment.topic_partitions
            ]
            if description.state == ConsumerGroupState.STABLE and len(busy) == members:
                return
        if time.monotonic() > deadline:
            raise Failed(f"{len(busy)} of {members} workers have a partition after {START_S:.0f} s")
        time.sleep(0.2)


class Process:
    """The contestant's process, in a folder of its own with its log; it is stopped at the end of the block."""

    def __init__(self, line: list[str], task: Task, folder: Path) -> None:
        ours = {name: value for name, value in os.environ.items() if not name.startswith("STREAM_SCORER_")}
        self._log = folder / "log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                line,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=folder,
                env={**ours, **task.environment(), "PYTHONPATH": str(ROOT)},
                start_new_session=True,
            )
        self._members = [self._process.pid]

    def check(self) -> None:
        if self._process.poll() is not None:
            raise Failed(f"ended with {self._process.returncode}: {self.last_line()}")

    def last_line(self) -> str:
        lines = self._log.read_text(errors="replace").strip().splitlines()
        return lines[-1][:200] if lines else "its log is empty"

    def wait_for(self, texts: tuple[str, ...]) -> None:
        """Block until its log has all of these texts. Raises Failed."""
        deadline = time.monotonic() + START_S
        while not all(text in self._log.read_text(errors="replace") for text in texts):
            self.check()
            if time.monotonic() > deadline:
                raise Failed(f"not ready after {START_S:.0f} s: {self.last_line()}")
            time.sleep(0.1)

    def look(self) -> None:
        """Find the processes of the tree; not at every sample, since it reads all of /proc."""
        children: dict[int, list[int]] = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and (fields := _stat(int(entry.name))):
                children.setdefault(int(fields[1]), []).append(int(entry.name))
        members = [self._process.pid]
        for member in members:
            members += children.get(member, [])
        self._members = members

    def cpu_s(self) -> float:
        """User and system time, in seconds, of the processes found so far."""
        return cpu_s(*self._members)

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *_: object) -> None:
        self.look()
        if self._process.poll() is None:
            self._process.terminate()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for pid in self._members:
            if (fields := _stat(pid)) and int(fields[3]) == self._process.pid:  # of our session: ours to end
                os.kill(pid, signal.SIGKILL)


def _stat(pid: int) -> list[str]:
    """Fields of /proc/PID/stat from the third on: state, parent, process group, session, ..."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


@dataclass(frozen=True)
class Moment:
    """When the output was first seen with these end offsets, and the contestant's CPU time by then."""

    at: float
    cpu_s: float
    ends: list[int]


class Output:
    """The output topic as a read-committed consumer sees it.

    While a contestant works, only the end offsets are asked for. Records are read when nothing has moved for a while; then
    the moment at which the last of them became visible is looked up.
    """

    def __init__(self, servers: str, topic: str, partitions: int, run: Process) -> None:
        self._consumer = Consumer(
            {
                "bootstrap.servers": servers,
                "group.id": f"{topic}-watcher",
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "isolation.level": "read_committed",
            }
        )
        self._partitions = [TopicPartition(topic, number, 0) for number in range(partitions)]
        self._run = run

    def grown(self) -> bool:
        """Whether there are records that were not read yet."""
        return self._ends() != [partition.offset for partition in self._partitions]

    def wait(self, count: int, seconds: float) -> tuple[list[Message], Moment]:
        """Block until there are `count` more records: these, and the moment when the last became visible. Raises Failed."""
        messages: list[Message] = []
        moments: list[Moment] = []
        began = sum(partition.offset for partition in self._partitions)
        deadline = time.monotonic() + seconds
        while True:
            ends, now = self._ends(), time.perf_counter()
            if not moments or ends != moments[-1].ends:
                moments.append(Moment(now, self._run.cpu_s(), ends))
            elif now - moments[-1].at > QUIET_S and sum(ends) - began >= count and self.grown():
                messages += self._read()
            if len(messages) >= count and (done := self._seen(messages, moments)):
                return messages, done
            self._run.check()
            if time.monotonic() > deadline:
                messages += self._read()
                raise Failed(f"{len(messages)} of {count} outputs after {seconds:.0f} s: {self._run.last_line()}")
            time.sleep(LOOK_S)

    def _seen(self, messages: list[Message], moments: list[Moment]) -> Moment | None:
        """The first moment that has all of these; None if some came after the last moment."""
        last = [-1] * len(self._partitions)
        for message in messages:
            last[message.partition()] = max(last[message.partition()], message.offset())
        return next(
            (moment for moment in moments if all(end > at for end, at in zip(moment.ends, last, strict=True))), None
        )

    def _ends(self) -> list[int]:
        return [self._consumer.get_watermark_offsets(partition, 10, cached=False)[1] for partition in self._partitions]

    def _read(self) -> list[Message]:
        """The records from where the last call stopped to the ends."""
        self._consumer.assign(self._partitions)
        messages, unended = [], {partition.partition for partition in self._partitions}
        while unended:
            for message in self._consumer.consume(10_000, 0.05):
                if message.error() is None:
                    messages.append(message)
                elif message.error().code() == KafkaError._PARTITION_EOF:
                    self._partitions[message.partition()].offset = message.offset()
                    unended.discard(message.partition())
        self._consumer.unassign()
        return messages

    def close(self) -> None:
        self._consumer.close()
