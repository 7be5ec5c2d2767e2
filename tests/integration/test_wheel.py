"""The wheel: what pip puts beside the packages of others."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.process

ROOT = Path(__file__).parents[2]
IMPORT_NAMES = {"stream_scorer", "stream_scorer_training"}
DATA = {
    *(f"stream_scorer/models/{name}" for name in ("attachment.tar.gz", "sp500_forecast.tar.gz")),
    *(f"stream_scorer/models/{name}.avsc" for name in ("close", "forecast")),
    *(f"stream_scorer/schemas/{path.name}" for path in (ROOT / "schemas").iterdir()),
    *(f"{name}/py.typed" for name in IMPORT_NAMES),
}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    from hatchling.builders.wheel import WheelBuilder  # of the extra `test`

    folder = tmp_path_factory.mktemp("wheel")
    return Path(next(WheelBuilder(str(ROOT)).build(directory=str(folder), versions=["standard"])))


@pytest.fixture(scope="module")
def files(wheel):
    with zipfile.ZipFile(wheel) as archive:
        return [name for name in archive.namelist() if ".dist-info/" not in name]


def test_the_wheel_installs_no_other_import_name_than_ours(files):
    assert {name.partition("/")[0] for name in files} == IMPORT_NAMES


def test_the_wheel_has_modules_and_the_data_they_read_and_nothing_else(files):
    assert {name for name in files if not name.endswith(".py")} == DATA
    assert sum(name.endswith(".py") for name in files) > 200


def test_the_wheel_scores_where_the_repository_is_not(wheel, tmp_path):
    """-I leaves out PYTHONPATH and the current directory; the schema `double` is one of the wheel's files."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    model = "# fastscore.schema.0: double\n# fastscore.schema.1: double\ndef action(x):\n    yield 2 * x\n"
    (tmp_path / "model.py").write_text(model)
    code = f"import sys; sys.path.insert(0, {str(tmp_path / 'site')!r}); from stream_scorer.__main__ import run; run()"
    line = [sys.executable, "-I", "-c", code, "score", "model.py"]
    done = subprocess.run(
        line, input="1\n2.5\n", cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.stdout, done.stderr) == ("2\n5.0\n", "")
