"""Where the peers run: a virtual environment with pinned packages for each, and Kafka Streams as jars and classes.

All are built once, in the user's cache, in folders named by a hash of their sources.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

HERE = Path(__file__).parent
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "stream-scorer" / "peers"
JAVA = HERE / "java"


class Unavailable(Exception):
    """A contestant cannot be set up here; the text says why."""


def python(peer: str) -> str:
    """The interpreter of the peer's environment, which is built if it is missing. Raises Unavailable.

    TensorFlow is not installed again: a .pth file appends this interpreter's packages behind the peer's own.
    """
    wanted = HERE / "requirements" / f"{peer}.txt"
    folder = CACHE / f"{peer}-{_digest(wanted.read_bytes(), sys.version.encode())}"
    interpreter = folder / "bin" / "python"
    if not (folder / "complete").exists():  # an interrupted build starts again
        shutil.rmtree(folder, ignore_errors=True)
        _run([sys.executable, "-m", "venv", str(folder)])
        _run([str(interpreter), "-m", "pip", "install", "--quiet", "--requirement", str(wanted)])
        (folder / "complete").touch()
    ours, (theirs,) = sysconfig.get_path("purelib"), folder.glob("lib/python*/site-packages")
    (theirs / "zz-packages-of-the-bench.pth").write_text(ours + "\n")
    return str(interpreter)


def kafka_streams() -> str:
    """A class path with Kafka Streams and the compiled program; Maven verifies the jars' checksums. Raises Unavailable."""
    if missing := [name for name in ("java", "javac", "mvn") if not shutil.which(name)]:
        raise Unavailable(f"not installed: {', '.join(missing)}")
    pom, program = JAVA / "pom.xml", JAVA / "Streams.java"
    jars = CACHE / f"streams-jars-{_digest(pom.read_bytes())}"
    classes = CACHE / f"streams-{_digest(pom.read_bytes(), program.read_bytes())}"
    if not jars.is_dir():
        work = CACHE / "streams-jars.part"
        shutil.rmtree(work, ignore_errors=True)
        fetch = ["mvn", "--quiet", "--batch-mode", "--strict-checksums", "-f", str(pom)]
        _run([*fetch, "dependency:copy-dependencies", f"-DoutputDirectory={work}"])
        work.rename(jars)
    if not classes.is_dir():
        work = CACHE / "streams.part"
        shutil.rmtree(work, ignore_errors=True)
        _run(["javac", "-cp", f"{jars}/*", "-d", str(work), str(program)])
        work.rename(classes)
    return f"{classes}:{jars}/*"


def _digest(*parts: bytes) -> str:
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:12]


def _run(line: list[str]) -> None:
    CACHE.mkdir(parents=True, exist_ok=True)
    print(f"  {' '.join(line[:4])} ...", flush=True)
    try:
        done = subprocess.run(line, capture_output=True, text=True, timeout=900, check=False)
    except subprocess.TimeoutExpired as error:
        raise Unavailable(f"{line[0]}: not done in {error.timeout:.0f} s") from error
    if done.returncode:
        output = (done.stdout + done.stderr).strip() or f"exit code {done.returncode}"
        raise Unavailable(f"{Path(line[0]).name}: {output.splitlines()[-1][:200]}")
