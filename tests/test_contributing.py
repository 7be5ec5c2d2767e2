"""What CONTRIBUTING.md, CHANGELOG.md and the hooks of pre-commit say is so."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from stream_scorer import __version__

ROOT = Path(__file__).parents[1]
MAKEFILE = (ROOT / "Makefile").read_text()
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text()


def test_the_hooks_run_what_make_lint_runs():
    yaml = pytest.importorskip("yaml")
    (repo,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert repo["repo"] == "local"  # nothing is fetched
    entries = {hook["entry"].removesuffix(" --force-exclude") for hook in repo["hooks"]}
    lint = re.search(r"^lint:.*\n((?:\t.*\n)+)", MAKEFILE, re.MULTILINE)[1]
    lines = [line.strip().replace("$(BIN)", ".venv/bin") for line in lint.splitlines()]
    assert entries == {line.removesuffix(" .").removesuffix(" --check") for line in lines}


def test_the_targets_and_files_that_are_named_are_there():
    targets = set(re.findall(r"make (\w+)", CONTRIBUTING))
    assert {"check", "test", "format"} <= targets
    assert [target for target in targets if f"\n{target}:" not in MAKEFILE] == []
    paths = re.findall(r"`((?:tests|docs)/[\w./]+)`|\]\(([\w./]+)\)", CONTRIBUTING)
    assert [path for pair in paths for path in pair if path and not (ROOT / path).exists()] == []


def test_the_changelog_has_this_version_and_what_comes_next():
    versions = re.findall(r"^## \[(.*?)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert versions[0] == "Unreleased"
    assert __version__ in versions
