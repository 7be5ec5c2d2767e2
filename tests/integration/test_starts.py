"""Wrong starts: one thing is wrong, and the command says so and ends, with the documented code and nothing left behind.

Rows run beside each other, as most of them wait for something.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
import itertools
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from typing import Any

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AclOperation, ResourceType

from support.brokers import free_ports
from support.kafka import Kafka
from support.service import MODELS, Service, command

pytestmark = [pytest.mark.broker, pytest.mark.slow]
COUNTER = str(MODELS / "counter.py")
SECONDS = 90
"""To end what hangs. Alone and on a machine at rest each row ends within 20 s: the longest wait is 10 s for a broker."""
CODES = {
    "raises": "def begin():\n    raise RuntimeError('no weights')\n\n\ndef action(x):\n    yield x\n",
    "leaves": "import os\n\n\ndef begin():\n    os._exit(7)\n\n\ndef action(x):\n    yield x\n",
    "syntax": "def begin(:\n",
    "stopped": "import os, time\n\n\ndef begin():\n    os.kill(os.getpid(), 15)\n    time.sleep(9)\n\n\ndef action(x):\n"
    "    yield x\n",
}


class World:
    """What rows are told about: a broker, topics, files, and a port that is taken."""

    def __init__(self, kafka: Kafka, mark: str, folder: Any, taken: int) -> None:
        self.kafka, self.mark, self.folder, self.taken = kafka, mark, folder, taken
        (self.nobody,) = free_ports(1)
        self._numbers = itertools.count()
        for topic, partitions in (("in", 2), ("out", 2), ("narrow", 1)):
            kafka.create(self.topic(topic), partitions)
        kafka.create(self.topic("three.changelog"), 3, cleanup_policy="compact")
        kafka.forbid(
            ResourceType.TOPIC, kafka.create(self.topic("locked"), 2, cleanup_policy="compact"), AclOperation.WRITE
        )
        gone = kafka.create(self.topic("gone"))
        kafka.send(gone, [{"value": b"x" * 8}] * 3)
        for deleted in kafka.admin.delete_records([TopicPartition(gone, 0, 3)]).values():
            deleted.result(30)
        for name, code in CODES.items():
            (folder / f"{name}.py").write_text(code)

    def topic(self, name: str) -> str:
        return f"{self.mark}-{name}"

    def model(self, name: str) -> str:
        return str(self.folder / f"{name}.py")

    def file(self, name: str) -> str:
        return str(self.folder / name)

    def run(self, *arguments: str, **options: object) -> list[str]:
        """A start of the service that is right but for what is given."""
        right: dict[str, object] = {
            "bootstrap_servers": self.kafka.servers,
            "input_topic": self.topic("in"),
            "output_topic": self.topic("out"),
            "group": self.topic(f"group-{next(self._numbers)}"),
            "kafka": ["session.timeout.ms=6000"],
        }
        return command("run", *(arguments or [COUNTER]), **right | options)

    def other(self, name: str, *arguments: str, **options: object) -> list[str]:
        return command(name, *arguments, **{"bootstrap_servers": self.kafka.servers} | options)


@dataclasses.dataclass(frozen=True)
class Row:
    name: str
    code: int
    said: str
    line: Callable[[World], list[str]]


RUN = [
    # No broker first: those wait longest, and the others run meanwhile.
    Row("no broker", 4, "no Kafka broker answers", lambda w: w.run(bootstrap_servers=f"127.0.0.1:{w.nobody}")),
    Row(
        "no broker, two workers",
        4,
        "no Kafka broker answers",
        lambda w: w.run(bootstrap_servers=f"127.0.0.1:{w.nobody}", workers=2),
    ),
    Row("port taken", 2, "cannot listen on it", lambda w: w.run(http=w.taken)),
    Row("second port taken", 2, "cannot listen on it", lambda w: w.run(http=w.taken - 1, workers=2)),
    Row("host of another", 2, "cannot listen on it", lambda w: w.run(http="192.0.2.1:0")),
    Row("IPv6 without brackets", 2, "needs brackets", lambda w: w.run(http="::1:9000")),
    Row("no input topic", 4, "does not exist", lambda w: w.run(input_topic=w.topic("no"))),
    Row("no input topic, two workers", 4, "ending all", lambda w: w.run(input_topic=w.topic("no"), workers=2)),
    Row("no output topic", 4, "does not exist", lambda w: w.run(output_topic=w.topic("no"))),
    Row("too few partitions", 2, "has 1 partitions", lambda w: w.run(output_topic=w.topic("narrow"))),
    Row("one session, two partitions", 2, "--session all", lambda w: w.run(session="all")),
    Row("changelog of others", 2, "3 partitions", lambda w: w.run(changelog_topic=w.topic("three.changelog"))),
    Row("changelog that forgets", 2, "cleanup.policy", lambda w: w.run(changelog_topic=w.topic("narrow"))),
    Row("changelog that is locked", 4, "lacks Write on topic", lambda w: w.run(changelog_topic=w.topic("locked"))),
    Row("no name for a changelog", 4, "cannot be created", lambda w: w.run(changelog_topic="a b")),
    Row(
        "transaction too long",
        4,
        "INVALID_TRANSACTION_TIMEOUT",
        lambda w: w.run(kafka="transaction.timeout.ms=1000000"),
    ),
    Row(
        "session too long",
        4,
        "group.max.session.timeout.ms",
        lambda w: w.run(kafka=["session.timeout.ms=2000000", "max.poll.interval.ms=3000000"]),
    ),
    Row("no such property", 2, "Did you mean", lambda w: w.run(kafka="session.timeout=1")),
    Row("a property of ours", 2, "not yours to set", lambda w: w.run(kafka="isolation.level=read_uncommitted")),
    Row("no schema file", 3, "no file /no/such.avsc", lambda w: w.run(schema="double=/no/such.avsc")),
    Row("no model", 3, "no-model", lambda w: w.run(w.model("no-model"))),
    Row("no Python", 3, "syntax", lambda w: w.run(w.model("syntax"))),
    Row(
        "begin raises",
        3,
        "no weights",
        lambda w: w.run(w.model("raises"), input_encoding="json", output_encoding="json"),
    ),
    Row("begin raises, two workers", 3, "no weights", lambda w: w.run(w.model("raises"), workers=2)),
    Row("begin leaves", 7, "", lambda w: w.run(w.model("leaves"))),
    Row("begin leaves, two workers", 7, "ending all", lambda w: w.run(w.model("leaves"), workers=2)),
    Row("no schema", 3, "no schema for slot", lambda w: w.run(w.model("bare"))),
    Row("no attachment", 3, "no-attachment", lambda w: w.run(attachment=w.file("no-attachment.tar.gz"))),
    Row("no settings file", 2, "cannot be read", lambda w: w.run(config=w.file("no.toml"))),
    Row("stopped in begin", 0, "stopped", lambda w: w.run(w.model("stopped"), until_end=True)),
    Row("records gone", 4, "none is left", lambda w: w.run(input_topic=w.topic("gone"), until_end=True)),
    Row(
        "records gone, two workers",
        4,
        "ending all",
        lambda w: w.run(input_topic=w.topic("gone"), until_end=True, workers=2),
    ),
]


OTHERS = [
    Row(
        "tail: no broker",
        4,
        "",
        lambda w: w.other("tail", output_topic="t", bootstrap_servers=f"127.0.0.1:{w.nobody}"),
    ),
    Row(
        "replay: no broker",
        4,
        "no Kafka broker",
        lambda w: w.other("replay", w.file("prices.csv"), topic="t", bootstrap_servers=f"127.0.0.1:{w.nobody}"),
    ),
    Row(
        "dead-letters: no broker",
        4,
        "no Kafka broker",
        lambda w: w.other("dead-letters", "list", topic="t", bootstrap_servers=f"127.0.0.1:{w.nobody}"),
    ),
    Row("tail: no topic", 4, "", lambda w: w.other("tail", output_topic=w.topic("no"))),
    Row("replay: no file", 2, "no-prices", lambda w: w.other("replay", w.file("no-prices.csv"), topic=w.topic("in"))),
    Row(
        "replay: no topic",
        4,
        "does not exist",
        lambda w: w.other("replay", w.file("prices.csv"), topic=w.topic("no")),
    ),
    Row(
        "dead-letters: no topic",
        4,
        "does not exist",
        lambda w: w.other("dead-letters", "list", topic=w.topic("no")),
    ),
    Row(
        "dead-letters: no such letter",
        2,
        "no dead letter at 0@7",
        lambda w: w.other("dead-letters", "resubmit", "0@7", topic=w.topic("in")),
    ),
    Row("score: no model", 3, "no-model", lambda w: command("score", w.model("no-model"))),
    Row("score: begin raises", 3, "no weights", lambda w: command("score", w.model("raises"))),
    Row(
        "engine: port taken",
        2,
        "--listen",
        lambda w: command("engine", listen=f"127.0.0.1:{w.taken}", data=w.file("engine")),
    ),
    Row(
        "engine: no folder",
        2,
        "--data",
        lambda w: command("engine", listen="127.0.0.1:0", data=w.file("prices.csv")),
    ),
]


ROWS = [*OTHERS[:3], *RUN, *OTHERS[3:]]  # those that wait longest first


@pytest.fixture(scope="module")
def world(broker, tmp_path_factory):
    kafka = Kafka(broker.servers)
    folder = tmp_path_factory.mktemp("starts")
    (folder / "prices.csv").write_text("Date,Close\n2020-01-02,1.5\n")
    (folder / "bare.py").write_text("def action(x):\n    yield x\n")
    with socket.socket() as taken:
        port = free_ports(1)[0]
        taken.bind(("127.0.0.1", port))
        taken.listen()
        yield World(kafka, f"starts-{os.getpid()}", folder, port)


def _end(line: list[str]) -> tuple[int, str, bool]:
    """(exit code, what it said, whether a process of it is left)"""
    process = subprocess.Popen(
        line,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        out, _ = process.communicate(timeout=SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        return -1, process.communicate()[0], True
    try:
        os.killpg(process.pid, 0)
    except ProcessLookupError:
        return process.returncode, out, False
    os.killpg(process.pid, signal.SIGKILL)
    return process.returncode, out, True


@pytest.fixture(scope="module")
def ends(world, request):
    """The outcome of each row that was chosen, by its name."""
    chosen = {
        item.callspec.params["row"].name
        for item in request.session.items
        if isinstance(getattr(getattr(item, "callspec", None), "params", {}).get("row"), Row)
    }
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        yield {row.name: pool.submit(_end, row.line(world)) for row in ROWS if row.name in chosen}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name.replace(" ", "-"))
def test_a_wrong_start_says_why_and_ends(row, ends):
    code, said, left = ends[row.name].result(2 * SECONDS)
    assert code == row.code, said[-3000:]
    assert row.said in said
    assert "Traceback" not in said or row.name.startswith(("begin raises", "score: begin"))
    assert not left


def test_a_worker_that_its_group_takes_for_another_ends(kafka, topics, tmp_path):
    """Two services with one group.instance.id: the earlier one is fenced, and its consumer never reads again."""
    member = ["group.instance.id=only", "session.timeout.ms=6000", "heartbeat.interval.ms=500"]
    with Service(tmp_path, COUNTER, kafka.servers, kafka=member, **topics) as first:
        first.wait_for("assigned ")
        with Service(tmp_path, COUNTER, kafka.servers, kafka=member, **topics) as second:
            assert first.wait(SECONDS) == 4
            assert "Another service has joined the group with this --kafka group.instance.id" in first.text()
            second.wait_for("assigned ")
            # And one that does not go with the others of its group is told so, rather than idle for ever.
            other = command(
                "run", COUNTER, bootstrap_servers=kafka.servers, kafka="partition.assignment.strategy=range", **topics
            )
            code, said, _ = _end(other)
            assert code == 4
            assert "The members of a group must share a strategy" in said


def test_supervised_workers_are_static_members_of_their_own(kafka, topics, tmp_path):
    member = ["group.instance.id=scorer", "session.timeout.ms=6000"]
    with Service(tmp_path, COUNTER, kafka.servers, kafka=member, workers=2, **topics) as service:
        service.wait_for("assigned ")
        deadline = time.monotonic() + SECONDS
        while kafka.members(topics["group"]) != {"scorer-0", "scorer-1"}:
            assert time.monotonic() < deadline, kafka.members(topics["group"])
            time.sleep(0.1)
        assert service.stop() == 0
    assert "cannot go on" not in service.text()
