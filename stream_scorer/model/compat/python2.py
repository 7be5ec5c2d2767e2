"""Explains a syntax error that comes from Python 2, and how to write the line in Python 3."""

from __future__ import annotations

import re

# The first pattern that matches is used. The parser stops at the first error, so only its line is searched.
_FORMS = [
    (r"^\s*(?:.*[:;]\s*)?print\s+[^=(\s]|^\s*print\s+\(.*\)\s*\S", "print is a function in Python 3: write print(...)"),
    (r"^\s*except\s+[^:]+,\s*\w+\s*:", "`except E, name:` is Python 2: write `except E as name:`"),
    (r"^\s*(?:.*[:;]\s*)?raise\s+[\w.]+\s*,", '`raise E, "text"` is Python 2: write `raise E("text")`'),
    (r"^\s*(?:.*[:;]\s*)?exec\s+[^(\s=]", "exec is a function in Python 3: write exec(CODE, NAMESPACE)"),
    (r"`", "backticks are Python 2: write repr(...)"),
    (r"<>", "`<>` is Python 2: write `!=`"),
    (r"(?<![\w.])0\d+(?![\w.])", "octal numbers are written 0o17 in Python 3, not 017"),
    (r"(?<![\w.])(?:0[xX][0-9a-fA-F]+|\d+)[lL](?!\w)", "integers have no L in Python 3"),
    (r"(?<!\w)[uU][rR][\"']", "there is no ur'...' in Python 3: write r'...'"),
    (
        r"^\s*def\s+\w+\s*\([^)]*\(\s*\w+\s*,",
        "a parameter cannot be a tuple in Python 3: take one name and unpack it inside",
    ),
    (r"lambda\s*\(", "a parameter cannot be a tuple in Python 3: lambda pair: ... pair[0]"),
]
_MAX_LINE = 500
"""Characters of a line that are searched: some of these patterns take time by the square of the length."""
_CONVERT = (
    "A Python 2 module has to be converted first: `2to3 -w FILE` of Python 3.12 or earlier does most of it, "
    "but check by hand what / (now true division) and strings mean."
)


def advice(source: str, error: Exception) -> str:
    """What to change, to be appended to the error's text; "" if the line has no form that we know."""
    lines = source.split("\n")
    number = getattr(error, "lineno", None) or 1
    # If a line is incomplete, the error is reported at the line after it.
    for line in lines[number - 1 : number] + lines[max(number - 2, 0) : number - 1]:
        code = _without_strings(line.strip()[:_MAX_LINE])
        for pattern, hint in _FORMS:
            if re.search(pattern, code):
                return f" {hint[0].upper()}{hint[1:]}. {_CONVERT}"
    if isinstance(error, TabError):
        return f" Tabs and spaces mixed: Python 2 took a tab for eight spaces. {_CONVERT}"
    return ""


def _without_strings(line: str) -> str:
    """The line without comments and the contents of strings, which are not code. The quotes stay."""
    return re.sub(r"#.*$", "", re.sub(r"(\"|')(?:\\.|(?!\1).)*\1", r"\1\1", line))
