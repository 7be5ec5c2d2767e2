"""Which module globals are the model's state, found from its source and, once it has run, from its objects.

A global is state if `action`, or a function of the module that `action` reaches, binds it again with `global` or changes
its object in place (a method that changes its object, an item, an attribute, an augmented assignment), under any name of
that object. Globals that only the module body or `begin` bind are the model itself: weights, sessions, constants.
"""

from __future__ import annotations

import ast
import functools
import inspect
import types
from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from stream_scorer.model.call_graph import NOT_PER_RECORD, CallGraph, Defined, first_parameter, parsed
from stream_scorer.model.objects import (
    can_change,
    closure_values,
    has_hidden_state,
    memory_owner,
    rebound_outside,
    within,
)

_OWN_RANDOM = frozenset("Random SystemRandom default_rng RandomState Generator".split())


class StateFinder(CallGraph):
    """Finds the state of a module in its source and, once it has run, in its objects.

    Args:
        source: of the module.
        entries: names of the functions called per record.
        namespace: the module's globals; empty before it has run.
    """

    def __init__(self, source: str, entries: Iterable[str], namespace: Mapping[str, Any]) -> None:
        super().__init__(parsed(source), [*entries], namespace)

    def names(self) -> tuple[str, ...]:
        """Names of all globals that are state, sorted."""
        return tuple(sorted(self.state() | self.hidden()))

    def state(self) -> set[str]:
        """Names of globals that functions called per record bind again, or change by name."""
        names = set[str]()
        for node, effects in self._functions.values():
            names |= effects.changed | (effects.rebound - self._named.keys())
            names |= {name for name in effects.augmented if can_change(self._namespace.get(name))}
            names |= {name for name in effects.sliced if isinstance(self._namespace.get(name), np.ndarray)}
            if effects.changes_defaults and isinstance(node, Defined):
                names.add(node.name)
        names = {name for name in names - self._imported if not name.endswith("()")}
        if self._namespace:
            names = {name for name in names if name in self._namespace or name not in self._closure_names()}
        return names | self._sharing(names)

    def hidden(self) -> set[str]:
        """Names of globals that change with each record although no function changes them by name.

        They are objects of the module's own classes whose methods change them, iterators, generators of random numbers,
        and functions that keep values between calls.
        """
        return {name for name in self.read | {*self._entries} if name in self._namespace and self._hides(name)}

    def _closure_names(self) -> set[str]:
        """Names of outer functions' values that the functions use."""
        return {
            name
            for top in self.read | {*self._entries}
            for value in within(self._namespace.get(top), self._name)
            if isinstance(value, types.FunctionType)
            for name in value.__code__.co_freevars
        }

    def _sharing(self, names: set[str]) -> set[str]:
        """Names of other globals that are, or contain, an object that these contain too."""
        objects = {
            id(part) for name in names for part in within(self._namespace.get(name), self._name) if can_change(part)
        }
        return {
            name
            for name in self.read - names
            if objects and any(id(part) in objects for part in within(self._namespace.get(name), self._name))
        }

    def views(self) -> list[tuple[str, str]]:
        """Names of arrays that are changed in place, each with the name of another array that shares its memory."""
        changed = {
            name
            for _, effects in self._functions.values()
            for name in effects.changed | effects.sliced | effects.augmented
        }
        arrays = {
            name: value for name in self.read | changed if isinstance(value := self._namespace.get(name), np.ndarray)
        }
        return [
            (name, other)
            for name in sorted(changed & arrays.keys())
            for other in sorted(arrays)
            if arrays[name] is not arrays[other] and memory_owner(arrays[name]) is memory_owner(arrays[other])
        ]

    def _hides(self, name: str) -> bool:
        top = self._namespace[name]
        return (
            has_hidden_state(top)
            or self._is_seeded(name, top)
            or any(self._keeps_values(part) for part in within(top, self._name))
        )

    def _is_seeded(self, name: str, top: Any) -> bool:
        """Whether it is a module of random numbers that the model has seeded, and takes numbers from."""
        if not isinstance(top, types.ModuleType) or top.__name__ not in ("random", "numpy.random", "numpy"):
            return False
        used = {
            attribute
            for _, effects in self._functions.values()
            for attribute, root in effects.attributes
            if root == name
        }
        if name not in self._seeded or used & {"seed", *_OWN_RANDOM}:
            return False
        return bool(used) if top.__name__ != "numpy" else "random" in used

    def _keeps_values(self, value: Any) -> bool:
        """Whether a function or an object of the module keeps values from one call to the next."""
        if isinstance(value, types.BuiltinMethodType):
            return has_hidden_state(value)
        if isinstance(value, functools.partial):
            function = value.func
            node = self._node_of(function) if isinstance(function, types.FunctionType) else None
            if node is None or id(node) not in self._functions:
                return False
            effects = self._functions[id(node)][1]
            return any(
                can_change(argument) and name in effects.changed_parameters | effects.augmented
                for name, argument in [*zip(effects.parameters, value.args, strict=False), *value.keywords.items()]
            )
        if isinstance(value, types.FunctionType):
            node = self._node_of(value)
            reached = self._functions.get(id(node))
            return reached is not None and bool({*closure_values(value)} & reached[1].changed | rebound_outside(value))
        if isinstance(value, functools._lru_cache_wrapper):
            reached = self._functions.get(id(self._node_of(inspect.unwrap(value))))
            if reached is None:
                return False
            effects = reached[1]
            return bool(effects.rebound | effects.changed | effects.read & self.state())
        if isinstance(value, type):
            return any(kind.__module__ == self._name and self._changes_its_class(kind) for kind in value.__mro__)
        return any(
            kind.__module__ == self._name and self._changes_itself(kind.__name__) for kind in type(value).__mro__
        )

    def _changes_its_class(self, kind: type) -> bool:
        """Whether its methods change a list or the like that belongs to the class, so that all its objects share it."""
        nodes = [*ast.walk(self._owners[kind.__name__])] if kind.__name__ in self._owners else []
        own = {node.attr for node in nodes if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)}
        shared = {
            name for name, value in vars(kind).items() if isinstance(value, list | dict | set | deque | np.ndarray)
        }
        return any(
            effects.changed_parameters & {*first_parameter(node)}
            and {(name, first) for name in shared - own for first in first_parameter(node)} & effects.attributes
            for node, effects in (self._functions[id(node)] for node in nodes if id(node) in self._functions)
            if isinstance(node, Defined)
        )

    def _changes_itself(self, owner: str) -> bool:
        """Whether a method of the class that may be called per record changes its object."""
        return any(
            id(node) in self._functions and self._functions[id(node)][1].changed_parameters & {*first_parameter(node)}
            for node in (self._owners[owner].body if owner in self._owners else ())
            if isinstance(node, Defined) and node.name not in NOT_PER_RECORD
        )
