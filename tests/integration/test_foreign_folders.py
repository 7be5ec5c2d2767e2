"""Folders of the user that have the names of our packages, in the directory a command is started in."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from stream_scorer.errors import EXIT_MODEL
from stream_scorer.kafka.embedded import embedded_broker
from support.service import ROLLING_MEAN

pytestmark = pytest.mark.process

SCRIPT = Path(sys.executable).with_name("stream-scorer")
"""The entry point. A script has its own folder on sys.path, and not the current directory."""
FOLDERS = ("stream_scorer", "stream_scorer_training", "training", "commands", "service", "models", "settings")


@pytest.fixture
def folder(tmp_path):
    for name in FOLDERS:
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(f"raise RuntimeError('the package {name} of the user')\n")
    return tmp_path


def _run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    # An empty entry of PYTHONPATH is the current directory.
    paths = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    line = [str(SCRIPT), *arguments]
    return subprocess.run(line, cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["train", "--help"], ["train-forecaster", "--help"], ["demo", "--help"], ["run", "--help"]],
    ids=" ".join,
)
def test_a_help_text_is_shown_beside_foreign_folders(folder, arguments):
    done = _run(folder, *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("usage: stream-scorer")


def test_a_model_is_exported_beside_foreign_folders(folder):
    done = _run(folder, "export", ROLLING_MEAN, "--out", "bundle")
    assert (done.returncode, done.stderr) == (0, "")
    assert (folder / "bundle" / "rolling_mean.py").is_file()


def test_workers_start_beside_foreign_folders(folder):
    """A model that cannot begin ends a worker once all of our packages are loaded."""
    (folder / "model.py").write_text(
        "def begin():\n    raise ValueError('begun in a worker')\ndef action(x):\n    yield x\n"
    )
    with embedded_broker("in", "out") as servers:
        options = f"--workers 2 --bootstrap-servers {servers} --input-topic in --output-topic out --no-changelog"
        encodings = "--input-encoding json --output-encoding json --on-bad-record fail"
        done = _run(folder, "run", "model.py", *options.split(), *encodings.split())
    assert "begun in a worker" in done.stderr
    assert "of the user" not in done.stderr
    assert done.returncode == EXIT_MODEL


def test_python_itself_takes_a_package_from_the_current_directory_first(folder):
    """`python -m stream_scorer` cannot be mended from here: Python puts the directory first, before any code of ours."""
    line = [sys.executable, "-m", "stream_scorer", "--help"]
    done = subprocess.run(line, cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    assert "the package stream_scorer of the user" in done.stderr
