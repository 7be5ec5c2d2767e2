"""A real Kafka broker for tests and bench. The first of these that is possible on this machine:

1. the broker named by STREAM_SCORER_TEST_BROKER=host:port (`native` and `docker` choose one of the next two instead),
2. a container, where a Docker engine answers,
3. a process, where there are Java and Maven; as root on Debian or Ubuntu they are installed by apt.

Over 300 lines: the three kinds and the choice between them are read together.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

ROOT = Path(__file__).parents[1]
POM = ROOT / "docker" / "kafka" / "pom.xml"
VARIABLE = "STREAM_SCORER_TEST_BROKER"
START_S = 300.0
"""Ends a start that hangs. A busy machine may need minutes, most of all after a kill -9: the log is recovered."""


class NoBroker(Exception):
    """No broker is possible here; the text says what to install."""


class Broker(Protocol):
    """A running broker. If `ours` is False somebody else runs it: it cannot be paused, killed or started again."""

    servers: str
    ours: bool
    proxied: str
    """Bootstrap servers of the listener for tests with a proxy of their own. Nothing listens there: the test's proxy does."""
    behind_proxy: int
    """The port to which that proxy forwards."""

    def pause(self) -> None:
        """Stop the process; its connections stay open."""

    def resume(self) -> None: ...

    def kill(self) -> None:
        """End it as kill -9 does."""

    def start(self) -> None:
        """Start it again after `kill`, with its data. Blocks until it answers; raises NoBroker."""

    def close(self) -> None: ...


def find_broker() -> Broker:
    """Start the first broker that is possible here. Blocks until it answers; raises NoBroker."""
    asked = os.environ.get(VARIABLE, "")
    if asked and asked not in ("native", "docker"):
        wait_for(asked)
        return ForeignBroker(asked)
    if asked != "native" and docker_answers():
        return DockerBroker()
    if asked == "docker":
        raise NoBroker(f"{VARIABLE}=docker, and no Docker engine answers `docker info`.")
    return NativeBroker()


def docker_answers() -> bool:
    if not shutil.which("docker"):
        return False
    return subprocess.run(["docker", "info"], capture_output=True, timeout=30, check=False).returncode == 0


def wait_for(servers: str, seconds: float = START_S, alive: Callable[[], bool] = lambda: True) -> None:
    """Block until a broker answers. Raises NoBroker after `seconds`, or as soon as it is not `alive`."""
    deadline = time.monotonic() + seconds
    admin = AdminClient({"bootstrap.servers": servers, "log_level": 0})
    while True:
        try:
            admin.list_topics(timeout=2)
        except KafkaException as error:
            if time.monotonic() > deadline or not alive():
                raise NoBroker(f"no broker answers at {servers}: {error.args[0].str()}") from error
        else:
            return


def free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 on which nothing listens now."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for listener in sockets:
            _bind(listener)
        return [listener.getsockname()[1] for listener in sockets]


def _bind(listener: socket.socket) -> None:
    """Bind to a port below those that systems give to outgoing connections. While a test has stopped its broker, clients
    try to connect again and again: one of them could be given the broker's own port."""
    while True:
        with contextlib.suppress(OSError):
            return listener.bind(("127.0.0.1", random.randrange(20_000, 32_000)))


class ForeignBroker:
    """A broker that somebody else runs: used as it is."""

    ours = False
    proxied, behind_proxy = "", 0

    def __init__(self, servers: str) -> None:
        self.servers = servers

    def pause(self) -> None:
        raise NotImplementedError("somebody else runs this broker: it cannot be stopped from here")

    resume = kill = start = pause

    def close(self) -> None:
        pass


class NativeBroker:
    """One KRaft node as a child process, its data in a temporary folder."""

    ours = True

    def __init__(self) -> None:
        self._jars = kafka_jars()
        self.folder = Path(tempfile.mkdtemp(prefix="stream-scorer-kafka-"))
        inside, outside, controller, self.behind_proxy, proxied = free_ports(5)
        self.servers, self.proxied = f"127.0.0.1:{outside}", f"127.0.0.1:{proxied}"
        more, properties = self._more_listeners()
        nodes = ",".join([f"INSIDE://127.0.0.1:{inside}", f"OUTSIDE://127.0.0.1:{outside}", *more])
        self._properties = self.folder / "server.properties"
        self._properties.write_text(
            f"{(POM.parent / 'server.properties').read_text()}\n"
            f"listeners={nodes},PROXIED://127.0.0.1:{self.behind_proxy},CONTROLLER://127.0.0.1:{controller}\n"
            f"advertised.listeners={nodes},PROXIED://{self.proxied}\n"
            f"controller.quorum.bootstrap.servers=127.0.0.1:{controller}\n"
            f"log.dirs={self.folder / 'data'}\n"
            f"{properties}"
        )
        cluster = uuid.uuid4().hex[:22]
        self._java("kafka.tools.StorageTool", "format", "--standalone", "-t", cluster, "-c", str(self._properties))
        self.start()

    def _more_listeners(self) -> tuple[list[str], str]:
        """(NAME://HOST:PORT of listeners besides the plain ones, lines of server.properties for them)."""
        return [], ""

    def start(self) -> None:
        self.log = self.folder / "broker.log"
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command("kafka.Kafka", str(self._properties)), stdout=log, stderr=log, start_new_session=True
            )
        try:
            wait_for(self.servers, alive=lambda: self._process.poll() is None)
        except NoBroker as error:
            raise NoBroker(f"{error}\n{self.log.read_text()[-2000:]}") from error

    def pause(self) -> None:
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _command(self, main: str, *arguments: str) -> list[str]:
        log4j = f"-Dlog4j2.configurationFile={POM.parent / 'log4j2.properties'}"
        memory = ("-Xms256m", "-Xmx768m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=4")
        return ["java", *memory, log4j, "-cp", f"{self._jars}/*", main, *arguments]

    def _java(self, main: str, *arguments: str) -> None:
        done = subprocess.run(self._command(main, *arguments), capture_output=True, text=True, check=False)
        if done.returncode:
            raise NoBroker(f"{main} {arguments[0]} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")


