"""Values as plain Python: what models put into outputs is often NumPy's."""

from __future__ import annotations

from typing import Any

import numpy as np

NUMPY = (np.generic, np.ndarray)


def plain(value: Any) -> Any:
    """The same value with NumPy scalars and arrays made Python numbers and lists, at any depth."""
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
    """Times in microseconds, which Python has: for nanoseconds NumPy would give the bare number."""
    return (value.astype("M8[us]") if isinstance(value, np.datetime64) else value).item()


def reason(error: Exception) -> str:
    """The text of an exception, or its type if it has no text: `str` of a model's own exception may raise."""
    try:
        return str(error) or type(error).__name__
    except Exception:  # noqa: BLE001
        return type(error).__name__


def _plain_key(key: Any) -> Any:
    """Tuples stay tuples, as a list cannot be a key."""
    return key.item() if isinstance(key, np.generic) else key
