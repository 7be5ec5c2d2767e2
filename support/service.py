"""`stream-scorer run` and other commands as processes, as an operator starts them."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

MODELS = Path(__file__).parent / "models"
ROLLING_MEAN = str(MODELS / "rolling_mean.py")
ROLLING_MEAN_BATCHED = str(MODELS / "rolling_mean_batched.py")
FLAGSHIP = "tf_sp500_lstm"


class Service:
    """A process of `stream-scorer run`, with its log in a file. The end of the block stops it.

    Args:
        folder: of the log; made if it is missing.
        options: flags without leading dashes, with underscores for dashes; a list repeats the flag.
    """

    def __init__(self, folder: Path, model: str, servers: str, **options: object) -> None:
        self._command = command("run", model, bootstrap_servers=servers, **options)
        folder.mkdir(parents=True, exist_ok=True)
        self.log = folder / f"service-{len(list(folder.glob('service-*')))}.log"
        self.process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            return subprocess.Popen(self._command, stdout=log, stderr=log, start_new_session=True)

    def text(self) -> str:
        """Its log so far."""
        return self.log.read_text()

    def wait_for(self, text: str, seconds: float = 120) -> None:
        """Block until the log has the text; fails if the process ends before."""
        deadline = time.monotonic() + seconds
        while text not in self.text():
            assert self.process.poll() is None, f"ended with {self.process.returncode}:\n{self.text()[-3000:]}"
            assert time.monotonic() < deadline, f"no {text!r} in {seconds} s:\n{self.text()[-3000:]}"
            time.sleep(0.05)

    def wait_for_times(self, text: str, times: int, seconds: float = 120) -> None:
        deadline = time.monotonic() + seconds
        while self.text().count(text) < times:
            assert time.monotonic() < deadline, f"no {times} times {text!r} in {seconds} s:\n{self.text()[-3000:]}"
            time.sleep(0.05)

    def workers(self) -> list[int]:
        """Process ids of the workers that this supervisor has started, in order."""
        return [int(pid) for pid in re.findall(r"worker \d+ started, process (\d+)", self.text())]

    def wait_for_no_worker(self, seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        while alive := [pid for pid in self.workers() if _is_alive(pid)]:
            if time.monotonic() > deadline:
                for pid in alive:
                    os.kill(pid, signal.SIGKILL)
                raise AssertionError(f"{alive} are still alive after {seconds} s:\n{self.text()[-3000:]}")
            time.sleep(0.05)

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def wait(self, seconds: float = 120) -> int:
        return self.process.wait(seconds)

    def kill(self) -> None:
        """kill -9."""
        self.process.kill()
        self.process.wait()

    def stop(self, seconds: float = 60) -> int:
        """Send SIGTERM and wait; the exit code. Fails, after kill -9, if it does not end within `seconds`."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"not stopped in {seconds} s:\n{self.text()[-3000:]}") from None

    def __enter__(self) -> Service:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.stop()


def command(name: str, *arguments: str, **options: object) -> list[str]:
    """The command line of a stream-scorer command in this interpreter; options as of Service."""
    line = [sys.executable, "-m", "stream_scorer", name, *arguments]
    for key, value in options.items():
        flag = "--" + key.replace("_", "-")
        if value is True:
            line.append(flag)
        elif isinstance(value, list):
            for item in value:
                line += [flag, str(item)]
        elif value is not None and value is not False:
            line += [flag, str(value)]
    return line


def run(
    name: str,
    *arguments: str,
    stdin: bytes | None = None,
    seconds: float = 600,
    environment: Mapping[str, str] | None = None,
    **options: object,
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end. `environment`: variables besides those of this process."""
    done = subprocess.run(
        command(name, *arguments, **options),
        input=stdin,
        capture_output=True,
        timeout=seconds,
        env={**_environment(), **(environment or {})},
        check=False,
    )
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


def score_topic(model: str, servers: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run the service to the end of the input. Fails unless it exits with 0, or with 1 as all records were rejected."""
    done = run("run", model, bootstrap_servers=servers, until_end=True, **options)
    all_rejected = done.returncode == 1 and "records were rejected; the first at" in done.stderr
    assert done.returncode == 0 or all_rejected, done.stderr
    return done


def _is_alive(pid: int) -> bool:
    """False for a zombie too: in a container there may be no parent that reaps it."""
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except ProcessLookupError:
        return False
    except FileNotFoundError:  # it has just ended, or this system has no /proc
        return not Path("/proc").is_dir()


def _environment() -> dict[str, str]:
    """Without the settings that a developer may have in the environment."""
    return {name: value for name, value in os.environ.items() if not name.startswith("STREAM_SCORER_")}
