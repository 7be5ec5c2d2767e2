"""NumPy arrays and scalars from the text of their type, their shape and their bytes.

The three come from a topic, so anyone may have written them. An array of objects would use its bytes as pointers.
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
"""Bytes that NumPy returns for a scalar of empty text, although its type has the size 0."""


def is_kept(value: Any) -> bool:
    """Whether type, shape and bytes describe the array or scalar completely: no objects, no fields, no items of size 0."""
    dtype = value.dtype
    return (
        dtype.kind in "biufcmMSUV" and dtype.names is None and (dtype.itemsize > 0 or not isinstance(value, np.ndarray))
    )


def array(name: bytes, shape: list[Any], raw: bytes, order: Literal["C", "F"] = "C") -> Any:
    """A writable array. Raises ValueError: type, shape and bytes contradict each other, or the type is not kept."""
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
    """Accepts only the text that NumPy itself writes for a type: other texts could have any meaning to NumPy."""
    text = name.decode()
    try:
        dtype = np.dtype(text) if _DTYPE.fullmatch(text) else None
    except (TypeError, ValueError, OverflowError):
        dtype = None
    if dtype is None or dtype.str != text:
        raise ValueError(f"an array of type {text[:40]!r} is not kept")
    return dtype


def _check_text(dtype: Any, raw: bytes) -> None:
    """Numbers that are not code points would raise SystemError wherever the text is used later."""
    if (
        dtype.kind == "U"
        and dtype.itemsize
        and np.frombuffer(raw, f"{dtype.byteorder}u4").max(initial=0) > _LAST_CODE_POINT
    ):
        raise ValueError("an array of text with numbers that are no code points")
