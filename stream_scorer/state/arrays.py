"""NumPy arrays and scalars <-> the text of their type, their shape and their bytes.

The three come from a topic, so anybody may have written them: an array of objects would take its bytes for pointers.
"""

from __future__ import annotations

import functools
import math
import re
from typing import Any, Literal

import numpy as np

_DTYPE = re.compile(r"[<>|][biufcmMSUV]\d{1,10}(\[\d{0,9}[A-Za-z]{1,2}\])?", re.ASCII)
_LAST_CODE_POINT = 0x10FFFF
_EMPTY_TEXT = 4
"""Bytes that NumPy gives of the scalar of an empty text, whose type has the size 0."""


def is_kept(value: Any) -> bool:
    """Whether type, shape and bytes say all of an array or a scalar: no objects, no fields, no items of no size."""
    dtype = value.dtype
    return (
        dtype.kind in "biufcmMSUV" and dtype.names is None and (dtype.itemsize > 0 or not isinstance(value, np.ndarray))
    )


def array(name: bytes, shape: list[Any], raw: bytes, order: Literal["C", "F"] = "C") -> Any:
    """A writable array. Raises ValueError if the three do not belong together, or on a type that is not kept."""
    dtype = _dtype(name)
    if set(map(type, shape)) - {int} or min(shape, default=0) < 0:
        raise ValueError(f"an array of shape {str(shape)[:60]}")
    if math.prod(shape) * dtype.itemsize != len(raw) or not dtype.itemsize:
        raise ValueError(f"an array {dtype.str} of shape {str(shape)[:60]} in {len(raw)} bytes")
    _check_text(dtype, raw)
    return np.ndarray(tuple(shape), dtype, bytearray(raw), order=order)


def scalar(name: bytes, raw: bytes) -> Any:
    """Raises ValueError as `array` does."""
    dtype = _dtype(name)
    if len(raw) != dtype.itemsize and (dtype.itemsize or len(raw) > _EMPTY_TEXT):
        raise ValueError(f"a {dtype.str} of {len(raw)} bytes")
    _check_text(dtype, raw)
    return np.ndarray((), dtype, raw)[()]


@functools.lru_cache(256)
def _dtype(name: bytes) -> Any:
    """Only of text that NumPy itself would give of a type: what it makes of any other text is not ours to bound."""
    text = name.decode()
    try:
        dtype = np.dtype(text) if _DTYPE.fullmatch(text) else None
    except (TypeError, ValueError, OverflowError):
        dtype = None
    if dtype is None or dtype.str != text:
        raise ValueError(f"no array of type {text[:40]!r} is kept")
    return dtype


def _check_text(dtype: Any, raw: bytes) -> None:
    """Numbers that are no code points raise SystemError wherever such text is looked at later."""
    if (
        dtype.kind == "U"
        and dtype.itemsize
        and np.frombuffer(raw, f"{dtype.byteorder}u4").max(initial=0) > _LAST_CODE_POINT
    ):
        raise ValueError("an array of text with numbers that are no code points")
