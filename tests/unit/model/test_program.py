"""Reading and compiling a module file: whatever is in it, one ModelError."""

from __future__ import annotations

from pathlib import Path

import pytest

from stream_scorer.errors import ModelError
from stream_scorer.model.program import compile_program

SOURCES = {
    "blanks": "def action(x): yield x\n" + " " * 40_000 + "x",
    "blanks before print": " " * 40_000 + "print 1",
    "quotes": "x = " + "'" * 39_999 + "\\",
    "colons": "print" + ":" * 40_000 + " 1",
    "brackets": "(" * 50_000,
    "minus": "-" * 50_000 + "1",
    "digits": "1" * 5000,
    "NUL": "x = 1\0",
    "an encoding that is none": "# coding: no-such\nx = 1",
    "superscript": "x = ²",
}


@pytest.mark.parametrize("case", SOURCES)
def test_what_is_no_module_is_told_at_once(case):
    """Some took minutes: the search for a hint took time by the square of the line's length."""
    with pytest.raises(ModelError, match=r"^m\.py") as raised:
        compile_program(SOURCES[case].encode(), Path("m.py"))
    assert len(str(raised.value)) < 500


def test_bytes_that_are_no_text_are_told():
    with pytest.raises(ModelError, match=r"^m\.py:1: not Python"):
        compile_program(b"\xff\xfe\x00", Path("m.py"))
