"""Places and values in error texts: always short, however large a value is."""

from __future__ import annotations

import itertools
import json
import reprlib
from collections.abc import Iterable
from typing import Any

_MAX_AT, _MAX_SHOWN = 200, 80  # characters
_SHOWN = json.JSONEncoder(default=reprlib.repr)


def not_expected(expected: str, value: Any) -> str:
    """`expected int, not "x" (str)`."""
    return f"expected {expected}, not {_shown(value)} ({type(value).__name__})"


def at_path(path: Iterable[str]) -> str:
    """`at levels[1].bid: ` for a part of a value; "" for the value itself."""
    at = "".join(path).removeprefix(".")
    return f"at {at if len(at) <= _MAX_AT else f'{at[:_MAX_AT]}...'}: " if at else ""


def _shown(value: Any) -> str:
    """Raises nothing: a model's value may be a list that contains itself, or an integer too long for text."""
    try:
        if isinstance(value, dict | list | tuple):
            # Only as much as is shown: a value may be endless, and the `repr` of an object of any length.
            pieces = itertools.islice(_SHOWN.iterencode(value), _MAX_SHOWN)
            return "".join(piece[:_MAX_SHOWN] for piece in pieces)[:_MAX_SHOWN]
        return json.dumps(value, default=reprlib.repr)[:_MAX_SHOWN]
    except (TypeError, ValueError, RecursionError):
        return "a value without a JSON form"
