"""Archives of equal content are equal bytes."""

from __future__ import annotations

import os
import tarfile

from hypothesis import given
from hypothesis import strategies as st

from stream_scorer.model.archive import read_archive, write_archive

FILES = {"b.json": b"{}", "a.h5": bytes(range(256))}


def test_order_time_and_umask_do_not_matter(tmp_path, monkeypatch):
    write_archive(tmp_path / "one.tar.gz", FILES)
    monkeypatch.setattr("time.time", lambda: 1e9)
    umask = os.umask(0o077)
    try:
        write_archive(tmp_path / "two.tar.gz", dict(reversed(FILES.items())))
    finally:
        os.umask(umask)
    assert (tmp_path / "one.tar.gz").read_bytes() == (tmp_path / "two.tar.gz").read_bytes()


def test_members_carry_no_owner_and_no_time(tmp_path):
    write_archive(tmp_path / "a.tar.gz", FILES)
    with tarfile.open(tmp_path / "a.tar.gz") as tar:
        assert [(m.name, m.mtime, m.uid, m.uname, m.mode) for m in tar] == [
            ("a.h5", 0, 0, "", 0o644),
            ("b.json", 0, 0, "", 0o644),
        ]


@given(
    files=st.dictionaries(st.from_regex(r"[a-z]{1,8}\.[a-z]{1,3}", fullmatch=True), st.binary(max_size=100), max_size=5)
)
def test_files_come_back(files, tmp_path_factory):
    path = tmp_path_factory.mktemp("archive") / "a.tar.gz"
    write_archive(path, files)
    assert read_archive(path) == files
