"""Prints tables for people and JSON for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any

from stream_scorer.safe_text import json_lines, one_line, say


def print_json(value: Any) -> None:
    say(json_lines(json.dumps(value, indent=2, ensure_ascii=False)))


def print_table(headers: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    cells = [headers, *([("-" if cell is None else one_line(cell)) for cell in row] for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(headers))]
    for row in [cells[0], ["-" * width for width in widths], *cells[1:]]:
        say("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def print_names(names: Sequence[str], as_json: bool) -> None:
    if as_json:
        print_json(list(names))
    else:
        for name in names:
            say(one_line(name))


def write_bytes(data: bytes) -> None:
    """Write what a server has stored to stdout: byte for byte, but to a terminal as safe text. Raises OSError."""
    if sys.stdout.isatty():
        say(data.decode(errors="backslashreplace"), end="", flush=True)
    else:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
