"""JSON from outside, read strictly: what this returns can be written again, as JSON and as UTF-8.

`json.loads` takes more than that: NaN, numbers like 1e400 (as infinity) or with 4,000 digits, and halves of surrogate pairs.
Each of them fails later, in a place that knows nothing of the field it came by.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from stream_scorer.errors import SettingsError
from stream_scorer.parsing.spelling import is_text

MAX_DIGITS = 300
"""Of a whole number: one with more may be too large for a double."""
_HALF = re.compile(r"\\u[dD][89a-fA-F]")
_SHOWN = 60


@dataclass(frozen=True)
class _Wrong:
    """Stands in a parsed value for a number that is refused."""

    why: str


def load(text: bytes, name: str, *, nan: bool = False) -> Any:
    """Return the parsed JSON; `name` says what it is. With `nan`, NaN and Infinity are taken too.

    Raises SettingsError: one line, which names the field.
    """
    found: list[_Wrong] = []

    def wrong(why: str) -> _Wrong:
        found.append(_Wrong(why))
        return found[-1]

    def whole(digits: str) -> Any:
        count = len(digits.lstrip("-"))
        return (
            int(digits)
            if count <= MAX_DIGITS
            else wrong(f"a number of {count:,} digits; at most {MAX_DIGITS} are read")
        )

    def real(digits: str) -> Any:
        value = float(digits)
        return value if math.isfinite(value) else wrong(f"{digits[:_SHOWN]} is too large for a number of 64 bits")

    def constant(word: str) -> Any:
        return float(word) if nan else wrong(f"{word} is not a number that JSON has")

    try:
        # Not json.loads(bytes), which lets UTF-8 have halves of surrogate pairs.
        decoded = text.decode(json.detect_encoding(text))
        value = json.loads(decoded, parse_int=whole, parse_float=real, parse_constant=constant)
    except ValueError as error:
        raise SettingsError(f"{name} is not JSON: {error}") from error
    except RecursionError as error:
        raise SettingsError(f"{name} is not JSON that can be read: it is nested too deeply") from error
    if found or _HALF.search(decoded):
        for field, why in _problems(value):
            raise SettingsError(f"{name}: {field + ': ' if field else ''}{why}.")
    return value


def _problems(root: Any) -> Iterator[tuple[str, str]]:
    """Yield field and reason of each part that is refused."""
    waiting: list[tuple[str, Any]] = [("", root)]
    while waiting:
        field, value = waiting.pop()
        if isinstance(value, dict):
            for key in value:
                if not is_text(key):
                    yield field, f"the name {_shown(key)} has half of a surrogate pair, which no encoding of text has"
            waiting += [(f"{field}.{key[:_SHOWN]}".lstrip("."), part) for key, part in reversed(value.items())]
        elif isinstance(value, list):
            waiting += [(f"{field}[{index}]", part) for index, part in reversed([*enumerate(value)])]
        elif isinstance(value, _Wrong):
            yield field, value.why
        elif isinstance(value, str) and not is_text(value):
            yield field, f"{_shown(value)} has half of a surrogate pair, which no encoding of text has"


def _shown(text: str) -> str:
    return ascii(text[:_SHOWN])
