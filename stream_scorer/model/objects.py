"""Objects of a loaded model: what they contain, and whether they can change."""

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

_MAX_DEPTH = 4
_MAX_OBJECTS = 1000


def within(value: Any, module: str | None) -> Iterator[Any]:
    """An object, then the objects in it, 4 levels deep and at most 1,000.

    module: name of the model's module; objects of other modules' classes are not looked into.
    """
    waiting, seen = [(value, 0)], set[int]()
    while waiting and len(seen) < _MAX_OBJECTS:
        part, depth = waiting.pop()
        if part is None or id(part) in seen:
            continue
        seen.add(id(part))
        yield part
        if depth < _MAX_DEPTH:
            waiting += [(inner, depth + 1) for inner in _parts(part, module)]


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
        return [*closure_values(value).values(), *(value.__defaults__ or ())]
    if hasattr(type(value), "__wrapped__") or "__wrapped__" in getattr(value, "__dict__", ()):
        return [value.__wrapped__]
    own = type(value).__module__ == module
    return [*vars(value).values()] if own and hasattr(value, "__dict__") and not isinstance(value, type) else []


def has_hidden_state(value: Any) -> bool:
    """Whether a use of the object changes it without a sign in the source: an iterator, a file that is read, a generator of
    random numbers, a method such as `[].append`."""
    kind = type(value)
    if isinstance(value, io.IOBase):
        return value not in (sys.stdout, sys.stderr) and not value.closed and value.readable()
    if isinstance(value, types.BuiltinMethodType):
        return isinstance(value.__self__, list | dict | set | deque)
    if kind.__module__ in ("builtins", "itertools", "_csv"):
        return isinstance(value, Iterator)
    return kind.__module__ == "random" or kind.__module__.startswith("numpy.random")


def rebound_outside(function: types.FunctionType) -> set[str]:
    """Names of outer functions that the function binds again, by `nonlocal`."""
    free = function.__code__.co_freevars
    if not free:
        return set()
    return {
        step.argval for step in dis.get_instructions(function) if step.opname == "STORE_DEREF" and step.argval in free
    }


def closure_values(function: types.FunctionType) -> dict[str, Any]:
    """Values of outer functions that the function uses, by name."""
    values = {}
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            values[name] = cell.cell_contents
        except ValueError:  # nothing is bound to it yet
            continue
    return values


def memory_owner(array: Any) -> Any:
    """The object that owns the memory of an array; the same for an array and its views."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array if array.base is None else array.base


def can_change(value: Any) -> bool:
    """Whether an object of this type can be changed in place."""
    return not isinstance(
        value, int | float | str | bytes | bool | complex | type(None) | tuple | frozenset | type | types.ModuleType
    ) and not callable(value)
