"""Secrets: values that no text may show.

A value is one because of its key (`sasl.password`) or because it came from a file (@FILE), whatever its key. Errors and log
lines of librdkafka repeat values of settings. Whoever makes a text of them takes the secrets out by `without`. What is
printed at the end, log lines, tracebacks and the line of a command that fails, goes through `hide` as well.
"""

from __future__ import annotations

import functools
import json
import re
import urllib.parse
from collections.abc import Iterable

HIDDEN = "[hidden]"
_KEYS = re.compile(
    r"passw|passphrase|secret|token(?!\.endpoint)|\.pem$|private|credential|user\.info|oauthbearer\.config|jaas|kinit",
    re.IGNORECASE,
)
_SHORTEST = 6
"""`hide` looks for no shorter ones: they are parts of other words."""
_COMMON = "stream-scorer stream_scorer librdkafka kafka bootstrap localhost broker password secret"
"""A secret that is a part of these words stays where `hide` finds it: a log without them would tell that they are secret."""
_LINE = 16
"""Of a secret of several lines, such as a key, each line of so many characters is one by itself."""
_known: set[str] = set()


class Secret(str):
    """A text that is not shown: its `repr` is HIDDEN, and `hide` takes it out of other texts from now on."""

    __slots__ = ()

    def __new__(cls, text: str) -> Secret:
        _note([text, *(line for line in text.splitlines() if len(line) >= _LINE)])
        return super().__new__(cls, text)

    def __repr__(self) -> str:
        return repr(HIDDEN)


def is_secret(key: str) -> bool:
    """Whether values under this key are secrets."""
    return _KEYS.search(key) is not None


def note_url(text: str) -> None:
    """If the text is a URL with a password, that is a secret from now on."""
    if "://" in text and "@" in text:
        password = text.partition("://")[2].rpartition("@")[0].partition(":")[2]
        _note([password, urllib.parse.unquote(password)])


def without(text: str, values: Iterable[object]) -> str:
    """The text, with HIDDEN in place of those of `values` that are secrets, of any length. Not within a word."""
    secrets = {value for value in values if isinstance(value, Secret) and value}
    for secret in sorted(secrets, key=len, reverse=True):
        text = re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", HIDDEN, text)
    return hide(text)


def hide(text: str) -> str:
    """The text, with HIDDEN in place of every secret that this process knows, also where it is escaped or in a URL."""
    if not _known:
        return text
    return _pattern(frozenset(_known)).sub(HIDDEN, text)


@functools.lru_cache(1)
def _pattern(known: frozenset[str]) -> re.Pattern[str]:
    forms = {
        form
        for secret in known
        for form in (secret, urllib.parse.quote(secret, ""), urllib.parse.quote_plus(secret), json.dumps(secret)[1:-1])
    }
    return re.compile("|".join(map(re.escape, sorted(forms, key=len, reverse=True))))


def _note(texts: Iterable[str]) -> None:
    _known.update(text for text in texts if len(text) >= _SHORTEST and text.lower() not in _COMMON)
