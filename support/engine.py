"""A process of `stream-scorer engine`, and our command line against it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from stream_scorer.modelop.client.http import Answer, Server

PREFIX = "/api/1/service"
PYTHON3 = "application/vnd.fastscore.model-python3"
REST = {"Transport": "REST", "Encoding": "json"}
AT_ONCE = {**REST, "Batching": {"Watermark": None, "NagleTime": 0}}
"""A REST stream without batching: each record goes to the model as it comes."""
_SET_BY_USERS = ("STREAM_SCORER_", "CONNECT_PREFIX", "MODEL", "SCHEMAS", "STREAMS", "ATTACHMENTS", "FASTSCORE_CONFIG")


def clean_environment(home: Path, **more: str) -> dict[str, str]:
    """The environment of this process without the variables that change an engine or a client."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_SET_BY_USERS)}
    return {
        **kept,
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home / ".config"),
        "NO_PROXY": "127.0.0.1,localhost",
        **more,
    }


class EngineProcess:
    """The engine serves within the block. At its end SIGTERM must stop it with exit code 0."""

    def __init__(self, folder: Path, *flags: str, tls: bool = False, token: str = "", **env: str) -> None:
        self.folder = folder
        self._env = clean_environment(folder, **env)
        self._flags = [*flags, "--data", str(folder / "data")] if "--data" not in flags else [*flags]
        self._scheme = "https" if tls else "http"
        self._token = token

    def start(self) -> Self:
        self.folder.mkdir(exist_ok=True, parents=True)
        listen = [] if "--listen" in self._flags else ["--listen", "127.0.0.1:0"]
        command = [sys.executable, "-m", "stream_scorer", "engine", *listen, *self._flags]
        with (self.folder / "engine.log").open("a") as log:
            start = log.tell()
            self.process = subprocess.Popen(command, env=self._env, cwd=self.folder, stderr=log)
        deadline = time.monotonic() + 90
        while not (serving := re.search(r"serving .* on (\S+),", self.log()[start:])):
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.process.kill()
                self.process.wait()
                raise AssertionError(f"the engine does not serve:\n{self.log()}")
            time.sleep(0.02)
        self.url = serving[1]
        self.server = Server(self.url, token=self._token or None, insecure=self._scheme == "https")
        return self

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.server.close()
        if self.process.poll() is None:
            assert self.stop() == 0, self.log()

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal; the exit code. Raises TimeoutExpired after 15 seconds."""
        self.process.send_signal(number)
        try:
            return self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise

    def log(self) -> str:
        return (self.folder / "engine.log").read_text()

    def ask(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None, **query: Any
    ) -> Answer:
        """A request; a `body` that is neither bytes nor None is sent as JSON. `query`: underscores for dashes."""
        all_headers = dict(headers or {})
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
            all_headers.setdefault("Content-Type", "application/json")
        query = {name.replace("_", "-"): value for name, value in query.items()}
        return self.server.request(method, path, body, headers=all_headers, query=query or None)

    def load(self, name: str, source: str, **query: Any) -> Answer:
        headers = {"Content-Type": PYTHON3, "Content-Disposition": f'x-model; name="{name}"'}
        return self.ask("PUT", "/1/job/model", source.encode(), headers, **query)

    def run(self, source: str, name: str = "model") -> None:
        """Load a model and attach REST streams to slots 0 and 1."""
        answer = self.load(name, source)
        assert answer.status == 204, answer.text
        self.attach()

    def attach(self) -> None:
        for slot in (1, 0):
            answer = self.ask("PUT", f"/2/active/stream/{slot}", AT_ONCE)
            assert answer.status == 204, answer.text

    def score(self, *records: Any, expect: int | None = None, prefix: str = "") -> list[Any]:
        """Post records and fetch outputs: one for each record, or `expect` of them. `prefix`: of another engine's API."""
        for record in records:
            assert self.ask("POST", f"{prefix}/1/job/input", json.dumps(record).encode()).status == 204
        outputs: list[Any] = []
        deadline = time.monotonic() + 60
        while len(outputs) < (len(records) if expect is None else expect) and time.monotonic() < deadline:
            answer = self.ask("GET", f"{prefix}/1/job/output")
            if answer.status == 200:
                outputs.append(json.loads(answer.body))
            else:
                assert answer.status == 202, answer.text
        return outputs

    def wait_for_jets(self, count: int, seconds: float = 60) -> list[int]:
        """Block until there are `count` jets: their process ids."""
        deadline = time.monotonic() + seconds
        while len(jets := self.ask("GET", "/2/active/model").json()["jets"]) != count:
            assert time.monotonic() < deadline, f"{len(jets)} jets, not {count}"
            time.sleep(0.02)
        return [jet["pid"] for jet in jets]

    def wait_for_state(self, state: str) -> None:
        deadline = time.monotonic() + 60
        while (current := self.ask("GET", "/2/engine/state").json()["state"]) != state:
            assert time.monotonic() < deadline, f"{current}, not {state}"
            time.sleep(0.02)

    def cli(self, *words: str, stdin: str = "", check: bool = True) -> str:
        """The output of one of our commands. With `check` it must exit with 0; without, the exit code comes first."""
        done = subprocess.run(
            [sys.executable, "-m", "stream_scorer", *words],
            env={**self._env, "STREAM_SCORER_SERVER": self.url},
            cwd=self.folder,
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert not check or done.returncode == 0, (
            f"{words}: {done.returncode}\n{done.stdout}{done.stderr}\n{self.log()}"
        )
        return done.stdout if check else f"{done.returncode} {done.stdout}{done.stderr}"
