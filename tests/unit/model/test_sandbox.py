"""The model's directory: what an attachment may and may not do."""

from __future__ import annotations

import contextlib
import importlib
import io
import os
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

from stream_scorer.errors import ModelError
from stream_scorer.model import archive as archives
from stream_scorer.model.archive import unpack
from stream_scorer.model.sandbox import sandbox


def _tar(path, members, mode="w:gz"):
    """`members`: name -> bytes, or a TarInfo."""
    with tarfile.open(path, mode) as tar:
        for name, what in members.items():
            info = what if isinstance(what, tarfile.TarInfo) else tarfile.TarInfo(name)
            if isinstance(what, bytes):
                info.size = len(what)
            tar.addfile(info, io.BytesIO(what) if isinstance(what, bytes) else None)
    return path


def _zip(path, members):
    with zipfile.ZipFile(path, "w") as zipped:
        for name, data in members.items():
            zipped.writestr(name, data)
    return path


def _special(name, kind, target="/etc/passwd"):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


FILES = {"weights.bin": b"\0\1", "sub/helper.py": b"X = 7\n"}
GOOD = {
    "tar.gz": lambda folder: _tar(folder / "a.tar.gz", FILES),
    "tar": lambda folder: _tar(folder / "a.tar", FILES, "w"),
    "zip": lambda folder: _zip(folder / "a.zip", FILES),
}


@pytest.mark.parametrize("kind", GOOD)
def test_archives_are_unpacked(kind, tmp_path):
    archive = GOOD[kind](tmp_path)
    with sandbox(archive) as inside:
        assert {
            str(path.relative_to(inside)): path.read_bytes() for path in inside.rglob("*") if path.is_file()
        } == FILES | {archive.name: archive.read_bytes()}  # and the archive itself, which some models open
        assert Path("weights.bin").read_bytes() == b"\0\1"


def test_the_process_is_inside_for_the_block_and_nothing_stays(tmp_path):
    home, path = Path.cwd(), list(sys.path)
    with (
        contextlib.suppress(RuntimeError),
        sandbox(_tar(tmp_path / "a.tar.gz", {"toy_attached.py": b"X = 7"})) as inside,
    ):
        assert Path.cwd() == inside.resolve()
        assert importlib.import_module("toy_attached").X == 7
        raise RuntimeError
    assert (Path.cwd(), sys.path) == (home, path)
    assert not inside.exists()
    del sys.modules["toy_attached"]


def test_without_an_attachment_it_is_empty():
    with sandbox(None) as inside:
        assert list(inside.iterdir()) == []


