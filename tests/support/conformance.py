"""docs/conformance.md, made from the rules and the tests that show them. `python -m tests.support.conformance` writes it."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.conformance.case import CASES, Case, load_cases

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "conformance.md"
RULES = ROOT / "tests" / "conformance" / "rules.toml"
_HEAD = """\
# Conformance

What models written for ModelOp Center (FastScore) may count on, rule by rule, and what shows it. Made by
`python -m tests.support.conformance` from [the rules](../tests/conformance/rules.toml) and the tests; a test fails where
it is out of date or a rule has nothing that shows it.

A case is a small model with what goes in and what must come out. Each is run by `stream-scorer score` and on
`stream-scorer engine`, over HTTP as the vendor's clients do it, and both must give the same: outputs, rejected records,
the failure and its input. Cases for one of them alone say why. Other tests are named by their file and function.

`score` takes standard input and output for models of one input, and there it keeps to the ways of the Kafka service: a
record on which the model raises is rejected and the run goes on, and of a record with a bad output no output is written.
With `--input`, `--output` or `--stream` it does as an engine does, and so do the cases where that makes a difference.

"""


class Rule(NamedTuple):
    id: str
    says: str
    tests: list[str]


class Section(NamedTuple):
    letter: str
    title: str
    rules: list[Rule]


def sections() -> list[Section]:
    given = tomllib.loads(RULES.read_text())
    return [
        Section(
            letter,
            content["title"],
            [
                Rule(f"{letter}.{slug}", rule["says"], rule.get("tests", []))
                for slug, rule in content.items()
                if slug != "title"
            ],
        )
        for letter, content in given.items()
    ]


def shown_by_cases() -> dict[str, list[Case]]:
    """By rule."""
    found: dict[str, list[Case]] = {}
    for case in load_cases():
        for rule in case.rules:
            found.setdefault(rule, []).append(case)
    return found


def page() -> str:
    cases = shown_by_cases()
    count = len(load_cases())
    alone = sum(bool(case.only) for case in load_cases())
    files = len({case.file for case in load_cases()})
    lines = [f"{count} cases in {files} files, {count - alone} of them run both ways.\n"]
    for section in sections():
        lines += [
            "",
            f"## [{section.letter}] {section.title}",
            "",
            "| rule | what it says | shown by |",
            "|---|---|---|",
        ]
        for rule in section.rules:
            shown = [*_case_links(cases.get(rule.id, [])), *map(_test_link, rule.tests)]
            lines.append(f"| `{rule.id}` | {rule.says} | {', '.join(shown)} |")
    return _HEAD + "\n".join(lines) + "\n"


def _case_links(cases: list[Case]) -> Iterator[str]:
    """A file of several cases is one link."""
    by_file: dict[Path, list[Case]] = {}
    for case in cases:
        by_file.setdefault(case.file, []).append(case)
    for file, some in by_file.items():
        name = file.relative_to(CASES).with_suffix("").as_posix()
        number = f" ({len(some)} cases)" if len(some) > 1 else ""
        why = f" (on the {some[0].only} only: {some[0].because})" if some[0].only else ""
        yield f"[{name}](../{file.relative_to(ROOT)}){number}{why}"


def _test_link(node: str) -> str:
    file, _, function = node.partition("::")
    return f"[{Path(file).stem}::{function}](../{file})"


def missing(node: str) -> bool:
    """Whether there is no such test."""
    file, _, function = node.partition("::")
    path = ROOT / file
    return not path.exists() or not re.search(rf"^def {function}\(", path.read_text(), re.MULTILINE)


if __name__ == "__main__":
    PAGE.write_text(page())
