"""What the documentation says of the code is as the code is."""

from __future__ import annotations

import ast
import re

from stream_scorer.cli import COMMANDS
from tests.support import docs

OF_OTHERS = [
    "SASL authentication error: x",
    "Connection refused",
    "Failed to resolve",
    "certificate verify failed",
    "Failed to acquire SASL OAUTHBEARER token",
    "No space left on device",
]
"""Texts of librdkafka and of the system."""
MEND = "run: python -m tests.support.docs"


def test_the_map_of_files_is_the_tree():
    assert docs.DESIGN.read_text() == docs.design(), MEND


def test_every_setting_is_told_of():
    assert docs.CONFIGURATION.read_text() == docs.configuration(), MEND


def test_every_row_of_the_tables_of_values_is_told_of():
    assert docs.VALUES.read_text() == docs.values(), MEND


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


def test_the_texts_that_troubleshooting_quotes_are_said():
    """Fixed parts of each, between the `…`, as texts of the code or of librdkafka."""
    rows = (docs.ROOT / "docs" / "troubleshooting.md").read_text().splitlines()
    quoted = [text for row in rows if row.startswith("| `") for text in re.findall(r"`([^`]+)`", row.split(" | ")[0])]
    trees = [ast.parse(path.read_text()) for path in docs.ROOT.glob("stream_scorer/**/*.py")]
    said = [node.value for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Constant)]
    texts = [text for text in said if isinstance(text, str)] + OF_OTHERS
    parts = [part.strip(" :,;()") for text in quoted for part in text.split("…")]
    assert len(quoted) > 30
    assert [part for part in parts if not any(part in text for text in texts)] == []
