"""Words of the command line, of variables and of files: are they text, and which name was meant?"""

from __future__ import annotations

from collections.abc import Iterable


def did_you_mean(word: str, words: Iterable[str], prefix: str = "") -> str:
    """What to add to a text about a word that is none of `words`: the nearest one, or "" if none is near.

    `prefix` stands before each of them where they are written.
    """
    import difflib  # only once something is wrong

    near = difflib.get_close_matches(word, list(words), n=1)
    return f" Did you mean {prefix}{near[0]}?" if near else ""


def is_text(word: str) -> bool:
    """False for bytes that are not UTF-8: in arguments and variables they come as halves of surrogate pairs."""
    return not any("\ud800" <= letter <= "\udfff" for letter in word)
