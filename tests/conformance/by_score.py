"""Runs a case by `stream-scorer score`, in a process of its own.

The processes are forked from one that has imported the command, or each would take as long again to import it.
"""

from __future__ import annotations

import io
import json
import multiprocessing
import os
import re
import sys
import tarfile
import time
import zipfile
from collections.abc import Mapping
from pathlib import Path

from support.engine import clean_environment
from tests.conformance.case import Case, Slot
from tests.conformance.outcome import Outcome, counted, shown

TIMEOUT_S = 120
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(
    [
        "__main__",
        __name__,
        "stream_scorer.service.app",
        "stream_scorer.commands.score",
        "stream_scorer.programs.score_streams",
    ]
)
_NEW = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
_REJECT = re.compile(r"(?:slot (?P<slot>\d+)|stdin:\d+): (?P<stage>\w+): (?P<text>.*)")
_FAILED = re.compile(r"stream-scorer score: .*?: (?:.*\(\)|the module body) (?:failed:|raised) (?P<why>.*)")


def archive(name: str, files: Mapping[str, str]) -> bytes:
    """An attachment."""
    out = io.BytesIO()
    if name.endswith(".zip"):
        with zipfile.ZipFile(out, "w") as zipped:
            for path, text in files.items():
                zipped.writestr(path, text)
    else:
        with tarfile.open(fileobj=out, mode="w:gz") as tar:
            for path, text in files.items():
                entry = tarfile.TarInfo(path)
                entry.size = len(text.encode())
                tar.addfile(entry, io.BytesIO(text.encode()))
    return out.getvalue()


def run(case: Case, folder: Path) -> Outcome:
    """Raises AssertionError where `score` ends with a code that the case does not ask for."""
    (folder / "model.py").write_text(case.model)
    words = ["score", "model.py", "--rejects", "rejects.txt"]
    for name, text in case.schemas.items():
        (folder / f"{name}.schema").write_text(text)
        words += ["--schema", f"{name}={name}.schema"]
    for name, files in case.attachments.items():
        (folder / name).write_bytes(archive(name, files))
        words += ["--attachment", name]
    stdin = b""
    if case.simple:
        stdin = _framed(case.slots[0]) if 0 in case.slots else b""
    else:
        for number, slot in case.slots.items():
            words += _stream_of(number, slot, folder)
    (folder / "stdin").write_bytes(stdin)
    process = FORKS.Process(target=_score, args=(words, folder))
    process.start()
    process.join(TIMEOUT_S)
    if process.exitcode is None:
        process.kill()
        raise AssertionError(f"score {' '.join(words)} takes more than {TIMEOUT_S} s")
    return _outcome(case, folder, _exit_code(folder, process.exitcode))


def _exit_code(folder: Path, seen: int) -> int:
    """The code the child itself wrote down. 255 is what is seen where the forking process was lost sight of."""
    deadline = time.monotonic() + (TIMEOUT_S if seen == 255 else 0)
    while True:
        try:
            return int((folder / "exit").read_text())
        except (FileNotFoundError, ValueError):
            if time.monotonic() >= deadline:
                return seen
        time.sleep(0.02)


def _score(words: list[str], folder: Path) -> None:
    """In the child."""
    os.chdir(folder)
    environment = clean_environment(folder)
    os.environ.clear()
    os.environ.update(environment)
    for descriptor, name, flags in ((0, "stdin", os.O_RDONLY), (1, "stdout", _NEW), (2, "stderr", _NEW)):
        os.dup2(os.open(name, flags, 0o600), descriptor)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115 - for the life of the process
    from stream_scorer.cli import main

    code = 1
    try:
        code = main(words)
    except SystemExit as end:  # wrong words
        code = end.code if isinstance(end.code, int) else 1
        raise
    finally:
        (folder / "exit").write_text(str(code))
    sys.exit(code)


def _stream_of(number: int, slot: Slot, folder: Path) -> list[str]:
    """Flags of a slot, its files written."""
    way, file = ("output", f"out-{number}") if number % 2 else ("input", f"in-{number}")
    if way == "input" and not slot.own_transport:
        (folder / file).write_bytes(_framed(slot))
    if slot.stream is None:
        return [f"--{way}", f"{number}={file}"]
    descriptor = slot.stream
    if not slot.own_transport:
        descriptor = {"Transport": {"Type": "file", "Path": str(folder / file)}, **descriptor}
    (folder / f"stream-{number}.json").write_text(json.dumps(descriptor))
    return ["--stream", f"{number}=stream-{number}.json"]


def _framed(slot: Slot) -> bytes:
    records = slot.input or []
    if slot.whole or slot.encoding in ("msgpack", "avro-binary"):
        return b"".join(records)
    return b"".join(record + b"\n" for record in records)


def _outcome(case: Case, folder: Path, code: int) -> Outcome:
    said = (folder / "stderr").read_text(errors="replace")
    outcome = Outcome(console=said)
    last = said.splitlines()[-1] if said.strip() else ""
    if case.refused:
        assert code in (2, 3, 4), f"exit {code}: {said}"
        outcome.refused = last.removeprefix("stream-scorer score: ")
        return outcome
    rejects = (folder / "rejects.txt").read_text().splitlines()
    outcome.rejected = counted([why for line in rejects if (why := _why(line))])
    if code == 3 and (found := _FAILED.fullmatch(last)):
        why, _, given = found["why"].partition(" The input: ")
        outcome.failed, outcome.traceback = why.rstrip("."), "\n".join([*rejects, said])
        outcome.failed_input = json.loads(given) if given else None
    else:
        all_rejected = code == 1 and re.match("stream-scorer score: (every|all) .*rejected", last)
        assert code == 0 or all_rejected, f"exit {code}: {said}"
    for number, slot in case.slots.items():
        if number % 2 and not slot.own_transport:
            outcome.outputs[number] = shown(slot, _read(slot, _bytes(folder, number, case.simple)))
    return outcome


def _bytes(folder: Path, number: int, simple: bool) -> bytes:
    path = folder / ("stdout" if simple else f"out-{number}")
    return path.read_bytes() if path.exists() else b""


def _read(slot: Slot, data: bytes) -> list[bytes]:
    if slot.whole or slot.encoding in ("msgpack", "avro-binary"):
        return [data] if data else []
    return data.splitlines() if slot.encoding == "json" else data.split(b"\n")[:-1]


def _why(line: str) -> str | None:
    found = _REJECT.match(line)
    if found is None:
        return None
    output = found["stage"] == "encode"
    slot = found["slot"] or ("1" if output else "0")
    by_encoding = found["stage"] == "decode" or "cannot be written" in found["text"]
    return f"{slot} {'encoding' if by_encoding else 'schema'}"
