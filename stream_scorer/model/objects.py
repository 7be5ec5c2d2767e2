"""Objects of a model that was loaded: what is in them, and whether they can change."""

from __future__ import annotations

import dis
import functools
import io
import sys
import types
from collections import deque
from collections.abc import Iterator
from typing import Any

import numpy as np

_DEEPEST = 4
_MAX_OBJECTS = 1000


def within(value: Any, module: str | None) -> Iterator[Any]:
    """An object, and those in it, down to some depth; `module` is the name of the module whose objects are looked into."""
    waiting, seen = [(value, 0)], set[int]()
    while waiting and len(seen) < _MAX_OBJECTS:
        one, depth = waiting.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        if depth < _DEEPEST:
            waiting += [(inner, depth + 1) for inner in _parts(one, module)]


def _parts(value: Any, module: str | None) -> list[Any]:
    if isinstance(value, list | tuple | set):
        return [*value][:_MAX_OBJECTS] if type(next(iter(value), 0.0)) is not float else []
    if isinstance(value, dict):
        return [*value.values()][:_MAX_OBJECTS]
    if isinstance(value, functools.partial):
        return [value.func, *value.args, *value.keywords.values()]
    if isinstance(value, types.MethodType):
        return [value.__func__, value.__self__]
    if isinstance(value, types.FunctionType):
        return [*cells(value).values(), *(value.__defaults__ or ())]
    if hasattr(type(value), "__wrapped__") or "__wrapped__" in getattr(value, "__dict__", ()):
        return [value.__wrapped__]
    own = type(value).__module__ == module
    return [*vars(value).values()] if own and hasattr(value, "__dict__") and not isinstance(value, type) else []


def goes_on(value: Any) -> bool:
    """Whether it gives something else each time: an iterator, a file that is read, random numbers, `[].append`."""
    kind = type(value)
    if isinstance(value, io.IOBase):
        return value not in (sys.stdout, sys.stderr) and not value.closed and value.readable()
    if isinstance(value, types.BuiltinMethodType):
        return isinstance(value.__self__, list | dict | set | deque)
    if kind.__module__ in ("builtins", "itertools", "_csv"):
        return isinstance(value, Iterator)
    return kind.__module__ == "random" or kind.__module__.startswith("numpy.random")


def rebound_outside(function: types.FunctionType) -> set[str]:
    free = function.__code__.co_freevars
    if not free:
        return set()
    return {one.argval for one in dis.get_instructions(function) if one.opname == "STORE_DEREF" and one.argval in free}


def cells(function: types.FunctionType) -> dict[str, Any]:
    found = {}
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            found[name] = cell.cell_contents
        except ValueError:  # not bound yet
            continue
    return found


def memory(array: Any) -> Any:
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array if array.base is None else array.base


def can_change(value: Any) -> bool:
    return not isinstance(
        value, int | float | str | bytes | bool | complex | type(None) | tuple | frozenset | type | types.ModuleType
    ) and not callable(value)
