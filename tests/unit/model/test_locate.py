"""What MODEL stands for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from stream_scorer.errors import ModelError
from stream_scorer.model.bundle import export
from stream_scorer.model.locate import locate

SOURCE = "def action(x): return x"


def test_a_file_by_its_path(write, monkeypatch):
    path = write("folder/toy.py", SOURCE)
    monkeypatch.chdir(path.parent.parent)
    found = locate("folder/toy.py")
    assert (found.module, found.attachment, found.schema_dir) == (path, None, path.parent)


def test_the_attachment_beside_it(write):
    path = write("toy.py", SOURCE)
    attachment = write("attachment.tar.gz", b"")
    assert locate(str(path)).attachment == attachment


def test_a_bundle_by_its_directory(write, tmp_path):
    export(locate(str(write("toy.py", SOURCE))), None, tmp_path / "bundle", {}, {})
    found = locate(str(tmp_path / "bundle"))
    assert (found.module, found.schema_dir) == (tmp_path / "bundle" / "toy.py", tmp_path / "bundle")


@pytest.mark.process
def test_a_shipped_model_by_its_name_without_importing_it():
    code = "import sys; from stream_scorer.model.locate import locate; print(locate('tf_sp500_lstm').module)\n"
    code += "assert not {'tensorflow', 'stream_scorer.models', 'pandas'} & set(sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert Path(done.stdout.strip()).parts[-3:] == ("stream_scorer", "models", "tf_sp500_lstm.py")


def test_a_file_of_a_shipped_models_name_wins(write, monkeypatch):
    path = write("tf_sp500_lstm", SOURCE)
    monkeypatch.chdir(path.parent)
    assert locate("tf_sp500_lstm").module == path


@pytest.mark.parametrize(("model", "what"), [("gone.py", "no such file"), (".", "a directory without manifest.json")])
def test_what_is_none_of_these_is_told(model, what, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError, match=rf"^model '{model}': {what}\. .*shipped model: tf_sp500_lstm"):
        locate(model)


def test_an_attachment_of_the_modules_own_name_goes_before_the_common_one(write):
    one, other = write("one.py", SOURCE), write("other.py", SOURCE)
    own, common = write("one.tar.gz", b""), write("attachment.tar.gz", b"")
    assert (locate(str(one)).attachment, locate(str(other)).attachment) == (own, common)
