"""Converts NumPy's values, which models often return, to Python's."""

from __future__ import annotations

from typing import Any

import numpy as np

NUMPY = (np.generic, np.ndarray)


def plain(value: Any) -> Any:
    """The same value, with NumPy scalars and arrays at any depth as Python numbers and lists."""
    kind = type(value)
    if kind in (float, int, str, bool, bytes) or value is None:
        return value
    if isinstance(value, np.generic):
        return plain_scalar(value)
    if isinstance(value, np.ndarray):
        return plain(value.astype("M8[us]").tolist() if value.dtype.kind == "M" else value.tolist())
    if isinstance(value, dict):
        return {_plain_key(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value


def plain_scalar(value: np.generic) -> Any:
    """A Python value. Times are cut to microseconds first: for nanoseconds NumPy would return a bare number."""
    return (value.astype("M8[us]") if isinstance(value, np.datetime64) else value).item()


def reason(error: Exception) -> str:
    """The text of an exception, or the name of its type if it has none: `str` of a model's own exception may raise."""
    try:
        return str(error) or type(error).__name__
    except Exception:  # noqa: BLE001
        return type(error).__name__


def _plain_key(key: Any) -> Any:
    """Tuples stay tuples, because a list cannot be a key."""
    return key.item() if isinstance(key, np.generic) else key
