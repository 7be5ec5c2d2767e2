"""The main job in containers, as an operator runs it: a broker, the service, a replay, on a network of their own."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from stream_scorer.modelop.client.http import Server
from support.brokers import ROOT, build_image, free_ports, wait_for
from support.kafka import Kafka

if TYPE_CHECKING:
    from testcontainers.core.container import DockerContainer

pytestmark = [pytest.mark.container, pytest.mark.slow]

MODEL = ROOT / "stream_scorer" / "models" / "tf_sp500_lstm.py"
PRICES, WINDOW = 1000, 30
SCORES = PRICES - WINDOW + 1
SERVERS = "kafka:9092"
# Loading TensorFlow, on a machine that is doing other things too.
LOAD_S = 120


class Containers:
    """Runs containers on a network of their own; on `close` nothing of them is left."""

    def __init__(self) -> None:
        # The reaper's image cannot be pulled everywhere; `close` does its work.
        os.environ.setdefault("TESTCONTAINERS_RYUK_DISABLED", "true")
        from testcontainers.core.network import Network

        self._stack = contextlib.ExitStack()
        self._network = self._stack.enter_context(Network())

    def run(
        self,
        image: str,
        *command: str,
        alias: str,
        env: dict[str, str] | None = None,
        ports: dict[int, int] | None = None,
        files: dict[Path, str] | None = None,
    ) -> DockerContainer:
        from testcontainers.core.container import DockerContainer

        container = DockerContainer(image, network=self._network, network_aliases=[alias], env=env)
        if command:
            container.with_command(list(command))
        for inside, outside in (ports or {}).items():
            container.with_bind_ports(inside, outside)
        for here, there in (files or {}).items():
            container.with_volume_mapping(str(here), there)
        return self._stack.enter_context(container)

    def close(self) -> None:
        self._stack.close()


def log_of(container: DockerContainer) -> str:
    return b"".join(container.get_logs()).decode(errors="replace")


def wait_for_line(container: DockerContainer, text: str, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while text not in log_of(container):
        container.reload()
        assert container.status == "running", f"ended before {text!r}:\n{log_of(container)[-3000:]}"
        assert time.monotonic() < deadline, f"no {text!r} in {seconds} s:\n{log_of(container)[-3000:]}"
        time.sleep(0.2)


def finish(container: DockerContainer, seconds: float) -> int:
    """The exit code, once it has one."""
    answer: dict[str, Any] = container.get_wrapped_container().wait(timeout=seconds)
    return int(answer["StatusCode"])


@pytest.fixture(scope="module")
def scored(docker: None) -> Iterator[SimpleNamespace]:
    """A thousand prices went through: the scores a committed reader sees, and the service, still running."""
    build_image("kafka")
    build_image("scorer")
    containers = Containers()
    with contextlib.closing(containers):
        (port,) = free_ports(1)
        containers.run(
            "stream-scorer-kafka:latest",
            alias="kafka",
            env={"INSIDE_HOST": "kafka", "OUTSIDE_PORT": str(port)},
            ports={9094: port},
        )
        wait_for(f"localhost:{port}")
        topics = ("--input-topic", "prices", "--output-topic", "forecasts", "--create-topics")
        service = containers.run(
            "stream-scorer:latest", "run", MODEL.stem, "--bootstrap-servers", SERVERS, *topics, alias="scorer"
        )
        # A topic made by either side suits the other: the service may be loading its model yet.
        replay = containers.run(
            "stream-scorer:latest",
            *(
                "replay",
                "synthetic",
                "--adjusted",
                "--topic",
                "prices",
                "--create-topic",
                "--bootstrap-servers",
                SERVERS,
            ),
            alias="replay",
        )
        assert finish(replay, LOAD_S) == 0, log_of(replay)
        wait_for_line(service, "assigned prices[0]", LOAD_S)
        kafka = Kafka(f"localhost:{port}")
        messages = kafka.wait_for("forecasts", SCORES)
        yield SimpleNamespace(messages=messages, service=service, kafka=kafka, containers=containers)


def test_each_price_is_scored_once_and_in_order(scored):
    headers = [dict(message.headers()) for message in scored.messages]
    assert [of["scorer-source"].decode() for of in headers] == [f"prices/0/{at}" for at in range(WINDOW - 1, PRICES)]
    assert all(len(message.value()) == struct.calcsize("<d") for message in scored.messages)


def test_every_score_names_the_checkouts_model_file(scored):
    sha256 = hashlib.sha256(MODEL.read_bytes()).hexdigest()
    named = {dict(message.headers())["scorer-model"].decode() for message in scored.messages}
    assert named == {f"{MODEL.stem}@{sha256}"}


def test_the_service_is_not_root(scored):
    """By the engine's own list: what a short command in the container prints may be lost on the way."""
    listed = scored.service.get_wrapped_container().top(ps_args="-eo pid,uid,args")
    uids = [int(row[listed["Titles"].index("UID")]) for row in listed["Processes"]]
    assert uids
    assert 0 not in uids


def test_the_image_serves_as_an_engine(scored, tmp_path):
    token = tmp_path / "token"
    token.write_text("as long as it takes\n")
    token.chmod(0o644)  # the container's user is another one
    (port,) = free_ports(1)
    engine = scored.containers.run(
        "stream-scorer:latest",
        *("engine", "--listen", "0.0.0.0:8000", "--token", "/token"),
        alias="engine",
        ports={8000: port},
        files={token: "/token"},
    )
    wait_for_line(engine, "serving connect, model-manage-1, engine-1 on http://0.0.0.0:8000", 30)
    url, rest = f"http://localhost:{port}", json.dumps({"Transport": "REST", "Encoding": "json"}).encode()
    with contextlib.closing(Server(url)) as stranger:
        assert stranger.request("GET", "/2/engine/state").status == 401
    with contextlib.closing(Server(url, token=token.read_text().strip())) as server:
        source = b"import pandas\n# fastscore.recordsets.0: yes\ndef action(xs):\n    yield int(xs.sum())\n"
        kind = {"Content-Type": "application/vnd.fastscore.model-python3", "Content-Disposition": 'x-model; name="sum"'}
        assert server.request("PUT", "/1/job/model", source, headers=kind).status == 204
        for slot in (1, 0):
            attached = server.request(
                "PUT", f"/2/active/stream/{slot}", rest, headers={"Content-Type": "application/json"}
            )
            assert attached.status == 204, attached.text
        for record in (b"1", b"2", b'{"$fastscore": "set"}'):
            assert server.request("POST", "/1/job/input", record).status == 204
        answers = iter(lambda: server.request("GET", "/1/job/output"), None)
        assert next(answer.body for answer in answers if answer.status != 202) == b"3"
    engine.get_wrapped_container().kill(signal="SIGTERM")
    assert finish(engine, 15) == 0, log_of(engine)


def test_sigterm_ends_the_service_within_ten_seconds(scored):
    """Also while it loads its model."""
    loading = scored.containers.run(
        "stream-scorer:latest",
        *("run", MODEL.stem, "--bootstrap-servers", SERVERS, "--input-topic", "prices", "--output-topic", "forecasts"),
        *("--group", "never-joined"),
        alias="loading",
    )
    time.sleep(1)
    for container in (scored.service, loading):
        container.get_wrapped_container().kill(signal="SIGTERM")
        assert finish(container, 10) == 0, log_of(container)[-3000:]
    assert len(scored.kafka.read("forecasts")) == SCORES
