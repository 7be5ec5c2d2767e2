"""Misspelt names, and words that are not text."""

from __future__ import annotations

from collections.abc import Iterable


def did_you_mean(word: str, words: Iterable[str], prefix: str = "") -> str:
    """ " Did you mean X?" with the nearest of `words`, to be added to an error text; "" if none is near.

    `prefix`: written before the nearest word.
    """
    import difflib  # slow to import, and needed for an error only

    near = difflib.get_close_matches(word, list(words), n=1)
    return f" Did you mean {prefix}{near[0]}?" if near else ""


def is_text(word: str) -> bool:
    """False if it has halves of surrogate pairs, which no encoding of text has. Python makes them of bytes that are not UTF-8."""
    try:
        word.encode()
    except UnicodeEncodeError:
        return False
    return True
