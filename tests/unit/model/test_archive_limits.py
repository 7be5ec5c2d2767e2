"""Archives from outside: bounded in count, bytes and time, and refused in one line before anything of them is written."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import lzma
import os
import tarfile
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_scorer.errors import ModelError
from stream_scorer.model import archive as archives
from stream_scorer.model.archive import is_archive, member_names, read_archive, unpack

END = bytes(1024)


def _member(name, data=b"", **fields):
    info = tarfile.TarInfo(name)
    info.size = len(data)
    for field, value in fields.items():
        setattr(info, field, value)
    return info.tobuf(tarfile.GNU_FORMAT) + data + bytes(-len(data) % 512)


def _pax(records, name="f", data=b"hello"):
    return _member("x", records, type=b"x") + _member(name, data) + END


def _record(key, value):
    body = b" " + key + b"=" + value + b"\n"
    size = len(body)
    while len(str(size)) + len(body) != size:
        size = len(str(size)) + len(body)
    return str(size).encode() + body


def _zip(*members):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as zipped:
        for info, data in members:
            zipped.writestr(info, data)
    return file.getvalue()


def _of_mode(name, mode):
    info = zipfile.ZipInfo(name)
    info.external_attr = mode << 16
    return info


def _lying(data, size, told):
    return data.replace(size.to_bytes(4, "little"), told.to_bytes(4, "little"))


REFUSED = {
    "many": (gzip.compress(b"".join(_member(f"f{at}") for at in range(20_001)) + END, 1), "more than 20,000 files"),
    "many folders": (
        gzip.compress(b"".join(_member("/".join(f"{at}-{n}" for n in range(9))) for at in range(2300)) + END, 1),
        "more than 20,000 files and folders",
    ),
    "many in a zip": (_zip(*((f"f{at}", b"") for at in range(20_001))), "more than 20,000 files"),
    "a large directory": (_zip(*((f"{at:03}{'n' * 60_000}", b"") for at in range(80))), "headers are too large"),
    "a bomb": (gzip.compress(_member("f", size=300 << 20) + bytes(1 << 20), 1), "more than 200 times its own"),
    "a bomb in a zip": (_lying(_zip(("f", bytes(1000))), 1000, 512 << 20), "more than 200 times its own"),
    "a header that is a bomb": (gzip.compress(_member("x", type=b"x", size=8 << 30) + bytes(1 << 20), 1), "headers are too"),
    "a name that is a bomb": (gzip.compress(_member("x", type=b"L", size=8 << 30) + b"a" * (1 << 20), 1), "headers are too"),
    "headers of headers": (_member("x", type=b"x") * 2000 + END, "headers are too large|cannot be unpacked"),
    "a long name": (_pax(_record(b"path", b"n" * 300)), "no more than 255 bytes"),
    "a long path": (_pax(_record(b"path", b"nnnn/" * 210)), "no more than 255 bytes, a path 1000"),
    "a deep path": (_pax(_record(b"path", b"a/" * 40)), "and 32 names"),
    "NUL in a name": (_pax(_record(b"path", b"a\0b")), r"'a\\x00b'"),
    "sparse": (_member("s", type=tarfile.GNUTYPE_SPARSE) + END, "'s' is a link or device, or a sparse file"),
    "sparse by pax": (_pax(_record(b"GNU.sparse.size", b"5") + _record(b"GNU.sparse.map", b"0,5")), "sparse|unpacked"),
    "a device": (_member("d", type=tarfile.BLKTYPE) + END, "'d' is a link or device"),
    "a kind that nobody knows": (_member("d", type=b"Z") + END, "'d' is a link or device"),
    "a device in a zip": (_zip((_of_mode("d", 0o060666), b"")), "'d' is a link or device"),
    "a pipe in a zip": (_zip((_of_mode("p", 0o010666), b"")), "'p' is a link or device"),
    "a negative size": (_pax(_record(b"size", b"-5")), "cannot be unpacked"),
    "4,301 digits": (b"".join((_member("x", b"9" * 5000 + b" size=5\n", type=b"x"), _member("f"), END)), "cannot be unpacked"),
    "no xz": (lzma.compress(_member("f", os.urandom(99_999)) + END)[:50_000] + b"x" * 100, "cannot be unpacked"),
    "no bz2": (bz2.compress(_member("f", os.urandom(99_999)) + END)[:50_000] + b"x" * 100, "cannot be unpacked"),
    "a file that is a folder, too": (_member("a", b"x") + _member("a/b", b"x") + END, r"unpacked \(\w"),
    "the folder itself": (_member(".", b"x") + END, r"unpacked \(Is a directory\)"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_a_hostile_archive_is_refused_in_one_line(case, tmp_path):
    data, text = REFUSED[case]
    path, into = tmp_path / "a.tar.gz", tmp_path / "into"
    path.write_bytes(data)
    into.mkdir()
    is_archive(path)
    with pytest.raises(ModelError, match=text) as raised:
        unpack(path, into)
    shown = str(raised.value)
    assert shown.startswith(f"attachment {path}: ")
    assert shown.isprintable()
    assert len(shown) - len(str(path)) < 300
    if "folder" not in case:
        assert list(into.iterdir()) == [], "nothing of it is written"


@pytest.mark.parametrize("packed", [bytes, gzip.compress, bz2.compress, lzma.compress])
def test_a_tar_may_be_packed_in_any_of_these_ways(packed, tmp_path):
    path = tmp_path / "a"
    path.write_bytes(packed(_member("./sub/f", b"1") + _pax(_record(b"path", "größe".encode() * 20), data=b"2")))
    assert is_archive(path)
    assert read_archive(path) == {"sub/f": b"1", "größe" * 20: b"2"}
    assert member_names(path) == ["sub/f", "größe" * 20]


def test_weights_of_zeros_may_be_packed(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "SMALL", 1 << 20)
    path = tmp_path / "a.tar"
    path.write_bytes(_member("zeros", bytes(2 << 20)) + END)
    assert member_names(path) == ["zeros"]


_GOOD = [
    packed(_member("a/b", bytes(range(256)) * 3) + _pax(_record(b"path", b"c" * 120)))
    for packed in (bytes, gzip.compress, bz2.compress, lzma.compress)
] + [_zip(("a/b", b"12345" * 50), ("c", b"x"))]


@given(
    which=st.sampled_from(_GOOD),
    edits=st.lists(st.tuples(st.integers(0, 3000), st.binary(max_size=8), st.integers(0, 8)), min_size=1, max_size=6),
)
def test_any_broken_archive_is_a_model_error(which, edits, tmp_path_factory):
    data = bytearray(which)
    for at, put, out in edits:
        data[at % len(data) : at % len(data) + out] = put
        data = data or bytearray(b"\0")
    folder = tmp_path_factory.mktemp("any")
    (folder / "a").write_bytes(data)
    (folder / "into").mkdir()
    is_archive(folder / "a")
    with contextlib.suppress(ModelError):
        unpack(folder / "a", folder / "into")