def _cache() -> Path:
    folder = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "stream-scorer"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextlib.contextmanager
def _alone(what: str) -> Iterator[None]:
    """Within the block no other process fetches or builds the same: the first does, the others find the result."""
    with (_cache() / f"lock-{what}").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def kafka_jars() -> Path:
    """The folder of the broker's jars, which Maven fetches once per version. Raises NoBroker."""
    with _alone("kafka"):
        return _fetched()


def _fetched() -> Path:
    _have_java()
    version = hashlib.sha256(POM.read_bytes()).hexdigest()[:12]
    folder = _cache() / f"kafka-{version}"
    if not folder.is_dir():
        say("fetching Kafka (about 60 MB) with Maven")
        with tempfile.TemporaryDirectory(dir=folder.parent) as work:
            fetch = [
                "mvn",
                "-q",
                "-B",
                "-f",
                str(POM),
                "dependency:copy-dependencies",
                f"-DoutputDirectory={work}/jars",
            ]
            done = subprocess.run(fetch, capture_output=True, text=True, check=False)
            if done.returncode:
                raise NoBroker(f"Maven could not fetch Kafka:\n{(done.stdout + done.stderr)[-2000:]}")
            (Path(work) / "jars").rename(folder)
    return folder


def _have_java() -> None:
    if shutil.which("java") and shutil.which("mvn"):
        return
    if not (os.geteuid() == 0 and shutil.which("apt-get")):
        raise NoBroker(
            "the tests need a real Kafka broker, and there is none of: a broker named by "
            f"{VARIABLE}=host:port, a Docker engine, Java 17 with Maven. Install one of them "
            "(Debian, Ubuntu: apt-get install default-jre-headless maven), or leave those tests out: --no-broker."
        )
    say("installing a JRE and Maven by apt, to run a Kafka broker (or give STREAM_SCORER_TEST_BROKER=host:port)")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (
        ["apt-get", "update", "-qq"],
        ["apt-get", "install", "-y", "-qq", "--no-install-recommends", "default-jre-headless", "maven"],
    ):
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
        if done.returncode:
            raise NoBroker(f"{' '.join(command)} failed:\n{(done.stdout + done.stderr)[-2000:]}")


class DockerBroker:
    """A container of the image in docker/kafka, run by testcontainers."""

    ours = True

    def __init__(self) -> None:
        os.environ.setdefault("TESTCONTAINERS_RYUK_DISABLED", "true")  # its image cannot be pulled everywhere
        from testcontainers.core.container import DockerContainer

        build_image("kafka")
        port, self.behind_proxy, proxied = free_ports(3)
        self.servers, self.proxied = f"127.0.0.1:{port}", f"127.0.0.1:{proxied}"
        container = DockerContainer("stream-scorer-kafka:latest")
        container.with_env("OUTSIDE_PORT", str(port)).with_env("PROXIED_PORT", str(proxied))
        self._container = container.with_bind_ports(9094, port).with_bind_ports(9095, self.behind_proxy)
        self._container.start()
        self._wait()

    def _wait(self) -> None:
        try:
            wait_for(self.servers)
        except NoBroker as error:
            raise NoBroker(f"{error}\n{self._container.get_wrapped_container().logs()[-2000:]!r}") from error

    def pause(self) -> None:
        self._container.get_wrapped_container().pause()

    def resume(self) -> None:
        self._container.get_wrapped_container().unpause()

    def kill(self) -> None:
        self._container.get_wrapped_container().kill()

    def start(self) -> None:
        self._container.get_wrapped_container().start()
        self._wait()

    def close(self) -> None:
        self._container.stop()


def build_image(name: str) -> None:
    """Build the image `kafka` or `scorer` by docker/build. Raises NoBroker."""
    with _alone("images"):
        say(f"building the {name} image")
        done = subprocess.run([str(ROOT / "docker" / "build"), name], capture_output=True, text=True, check=False)
    if done.returncode:
        raise NoBroker(f"docker/build {name} failed:\n{(done.stdout + done.stderr)[-4000:]}")


def say(text: str) -> None:
    """Print past pytest's capture: users read before it happens what takes minutes or changes their machine."""
    print(f"[stream-scorer tests] {text}", file=sys.__stderr__, flush=True)
