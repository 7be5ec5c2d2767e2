"""`reference.json`: a sample of a model's inputs in training, which the service compares the inputs of today with."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path

from stream_scorer.errors import SettingsError

REFERENCE = "reference.json"
MIN_SIZE = 2
MAX_SIZE = 512
"""Numbers in a bundle. The comparison is of distributions, so more numbers would not improve it."""


def read_reference(path: Path) -> list[float]:
    """The numbers of a JSON list in a file. Raises SettingsError: there are fewer than 2, or something else is in it."""
    try:
        return parse_reference(path.read_bytes(), path)
    except OSError as error:
        raise SettingsError(f"reference sample {path}: cannot be read as JSON ({error}). {_HINT}") from error


def parse_reference(data: bytes, path: Path) -> list[float]:
    """As `read_reference`, from the content of the file."""
    try:
        numbers = json.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise SettingsError(f"reference sample {path}: cannot be read as JSON ({error}). {_HINT}") from error
    if not isinstance(numbers, list) or len(numbers) < MIN_SIZE:
        raise SettingsError(f"reference sample {path}: expected a list of at least {MIN_SIZE} numbers. {_HINT}")
    for at, number in enumerate(numbers):
        if isinstance(number, bool) or not isinstance(number, int | float) or not _finite(number):
            raise SettingsError(
                f"reference sample {path}: expected a finite number at entry {at}, found {str(number)[:40]}. {_HINT}"
            )
    return [float(number) for number in numbers]


def _finite(number: float) -> bool:
    try:
        return math.isfinite(number)
    except OverflowError:  # an int of more than 300 digits
        return False


def thinned(numbers: Sequence[float]) -> list[float]:
    """The numbers in order. Of more than MAX_SIZE numbers: the medians of MAX_SIZE parts of equal size."""
    ordered = sorted(numbers)
    if len(ordered) <= MAX_SIZE:
        return ordered
    return [ordered[(2 * part + 1) * len(ordered) // (2 * MAX_SIZE)] for part in range(MAX_SIZE)]


_HINT = "Give a JSON list of numbers, such as inputs of the training: [0.1, 0.2]."
