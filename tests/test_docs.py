"""What the documentation says of the code is as the code is."""

from __future__ import annotations

import ast
import re
import tomllib

from stream_scorer.cli import COMMANDS
from tests.support import docs
from tests.support.pages import first_missing

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


def test_links_lead_somewhere():
    gone = []
    for page in docs.PAGES:
        links = re.findall(r"\]\((?!http)([^)#]+)", page.read_text())
        gone += [f"{page.relative_to(docs.ROOT)}: {link}" for link in links if not (page.parent / link).exists()]
    assert gone == []


def test_every_path_in_prose_is_there():
    """`kafka/source.py`, `tests/faults`, `docs/`: from the root, stream_scorer/ or the folder of the page."""
    path = re.compile(r"`([a-z][\w-]*/(?:[\w.-]+/)*(?:[\w-]+\.(?:py|md|avsc|toml))?)`")
    named = [(page, name) for page in docs.PAGES for name in path.findall(page.read_text())]
    assert len(named) > 50
    gone = [
        f"{page.relative_to(docs.ROOT)}: {name}"
        for page, name in named
        if not any((root / name).exists() for root in (docs.ROOT, docs.ROOT / "stream_scorer", page.parent))
    ]
    assert gone == []


def test_every_file_that_the_design_names_is_there():
    names = set(re.findall(r"`([\w]+\.py)`", docs.DESIGN.read_text()))
    assert names
    assert [name for name in names if not any(docs.ROOT.glob(f"stream_scorer/**/{name}"))] == []


def test_every_key_type_of_the_design_is_in_its_folder():
    table = docs.DESIGN.read_text().partition("## Key types")[2].partition("## ")[0]
    folder, gone, seen = "", [], 0
    for line in table.splitlines():
        cells = [cell.strip() for cell in line.split("|")[1:-1]]
        if len(cells) != 3 or not (types := re.findall(r"`(\w+)`", cells[1])):
            continue
        folder = cells[0].strip("`") or folder
        text = "".join(path.read_text() for path in (docs.ROOT / "stream_scorer" / folder).glob("*.py"))
        gone += [f"{folder}{name}" for name in types if not re.search(rf"^class {name}\b", text, re.MULTILINE)]
        seen += len(types)
    assert gone == []
    assert seen > 20


def test_install_names_every_extra():
    project = tomllib.loads((docs.ROOT / "pyproject.toml").read_text())["project"]
    rows = re.findall(r"^\| (`\w+`(?:, `\w+`)*) \|", (docs.ROOT / "docs" / "install.md").read_text(), re.MULTILINE)
    assert sorted(re.findall(r"\w+", " ".join(rows))) == sorted(project["optional-dependencies"])


def test_what_a_page_shows_is_looked_for_in_order():
    printed = "a 1\nb\nc 2\nd\n"
    assert first_missing("a …\n…\nc 2\n", printed) is None
    assert first_missing("c 2\na 1\n", printed) == "a 1"
    assert first_missing("c\n", printed) == "c"


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
