"""The commands of examples/README.md, as they are written there, in a copy of the folder."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.process

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
BLOCKS = re.findall(r"^```sh\n(.*?)^```$", (EXAMPLES / "README.md").read_text(), re.DOTALL | re.MULTILINE)
TUTORIAL = next(block for block in BLOCKS if "tf_sp500_lstm" in block)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return Path(shutil.copytree(EXAMPLES, tmp_path_factory.mktemp("copy") / "examples"))


def _run(block: str, folder: Path) -> str:
    """What it writes to stdout. Fails where any command of it fails."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    env = {**os.environ, "PATH": path, "PYTHONPATH": f"{ROOT}:{ROOT / 'training'}"}
    script = f"set -euo pipefail\n{block}"
    done = subprocess.run(["bash", "-c", script], cwd=folder, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{block}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.mark.parametrize("block", [block for block in BLOCKS if block != TUTORIAL])
def test_commands_of_the_readme_give_what_is_expected(block, folder):
    assert _run(block, folder) == "" or "pytest" in block


@pytest.mark.tensorflow
def test_the_tutorials_model_gives_what_is_expected(folder):
    outputs = [float(line) for line in _run(TUTORIAL, folder).splitlines()]
    expected = [float(line) for line in (folder / "tutorial" / "expected.jsonl").read_text().splitlines()]
    assert outputs == pytest.approx(expected, abs=1e-5)


def test_every_example_has_data_and_an_expected_output():
    folders = [path for path in EXAMPLES.iterdir() if path.is_dir() and path.name != "__pycache__"]
    assert len(folders) == 5
    for one in folders:
        assert (one / "input.jsonl").is_file()
        assert list(one.glob("expected*.jsonl"))


def test_the_attachment_is_what_its_script_fits(folder):
    """Up to the last digits, which may differ with the version of scikit-learn."""
    pytest.importorskip("sklearn")

    def learned(archive: Path) -> dict[str, object]:
        with tarfile.open(archive) as tar:
            return json.load(tar.extractfile("pipeline.json"))

    packed = learned(EXAMPLES / "scikit_learn" / "attachment.tar.gz")
    _run("python scikit_learn/fit.py", folder)
    fitted = learned(folder / "scikit_learn" / "attachment.tar.gz")
    assert fitted.keys() == packed.keys()
    for name, numbers in packed.items():
        assert fitted[name] == pytest.approx(numbers, rel=1e-4)
