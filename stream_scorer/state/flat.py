"""Flat states: numbers, text, times and None, and containers of nothing but those, no two of them the same object.

A shallow copy of such a state is a full one, and no two states can share anything that changes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np

from stream_scorer.records import State

_SCALARS = {float, int, str, bytes, bool, type(None), datetime, date, timedelta, Decimal}
_COPIES: dict[type, Callable[[Any], Any]] = {
    list: list.copy,
    dict: dict.copy,
    set: set.copy,
    deque: deque.copy,
    np.ndarray: lambda array: array.copy("K"),  # in its order
}


def copy(state: State) -> State:
    """Of a flat state: changes to the one leave the other alone."""
    return tuple([value[:] if type(value) is list else _copy(value) for value in state])


def _copy(value: Any) -> Any:
    copies = _COPIES.get(type(value))
    return copies(value) if copies else value


def is_flat(states: Iterable[State]) -> bool:
    """Whether all of them are flat, also when taken as one."""
    containers = 0
    different = set()
    for state in states:
        for value in state:
            if type(value) in _COPIES:
                containers += 1
                different.add(id(value))
                if not _holds_scalars(value):
                    return False
            elif not _is_scalar(type(value)):
                return False
    return len(different) == containers


def _holds_scalars(value: Any) -> bool:
    if type(value) is np.ndarray:
        # A view changes with the array it looks into; what `state.values` reads looks into bytes of its own.
        return not value.dtype.hasobject and (value.base is None or isinstance(value.base, bytearray))
    types = set(map(type, value))
    if type(value) is dict:
        types |= set(map(type, value.values()))
    return types <= _SCALARS or all(map(_is_scalar, types))


def _is_scalar(kind: type) -> bool:
    return kind in _SCALARS or issubclass(kind, np.generic)
