"""SECURITY.md says what is there."""

from __future__ import annotations

import re
from pathlib import Path

from stream_scorer.model import archive, manifest

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "SECURITY.md").read_text()


def test_every_file_that_it_names_is_there():
    named = re.findall(r"`((?:tests|stream_scorer)/[\w/.]+)`", TEXT)
    assert len(named) > 15
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_its_limits_of_bundles_are_those_of_the_code():
    bundle, size = (
        f"{manifest.MAX_MANIFEST >> 20} MiB, {manifest.MAX_FILES:,} files",
        f"{archive.MAX_BYTES >> 30} GiB unpacked",
    )
    bomb = f"above {archive.SMALL >> 20} MiB no more than {archive.MAX_RATIO} times its own size"
    names = f"names {archive.MAX_NAME} bytes, paths {archive.MAX_PATH:,} bytes and {archive.MAX_DEPTH} names"
    assert f"| manifest | {bundle}, plain names |" in TEXT
    assert f"| {archive.MAX_MEMBERS:,} files and folders, {size}, {bomb}; {names};" in TEXT
