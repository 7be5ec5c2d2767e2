"""Flat states: numbers, text, times, None, and containers of only those, where no two containers are the same object.

A shallow copy of a flat state is a full copy, and two flat states share no object that can change.
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
    """A full copy of a flat state."""
    try:
        return tuple([value[:] if type(value) is list else _copy(value) for value in state])
    except Exception:  # noqa: BLE001 - of a class of the model, as below: the state was not flat, and the batch is scored again
        return state


def _copy(value: Any) -> Any:
    copies = _COPIES.get(type(value))
    return copies(value) if copies else value


def is_flat(states: Iterable[State]) -> bool:
    """Whether all states are flat, and no two of them share a container."""
    try:
        return _is_flat(states)
    except Exception:  # noqa: BLE001 - a class of the model may raise anything when it is looked at: it is not flat
        return False


def _is_flat(states: Iterable[State]) -> bool:
    containers = 0
    ids = set()
    for state in states:
        for value in state:
            if type(value) in _COPIES:
                containers += 1
                ids.add(id(value))
                if not _holds_scalars(value):
                    return False
            elif not _is_scalar(type(value)):
                return False
    return len(ids) == containers


def _holds_scalars(value: Any) -> bool:
    if type(value) is np.ndarray:
        # A view changes with its array. Arrays that `state.values` has loaded are views of bytes of their own.
        return not value.dtype.hasobject and (value.base is None or isinstance(value.base, bytearray))
    types = set(map(type, value))
    if type(value) is dict:
        types |= set(map(type, value.values()))
    return types <= _SCALARS or all(map(_is_scalar, types))


def _is_scalar(kind: type) -> bool:
    return kind in _SCALARS or issubclass(kind, np.generic)
