"""A real Kafka broker for the tests, from wherever this machine can have one.

The ladder, first rung that holds: STREAM_SCORER_TEST_BROKER (host:port of a broker, or `native` or
`docker` to choose a rung), a Docker engine, Java with Maven, and as root on Debian or Ubuntu a JRE and
Maven installed by apt.
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
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

ROOT = Path(__file__).parents[1]
POM = ROOT / "docker" / "kafka" / "pom.xml"
VARIABLE = "STREAM_SCORER_TEST_BROKER"
START_S = 90.0


class NoBroker(Exception):
    """No rung holds; the text says what to install."""


class Broker(Protocol):
    """A broker. One of ours can be paused, killed and started again; another's cannot (`ours` is False)."""

    servers: str
    ours: bool
    proxied: str
    """Servers as a client finds them that must go through a proxy: nothing listens there, ..."""
    behind_proxy: int
    """... and this is the port such a proxy has to forward to."""

    def pause(self) -> None: ...

    def resume(self) -> None: ...

    def kill(self) -> None:
        """As by kill -9."""

    def start(self) -> None:
        """Again after `kill`, with the data it had; returns once it answers."""

    def close(self) -> None: ...


def find_broker() -> Broker:
    """Start a broker on the highest rung that holds, or raise NoBroker."""
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


def wait_for(servers: str, seconds: float = START_S, living: Any = lambda: True) -> None:
    deadline = time.monotonic() + seconds
    admin = AdminClient({"bootstrap.servers": servers, "log_level": 0})
    while True:
        try:
            admin.list_topics(timeout=2)
        except KafkaException as error:
            if time.monotonic() > deadline or not living():
                raise NoBroker(f"no broker answers at {servers}: {error.args[0].str()}") from error
        else:
            return


def free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            _bind(one)
        return [one.getsockname()[1] for one in sockets]


def _bind(one: socket.socket) -> None:
    """To a port below those that systems give to outgoing connections: a broker that is away for a while, as some
    tests have it, would find its own taken by a client that goes on knocking at it."""
    while True:
        with contextlib.suppress(OSError):
            return one.bind(("127.0.0.1", random.randrange(20_000, 32_000)))


class ForeignBroker:
    """Somebody else's: used as it is."""

    ours = False
    proxied, behind_proxy = "", 0

    def __init__(self, servers: str) -> None:
        self.servers = servers

    def pause(self) -> None:
        raise NotImplementedError("not ours to stop")

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
        """NAME://HOST:PORT of listeners besides the plain ones, and what server.properties says of them."""
        return [], ""

    def start(self) -> None:
        self.log = self.folder / "broker.log"
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command("kafka.Kafka", str(self._properties)), stdout=log, stderr=log, start_new_session=True
            )
        try:
            wait_for(self.servers, living=lambda: self._process.poll() is None)
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
def _alone() -> Iterator[None]:
    """Tests run in several processes: one of them fetches and builds, the others find it done."""
    with (_cache() / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def kafka_jars() -> Path:
    """Folder of the broker's jars, fetched by Maven once per version."""
    with _alone():
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
    """The image of docker/kafka, run by testcontainers."""

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
    """`kafka` or `scorer`, by the project's own script."""
    with _alone():
        say(f"building the {name} image")
        done = subprocess.run([str(ROOT / "docker" / "build"), name], capture_output=True, text=True, check=False)
    if done.returncode:
        raise NoBroker(f"docker/build {name} failed:\n{(done.stdout + done.stderr)[-4000:]}")


def say(text: str) -> None:
    """Past pytest's capture: what takes minutes or changes the machine is told before it happens."""
    print(f"[stream-scorer tests] {text}", file=sys.__stderr__, flush=True)
