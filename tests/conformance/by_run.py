"""Runs a case through `stream-scorer run`'s own parts, on the transport in memory; in a process for all of them.

Twice: in one piece, and with an aborted transaction and a restart on the way.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from stream_scorer.errors import StreamScorerError
from stream_scorer.service.memory import MemoryLog
from tests.conformance.by_score import FORKS, archive
from tests.conformance.case import Case
from tests.support import wired


@dataclass
class Found:
    """What a committed reader of all topics sees; each record goes by its offset.

    refused: before the first record. failed: what ended the service later.
    """

    outputs: list[tuple[int, int, bytes]] = field(default_factory=list)
    rejects: list[tuple[int, str, str]] = field(default_factory=list)
    refused: str = ""
    failed: str = ""
    console: str = ""

    def data(self) -> object:
        return self.outputs, [(offset, stage) for offset, stage, _ in self.rejects], bool(self.refused)


@dataclass(frozen=True)
class Job:
    folder: Path
    model: str
    schemas: tuple[str, ...]
    attachment: str | None
    input_encoding: str
    output_encoding: str
    slots: tuple[int, ...]
    values: tuple[bytes, ...]


def job(case: Case, folder: Path, encodings: tuple[str, str], slots: Sequence[int], values: Sequence[bytes]) -> Job:
    """Its files written."""
    (folder / "model.py").write_text(case.model)
    for name, text in case.schemas.items():
        (folder / f"{name}.schema").write_text(text)
    for name, files in case.attachments.items():
        (folder / name).write_bytes(archive(name, files))
    attachment = next(iter(case.attachments), None)
    return Job(folder, "model.py", tuple(case.schemas), attachment, *encodings, tuple(slots), tuple(values))


def run(one: Job) -> tuple[Found, Found]:
    """In one piece, and with an abort and a restart. In the process of the pool."""
    count = len(one.values)
    return _run(one, 1000), _run(one, 2, aborts=(max(1, count // 3),), restarts=(count - count // 2,))


def _run(one: Job, batch: int, aborts: Sequence[int] = (), restarts: Sequence[int] = ()) -> Found:
    os.chdir(one.folder)
    sys.modules.pop("model", None)  # a service has one of that name
    found, log, said = Found(), MemoryLog(), io.StringIO()
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            chosen = wired.settings(
                one.input_encoding,
                one.output_encoding,
                one.slots,
                schema={name: str(one.folder / f"{name}.schema") for name in one.schemas},
                attachment=one.folder / one.attachment if one.attachment else None,
            )
            wired.run(
                one.folder / one.model, chosen, one.values, aborts=aborts, restarts=restarts, batch=batch, log=log
            )
    except StreamScorerError as error:
        found.failed = str(error)
        if not log.positions:
            found.refused = str(error)
    found.outputs = [(one.slot, one.source.offset, one.value) for one in log.outputs]
    found.rejects = [(one.source.offset, one.stage, one.message) for one in log.rejects]
    found.console = said.getvalue()
    return found


class Runs:
    """One process for many cases, one after the other; another one where a case has ended it."""

    def __enter__(self) -> Self:
        self._busy = threading.Lock()
        self._pool = ProcessPoolExecutor(1, mp_context=FORKS)
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown()

    def run(self, one: Job) -> tuple[Found, Found]:
        with self._busy:
            try:
                return self._pool.submit(run, one).result()
            except BrokenProcessPool:
                self._pool = ProcessPoolExecutor(1, mp_context=FORKS)
                raise AssertionError("the process of the service has ended") from None
