"""The commands of README and docs, taken from their pages as they are written there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

_FENCE = re.compile(r"(?:`([\w.-]+)`:\n\n)?^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


class Commands(NamedTuple):
    """One ```sh block. line: where its first command stands. shown: the ```text block after it, what it prints."""

    line: int
    script: str
    shown: str


class Page(NamedTuple):
    """files: blocks of other languages behind a line that ends with `NAME`: are files that the commands need."""

    path: Path
    files: dict[str, str]
    commands: list[Commands]


def read_page(path: Path) -> Page:
    text, files, commands = path.read_text(), {}, []
    for block in _FENCE.finditer(text):
        name, language, content = block.groups()
        if language == "sh":
            commands.append(Commands(text.count("\n", 0, block.start(3)) + 1, content, ""))
        elif language == "text" and commands and not commands[-1].shown:
            commands[-1] = commands[-1]._replace(shown=content)
        elif name:
            files[name] = content
    return Page(path, files, commands)


def lines_of(script: str) -> list[str]:
    """Its commands, each with the lines that go on behind a backslash."""
    return re.split(r"(?<!\\)\n", script.rstrip("\n"))


def first_missing(shown: str, output: str) -> str | None:
    """The first line that a page shows and the output lacks; None if all are there, in order.

    `…` stands for any text within a line; as a line of its own it says that lines are left out, as may be anywhere.
    """
    lines = iter(line.rstrip() for line in output.splitlines())
    for expected in shown.splitlines():
        pattern = re.compile(".*".join(map(re.escape, expected.rstrip().split("…"))))
        if expected.strip() != "…" and not any(pattern.fullmatch(line) for line in lines):
            return expected
    return None
