"""Which module globals are the model's state, found from its code and, once it has run, from its objects.

The rule: a name is state when `action`, or a function of the module that it reaches, rebinds it with `global` or
changes it in place (a method that mutates, an item, an attribute, an augmented assignment), be it by another name.
Names that only the module body or `begin` bind are the model itself: weights, sessions, constants.
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

from stream_scorer.model.call_graph import NOT_PER_RECORD, Defined, Reached, first_argument, parsed
from stream_scorer.model.objects import can_change, cells, goes_on, memory, rebound_outside, within

_OWN_RANDOM = frozenset("Random SystemRandom default_rng RandomState Generator".split())


class Found(Reached):
    """What a module's source, and its objects once it has run, show of its state.

    Args:
        source: of the module.
        entries: names of the functions called per record.
        namespace: the module's globals; empty before it has run.
    """

    def __init__(self, source: str, entries: Iterable[str], namespace: Mapping[str, Any]) -> None:
        super().__init__(parsed(source), [*entries], namespace)

    def names(self) -> tuple[str, ...]:
        """Of all globals that are state, sorted."""
        return tuple(sorted(self.state() | self.hidden()))

    def state(self) -> set[str]:
        """Names of globals that functions called per record rebind, or change by name."""
        found = set[str]()
        for node, one in self._functions.values():
            found |= one.changed | (one.rebound - self._named.keys())
            found |= {name for name in one.added if can_change(self._namespace.get(name))}
            found |= {name for name in one.viewed if isinstance(self._namespace.get(name), np.ndarray)}
            if one.changes_defaults and isinstance(node, Defined):
                found.add(node.name)
        found = {name for name in found - self._imported if not name.endswith("()")}
        if self._namespace:
            found = {name for name in found if name in self._namespace or name not in self._kept_outside()}
        return found | self._same_as(found)

    def hidden(self) -> set[str]:
        """Names of globals that change with each record without being changed by name.

        They are objects of the module's own classes whose methods change them, iterators, generators of random numbers,
        and functions that keep values.
        """
        return {name for name in self.loaded | {*self._entries} if name in self._namespace and self._hides(name)}

    def _kept_outside(self) -> set[str]:
        """Names of outer functions' values."""
        return {
            name
            for top in self.loaded | {*self._entries}
            for value in within(self._namespace.get(top), self._name)
            if isinstance(value, types.FunctionType)
            for name in value.__code__.co_freevars
        }

    def _same_as(self, found: set[str]) -> set[str]:
        """Names of other objects that are, or hold, what these hold too."""
        objects = {
            id(one) for name in found for one in within(self._namespace.get(name), self._name) if can_change(one)
        }
        return {
            name
            for name in self.loaded - found
            if objects and any(id(one) in objects for one in within(self._namespace.get(name), self._name))
        }

    def views(self) -> list[tuple[str, str]]:
        """Arrays that are changed in place, each with another that looks into the same memory."""
        changed = {name for _, one in self._functions.values() for name in one.changed | one.viewed | one.added}
        arrays = {
            name: value for name in self.loaded | changed if isinstance(value := self._namespace.get(name), np.ndarray)
        }
        return [
            (name, other)
            for name in sorted(changed & arrays.keys())
            for other in sorted(arrays)
            if arrays[name] is not arrays[other] and memory(arrays[name]) is memory(arrays[other])
        ]

    def _hides(self, name: str) -> bool:
        top = self._namespace[name]
        return goes_on(top) or self._is_seeded(name, top) or any(self._keeps(one) for one in within(top, self._name))

    def _is_seeded(self, name: str, top: Any) -> bool:
        """Whether random numbers are taken of a module that was seeded before."""
        if not isinstance(top, types.ModuleType) or top.__name__ not in ("random", "numpy.random", "numpy"):
            return False
        used = {attribute for _, one in self._functions.values() for attribute, of in one.attributes if of == name}
        if name not in self._seeded or used & {"seed", *_OWN_RANDOM}:
            return False
        return bool(used) if top.__name__ != "numpy" else "random" in used

    def _keeps(self, value: Any) -> bool:
        if isinstance(value, types.BuiltinMethodType):
            return goes_on(value)
        if isinstance(value, functools.partial):
            function = value.func
            node = self._node_of(function) if isinstance(function, types.FunctionType) else None
            if node is None or id(node) not in self._functions:
                return False
            one = self._functions[id(node)][1]
            return any(
                can_change(argument) and name in one.arguments | one.added
                for name, argument in [*zip(one.parameters, value.args, strict=False), *value.keywords.items()]
            )
        if isinstance(value, types.FunctionType):
            node = self._node_of(value)
            found = self._functions.get(id(node))
            return found is not None and bool({*cells(value)} & found[1].changed | rebound_outside(value))
        if isinstance(value, functools._lru_cache_wrapper):
            found = self._functions.get(id(self._node_of(inspect.unwrap(value))))
            return found is not None and bool(found[1].rebound | found[1].changed | found[1].loaded & self.state())
        if isinstance(value, type):
            return any(kind.__module__ == self._name and self._shares(kind) for kind in value.__mro__)
        return any(
            kind.__module__ == self._name and self._changes_itself(kind.__name__) for kind in type(value).__mro__
        )

    def _shares(self, kind: type) -> bool:
        """Whether its objects change a list or the like that they all have of their class."""
        nodes = [] if kind.__name__ not in self._owners else [*ast.walk(self._owners[kind.__name__])]
        own = {one.attr for one in nodes if isinstance(one, ast.Attribute) and isinstance(one.ctx, ast.Store)}
        shared = {
            name for name, value in vars(kind).items() if isinstance(value, list | dict | set | deque | np.ndarray)
        }
        return any(
            one.arguments & {*first_argument(node)}
            and {(name, first) for name in shared - own for first in first_argument(node)} & one.attributes
            for node, one in (self._functions[id(node)] for node in nodes if id(node) in self._functions)
            if isinstance(node, Defined)
        )

    def _changes_itself(self, owner: str) -> bool:
        """Whether a method that is reached, as far as names tell, changes its object."""
        return any(
            id(node) in self._functions and self._functions[id(node)][1].arguments & {*first_argument(node)}
            for node in (self._owners[owner].body if owner in self._owners else ())
            if isinstance(node, Defined) and node.name not in NOT_PER_RECORD
        )
