"""docs/conformance.md, made from the rules and the tests that show them. `python -m tests.support.conformance` writes it."""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from tests.conformance.case import CASES, Case, load_cases
from tests.conformance.columns import COLUMNS, InRun, left_out
from tests.conformance.facts import RUN

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "conformance.md"
RULES = ROOT / "tests" / "conformance" / "rules.toml"
_HEAD = """\
# Conformance

What models written for ModelOp Center (FastScore) may count on, rule by rule, and what shows it. Made by
`python -m tests.support.conformance` from [the rules](../tests/conformance/rules.toml) and the tests; a test fails where
it is out of date or a rule has nothing that shows it.

A case is a small model with what goes in and what must come out. It runs in these columns, and must give the same in all:

| column | what it is |
|---|---|
| plain | a small host that knows begin, action and end, and nothing of this project |
| score | `stream-scorer score`, in a process of its own |
| engine | `stream-scorer engine`, over HTTP as the vendor's clients do it: outputs, rejected records, the failure and its input |
| run json, run avro | the parts of `stream-scorer run` on a transport in memory, JSON and avro-binary in and out |

In the tests fastavro writes and reads Avro, as a producer and a consumer would. Each case goes through `run` twice: in one
piece, and with an aborted transaction and a restart, which must make no difference.

40 cases of `run` go through a real broker too, with an abort and a restart
([test_on_a_broker](../tests/conformance/test_on_a_broker.py)). Random models on random values are compared in the same
columns ([test_models](../tests/conformance/test_models.py)). The number in a column is how many cases of the rule run there;
models that `run` must refuse by name, as they need an engine, are counted as refused. Other tests are named by file and
function.

In `run` a record on which the model raises, or whose output does not fit, is rejected as a whole: none of its outputs is
written, and the state is as before it. `score` does the same for models of one input on standard input: the record is
rejected and the run goes on. With `--input`, `--output` or `--stream` it does as an engine does: the cases use that where
it makes a difference.

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
    by_rule: dict[str, list[Case]] = {}
    for case in load_cases():
        for rule in case.rules:
            by_rule.setdefault(rule, []).append(case)
    return by_rule


def page() -> str:
    cases = shown_by_cases()
    count, files = len(load_cases()), len({case.file for case in load_cases()})
    lines = [f"{count} cases in {files} files.\n", *_counts(), ""]
    for section in sections():
        lines += [
            "",
            f"## [{section.letter}] {section.title}",
            "",
            f"| rule | what it says | {' | '.join(COLUMNS)} | shown by |",
            f"|---|---|{'---|' * len(COLUMNS)}---|",
        ]
        for rule in section.rules:
            own = cases.get(rule.id, [])
            shown = [*_case_links(own), *map(_test_link, rule.tests)]
            numbers = " | ".join(_number(own, column) for column in COLUMNS)
            lines.append(f"| `{rule.id}` | {rule.says} | {numbers} | {', '.join(shown)} |")
    return _HEAD + "\n".join(lines) + "\n"


def _counts() -> Iterator[str]:
    """How many cases each column has, and why it leaves the others out."""
    yield "| column | cases | left out |"
    yield "|---|---|---|"
    for column in COLUMNS:
        why = Counter(reason for case in load_cases() if (reason := left_out(case, column)))
        reasons = "; ".join(
            f"{count}: {reason}" for reason, count in sorted(why.items(), key=lambda one: (-one[1], one[0]))
        )
        yield f"| {column} | {_number(load_cases(), column)} | {reasons or 'none'} |"


def _number(cases: Sequence[Case], column: str) -> str:
    here = [case for case in cases if not left_out(case, column)]
    refused = sum(bool(case.refused or (column in RUN and InRun(case, column).refusal)) for case in here)
    return f"{len(here) - refused}{f' + {refused} refused' if refused else ''}" if here else "-"


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
