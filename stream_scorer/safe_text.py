"""Text from outside, made safe to print: it stays in its line, and it cannot give a terminal a command.

Keys, header names and values, exceptions, file names and answers of a server are written by others. A line feed in them
forges a line of a log, ESC moves the cursor or sets the title of a window, and a bidirectional override shows another text
than there is. Whatever a command prints for people goes through `say`; the log and the reports use `lines` and `one_line`.
"""

from __future__ import annotations

import json
import re
import sys
from typing import TextIO

INDENT = "    "
"""For `lines`, where nothing is aligned."""
_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
_END = re.compile(r"\r?\n")


def one_line(text: object, limit: int | None = None) -> str:
    """The text with each character that is not printable written as in a Python literal: `\\n`, `\\x1b`, `\\u202e`.

    Not printable is what Unicode calls a control, a format character (bidirectional marks), an end of a line or paragraph,
    a blank other than the space, half a surrogate pair, or unassigned. A backslash stays as it is.

    Args:
        limit: most characters of `text` that are shown; "..." follows if there are more.
    """
    shown = str(text)
    if limit is not None and len(shown) > limit:
        shown = shown[:limit] + "..."
    if shown.isprintable():
        return shown
    return "".join(letter if letter.isprintable() else _escaped(letter) for letter in shown)


def lines(text: object, indent: str = "") -> str:
    """As `one_line`, but line feeds and tabs stay. `indent` is put before each line but the first.

    With an indent, no line of the text can be taken for one of its surroundings.
    """
    shown = str(text)
    if shown.isprintable():
        return shown
    return f"\n{indent}".join("\t".join(map(one_line, line.split("\t"))) for line in _END.split(shown))


def json_lines(text: str) -> str:
    """JSON whose texts have no character that is not printable: each is an escape of JSON. It means the same."""
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() or letter == "\n" else json.dumps(letter)[1:-1] for letter in text)


def say(text: object = "", *, file: TextIO | None = None, end: str = "\n", flush: bool = False) -> None:
    """Print `lines(text)`, on stdout unless `file` is given.

    A text from outside must be made `one_line` before it becomes a part of `text`. Raises OSError as `print`.
    """
    shown = lines(text)
    file = file or sys.stdout
    try:
        print(shown, file=file, end=end, flush=flush)
    except UnicodeEncodeError:  # a terminal of another encoding than UTF-8
        encoding = file.encoding or "ascii"
        print(shown.encode(encoding, "backslashreplace").decode(encoding), file=file, end=end, flush=flush)


def _escaped(letter: str) -> str:
    return _SHORT.get(letter) or letter.encode("unicode_escape").decode()