BAD = {
    "parent": (lambda f: _tar(f / "a.tgz", {"../x": b""}), r"'\.\./x' points outside"),
    "parent inside": (lambda f: _tar(f / "a.tgz", {"a/../../x": b""}), "points outside"),
    "absolute": (lambda f: _tar(f / "a.tgz", {"/tmp/x": b""}), "'/tmp/x' points outside"),
    "link": (lambda f: _tar(f / "a.tgz", {"l": _special("l", tarfile.SYMTYPE)}), "'l' is a link or device"),
    "hard link": (lambda f: _tar(f / "a.tgz", {"l": _special("l", tarfile.LNKTYPE)}), "'l' is a link or device"),
    "device": (lambda f: _tar(f / "a.tgz", {"d": _special("d", tarfile.CHRTYPE)}), "'d' is a link or device"),
    "fifo": (lambda f: _tar(f / "a.tgz", {"d": _special("d", tarfile.FIFOTYPE)}), "'d' is a link or device"),
    "parent in zip": (lambda f: _zip(f / "a.zip", {"../x": b""}), "points outside"),
    "absolute in zip": (lambda f: _zip(f / "a.zip", {"/x": b""}), "points outside"),
    "backslash in zip": (lambda f: _zip(f / "a.zip", {"..\\x": b""}), "points outside"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_points_outside_is_refused_before_anything_is_written(case, tmp_path):
    make, message = BAD[case]
    into = tmp_path / "into"
    into.mkdir()
    with pytest.raises(ModelError, match=message):
        unpack(make(tmp_path), into)
    assert list(into.iterdir()) == []


def test_a_link_in_a_zip_is_refused(tmp_path):
    info = zipfile.ZipInfo("l")
    info.external_attr = 0o120777 << 16
    _zip(tmp_path / "a.zip", {})
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as zipped:
        zipped.writestr(info, "/etc/passwd")
    with pytest.raises(ModelError, match="'l' is a link"):
        unpack(tmp_path / "a.zip", tmp_path)


@pytest.mark.parametrize("make", [_tar, _zip])
def test_a_bomb_is_refused_by_the_size_it_declares(make, tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "MAX_BYTES", 1000)
    unpack(make(tmp_path / "good", {"a": b"x" * 500, "b": b"x" * 500}), tmp_path)
    with pytest.raises(ModelError, match="unpacks to 1,001 bytes, more than the 1,000 allowed"):
        unpack(make(tmp_path / "bomb", {"a": b"x" * 500, "b": b"x" * 501}), tmp_path)


@pytest.mark.parametrize("data", [b"", b"no archive", b"\x1f\x8b\x08broken"])
def test_what_is_no_archive_is_told(data, tmp_path):
    (tmp_path / "a").write_bytes(data)
    with pytest.raises(ModelError, match=r"(?s)attachment .*a: cannot be unpacked .*must be a \.tar\.gz or \.zip"):
        unpack(tmp_path / "a", tmp_path)


def test_an_archive_cut_short_is_told(tmp_path):
    data = _tar(tmp_path / "a.tgz", {"w": os.urandom(100_000)}).read_bytes()
    (tmp_path / "a.tgz").write_bytes(data[:50_000])
    with pytest.raises(ModelError, match="cannot be unpacked"):
        unpack(tmp_path / "a.tgz", tmp_path)


def test_an_attachment_that_is_not_there_is_told(tmp_path):
    with (
        pytest.raises(ModelError, match=r"gone\.tar\.gz: no such file.*--attachment"),
        sandbox(tmp_path / "gone.tar.gz"),
    ):
        pass


@pytest.mark.parametrize("name", ["weights.npz", "model.keras"])
def test_weights_that_are_a_zip_may_be_in_a_plain_tar(name, tmp_path):
    """.npz and .keras files are zips: the tar around them must still be read as the tar it is."""
    weights = io.BytesIO()
    np.savez(weights, kernel=np.arange(3))
    into = tmp_path / "into"
    into.mkdir()
    unpack(_tar(tmp_path / "a.tar", {name: weights.getvalue()}, "w"), into)
    assert [path.name for path in into.iterdir()] == [name]


def test_an_encrypted_zip_is_told(tmp_path):
    data = bytearray(_zip(tmp_path / "a.zip", {"f": b"x"}).read_bytes())
    data[6] |= 1  # the flag in the local header
    data[data.find(b"PK\1\2") + 8] |= 1  # and in the directory
    (tmp_path / "a.zip").write_bytes(data)
    with pytest.raises(ModelError, match="cannot be unpacked"):
        unpack(tmp_path / "a.zip", tmp_path)


@pytest.mark.process
def test_what_a_killed_process_has_left_goes_with_the_next_sandbox(tmp_path, monkeypatch):
    """The sandbox of a living process stays, and so does every other folder of the place."""
    code = "import sys; from stream_scorer.model.sandbox import sandbox; inside = sandbox(None); "
    code += "print(inside.__enter__(), flush=True); sys.stdin.read()"
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    for name in ("stream-scorer-1000", "stream-scorer-kafka-x", "mine"):
        (tmp_path / name).mkdir()
    with subprocess.Popen(
        [sys.executable, "-c", code], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        left = Path(other.stdout.readline().strip())
        (left / "weights").touch()
        with sandbox(None):
            assert left.is_dir()
        other.kill()
        other.wait()
        with sandbox(None):
            assert not left.exists()
    assert {path.name for path in tmp_path.iterdir()} == {"stream-scorer-1000", "stream-scorer-kafka-x", "mine"}
