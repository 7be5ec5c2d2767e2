"""Checks a snapshot that comes from outside, in a process of its own: python -m stream_scorer.modelop.process.snapshot_check

A few bytes may stand for much work: 60 bytes of memory for each byte, or keys that all have one hash. So the process has
limits of memory and time, and the engine learns only whether the snapshot can be read.
"""

from __future__ import annotations

import resource
import subprocess
import sys

from stream_scorer.errors import ModelError, StreamScorerError
from stream_scorer.modelop.process import snapshot as snapshots
from stream_scorer.modelop.process.jet_process import environment
from stream_scorer.modelop.process.shared import check_dump
from stream_scorer.safe_text import say
from stream_scorer.state import values

MAX_BYTES = 256 << 20
_TIME_S = 60.0
_MEMORY, _MEMORY_FACTOR = 1 << 30, 6
"""Bytes that the process may take, and further bytes for each byte of the snapshot: reading an array copies it."""
_HINT = "Give the contents of a snapshot as it was saved."


def check(blob: bytes) -> None:
    """Raises ModelError: the snapshot cannot be read, or not within the limits. Blocks for about a second."""
    if len(blob) > MAX_BYTES:
        raise ModelError(f"snapshot: {len(blob):,} bytes; at most {MAX_BYTES:,} are taken.")
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-m", __name__, str(_MEMORY + _MEMORY_FACTOR * len(blob))],
            input=blob,
            capture_output=True,
            timeout=_TIME_S,
            check=False,
            env=environment(),
        )
    except subprocess.TimeoutExpired as error:
        raise ModelError(f"snapshot: {len(blob):,} bytes could not be read within {_TIME_S:g} s. {_HINT}") from error
    if done.returncode == 0:
        return
    said = done.stdout.decode(errors="replace").strip()
    raise ModelError(said or f"snapshot: {len(blob):,} bytes cannot be read: it takes too much memory. {_HINT}")


def _read(blob: bytes) -> None:
    """Read all that jets and the engine will read of it. Raises ModelError."""
    saved = snapshots.read(blob)
    try:
        check_dump(saved.shared)
        count = len(values.load(saved.state))
    except ValueError as error:
        raise ModelError(f"snapshot: {error}. {_HINT}") from error
    if count != len(saved.names) or len(set(saved.names)) != count:
        raise ModelError(f"snapshot: it has {len(saved.names)} names for {count} values. {_HINT}")


def main() -> int:
    memory = int(sys.argv[1])
    resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        _read(sys.stdin.buffer.read())
    except StreamScorerError as error:
        say(" ".join(str(error).split())[:500])
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
