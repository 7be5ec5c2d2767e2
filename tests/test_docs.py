"""What the documentation says of the code is as the code is."""

from __future__ import annotations

import re

from stream_scorer.cli import COMMANDS
from tests.support import docs

MEND = "run: python -m tests.support.docs"


def test_the_map_of_files_is_the_tree():
    assert docs.DESIGN.read_text() == docs.design(), MEND


def test_every_setting_is_told_of():
    assert docs.CONFIGURATION.read_text() == docs.configuration(), MEND


def test_every_command_is_in_the_readme():
    readme = (docs.ROOT / "README.md").read_text()
    assert [name for name in COMMANDS if f"stream-scorer {name}" not in readme] == []


def test_every_test_that_the_guarantees_name_is_there():
    named = re.findall(r"`(test_\w+)`", (docs.ROOT / "docs" / "guarantees.md").read_text())
    there = "".join(path.read_text() for path in docs.ROOT.glob("tests/**/test_*.py"))
    assert named
    assert [name for name in named if f"def {name}(" not in there] == []


def test_links_of_the_readme_lead_somewhere():
    links = re.findall(r"\]\((?!http)([^)#]+)", (docs.ROOT / "README.md").read_text())
    assert [link for link in links if not (docs.ROOT / link).exists()] == []
