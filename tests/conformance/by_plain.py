"""Runs a case in a plain host, which knows begin, action and end and nothing of this project: `plain_host`."""

from __future__ import annotations

import pickle
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self

ROOT = Path(__file__).parents[2]


class Given(NamedTuple):
    """What one callback gave: (slot, datum) each, and the error it ended in."""

    outputs: list[tuple[int, Any]]
    error: str | None


class Plain:
    """One process, which forks another for each job."""

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "tests.conformance.plain_host"]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, text=True)
        self._busy = threading.Lock()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def run(self, folder: Path, source: str, values: Sequence[Any], **more: Any) -> list[Given] | str:
        """Of each value and of `end`, up to the first error; an error of the body or of `begin` as text."""
        (folder / "job.pickle").write_bytes(pickle.dumps({"source": source, "values": list(values), **more}))
        assert self._process.stdin
        assert self._process.stdout
        with self._busy:
            print(folder, file=self._process.stdin, flush=True)
            status = self._process.stdout.readline().strip()
        assert status == "0", f"the plain host ended with {status}: {(folder / 'console.txt').read_text()}"
        found = pickle.loads((folder / "found.pickle").read_bytes())
        return found if isinstance(found, str) else [Given(*one) for one in found]
