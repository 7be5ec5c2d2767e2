"""A sample of what a model saw in training, to tell whether what it sees now is alike: `reference.json`."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path

from stream_scorer.errors import SettingsError

REFERENCE = "reference.json"
MIN_SIZE = 2
MAX_SIZE = 512
"""Numbers in a bundle: more of them would tell no more, as a distribution is compared and not its numbers."""


def read_reference(path: Path) -> list[float]:
    """Numbers of a JSON list. Raises SettingsError."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SettingsError(f"reference sample {path}: cannot be read as JSON ({error}). {_FORM}") from error
    if not isinstance(found, list) or len(found) < MIN_SIZE:
        raise SettingsError(f"reference sample {path}: no list of at least {MIN_SIZE} numbers. {_FORM}")
    for at, number in enumerate(found):
        if isinstance(number, bool) or not isinstance(number, int | float) or not math.isfinite(number):
            raise SettingsError(f"reference sample {path}: entry {at} is {number!r}, no finite number. {_FORM}")
    return [float(number) for number in found]


def thinned(numbers: Sequence[float]) -> list[float]:
    """At most 512 of them, in order: the quantiles in the middles of 512 equal parts, if there are more."""
    ordered = sorted(numbers)
    if len(ordered) <= MAX_SIZE:
        return ordered
    return [ordered[(2 * part + 1) * len(ordered) // (2 * MAX_SIZE)] for part in range(MAX_SIZE)]


_FORM = "Give a JSON list of numbers, such as inputs of the training: [0.1, 0.2]."
