"""Temporary folders: those of living processes stay, those of dead ones go, whatever is in them."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from stream_scorer.errors import SettingsError
from stream_scorer.system import folders

KEEPER = """
import sys
from stream_scorer.system.folders import new_temporary_folder
print(new_temporary_folder("left-"), flush=True)
sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def temporary(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def _deep(folder, depth):
    """A chain of folders whose path is too long for the system."""
    at = os.open(folder, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir("inner-folder-with-a-long-name", dir_fd=at)
        below = os.open("inner-folder-with-a-long-name", os.O_RDONLY, dir_fd=at)
        os.close(at)
        at = below
    os.close(at)


def test_a_folder_goes_that_is_closed_deep_and_full_of_links(tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").write_text("kept")
    folder = folders.new_temporary_folder("left-")
    (folder / "closed" / "inner").mkdir(parents=True)
    (folder / "closed" / "inner" / "file").write_text("x")
    (folder / "link").symlink_to(outside)
    os.mkfifo(folder / "fifo")
    (folder / "closed" / "inner").chmod(0)
    (folder / "closed").chmod(0)
    _deep(folder, 200)
    folder.chmod(0o500)
    folders.remove_temporary_folder(folder)
    assert not folder.exists()
    assert (outside / "kept").read_text() == "kept"
    folders.remove_temporary_folder(folder)  # again: nothing happens


def test_folders_of_this_process_stay_until_it_removes_them():
    folder = folders.new_temporary_folder("left-")
    assert folders.remove_left_folders("left-") == 0
    assert folder.exists()
    folders.remove_temporary_folder(folder)
    assert not folder.exists()


@pytest.mark.process
def test_a_folder_goes_when_its_process_is_dead_and_not_before(tmp_path):
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(
        [sys.executable, "-c", KEEPER], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as keeper:
        folder = tmp_path / keeper.stdout.readline().strip()
        (folder / "sandbox").mkdir()
        assert folders.remove_left_folders("left-") == 0
        assert folder.exists()
        keeper.kill()
        keeper.wait()
        assert folders.remove_left_folders("left-") == 1
        assert not folder.exists()


def test_links_and_other_names_are_left_alone(tmp_path):
    (tmp_path / "target").mkdir()
    (tmp_path / "left-link").symlink_to(tmp_path / "target")
    (tmp_path / "left-file").write_text("a file")
    (tmp_path / "kept").mkdir()
    assert folders.remove_left_folders("left-") == 0
    assert {path.name for path in tmp_path.iterdir()} == {"target", "left-link", "left-file", "kept"}


def test_a_folder_that_cannot_be_removed_is_named(monkeypatch, caplog):
    folder = folders.new_temporary_folder("left-")
    monkeypatch.setattr(folders, "remove_tree", lambda _: False)
    folders.remove_temporary_folder(folder)
    assert str(folder) in caplog.text


@pytest.mark.parametrize(("mode", "text"), [(0o777, "all users"), (0o1777, "all users"), (0o775, None), (0o700, None)])
def test_who_else_may_write_to_a_folder(mode, text, tmp_path):
    tmp_path.chmod(mode)
    found = folders.others_may_write(tmp_path)
    assert found is None if text is None else text in found
    assert folders.others_may_write(tmp_path / "nothing") is None


def test_a_new_folder_that_another_process_removes_is_made_again(monkeypatch):
    """Between its making and its lock nothing says that it is in use."""
    make, removed = tempfile.mkdtemp, []

    def removed_at_once(**options):
        path = make(**options)
        if len(removed) < 2:
            Path(path).rmdir()
            removed.append(path)
        return path

    monkeypatch.setattr(tempfile, "mkdtemp", removed_at_once)
    with folders.temporary_folder("stream-scorer-test-") as path:
        assert path.is_dir()
        assert str(path) not in removed


def test_without_a_place_for_temporary_folders_it_ends(monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    with pytest.raises(SettingsError, match="Set TMPDIR to a writable folder"):
        folders.new_temporary_folder("stream-scorer-test-")
