"""Which module globals are the model's state, found from its code and, once it has run, from its objects.

The rule: a name is state when `action`, or a function of the module that it reaches, rebinds it with `global` or
changes it in place (a method that mutates, an item, an attribute, an augmented assignment), be it by another name.
Names that only the module body or `begin` bind are the model itself: weights, sessions, constants.
"""

from __future__ import annotations

import ast
import functools
import types
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from stream_scorer.model.effects import FUNCTIONS, Effects, Function, Passed, effects_of
from stream_scorer.model.live import can_change, cells, goes_on, memory, rebound_outside, within

_NOT_PER_RECORD = frozenset(
    (
        "__init__ __new__ __post_init__ __init_subclass__ __set_name__ __del__ __setattr__ __delattr__ __setitem__ "
        "__delitem__ __setstate__"
    ).split()
)
"""Called as objects are made; or where the source shows that it changes an object."""
_OWN_RANDOM = frozenset("Random SystemRandom default_rng RandomState Generator".split())
_Defined = ast.FunctionDef | ast.AsyncFunctionDef


def find_state(source: str, entries: Iterable[str], namespace: Mapping[str, Any] | None = None) -> tuple[str, ...]:
    """Names of the state globals, sorted. `entries` are the functions called per record."""
    return tuple(sorted(_Reached(ast.parse(source), [*entries], namespace or {}).state()))


def find_hidden(source: str, entries: Iterable[str], namespace: Mapping[str, Any]) -> tuple[str, ...]:
    """Names of globals that change with each record without being changed by name, sorted: objects of the module's own
    classes whose methods change them, iterators, generators of random numbers, functions that keep values."""
    return tuple(sorted(_Reached(ast.parse(source), [*entries], namespace).hidden()))


def find_views(source: str, entries: Iterable[str], namespace: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Names of arrays that are changed in place, each with that of another array that looks into the same memory."""
    return _Reached(ast.parse(source), [*entries], namespace).views()


class _Reached:
    """What the functions called per record touch, and those that they reach."""

    def __init__(self, tree: ast.Module, entries: list[str], namespace: Mapping[str, Any]) -> None:
        self._namespace, self._entries = namespace, entries
        self._name: str | None = namespace.get("__name__")
        nodes = [*ast.walk(tree)]
        self._imported = {name for node in nodes for name in _imported(node)}
        self._classes = {node.name: node for node in nodes if isinstance(node, ast.ClassDef)}
        self._methods = {id(node): owner for owner in self._classes.values() for node in owner.body}
        self._seeded = {
            name
            for node in nodes
            if isinstance(node, ast.Attribute) and node.attr == "seed"
            for name in (one.id for one in ast.walk(node) if isinstance(one, ast.Name))
        }
        self._named: dict[str, list[_Defined]] = {}
        self._lines: dict[int, list[Function]] = {}
        for node in nodes:
            if isinstance(node, FUNCTIONS):
                decorated = [] if isinstance(node, ast.Lambda) else node.decorator_list
                self._lines.setdefault(min((one.lineno for one in decorated), default=node.lineno), []).append(node)
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and id(node) not in self._methods:
                self._named.setdefault(node.name, []).append(node)
        self._functions: dict[int, tuple[Function, Effects]] = {}
        self._owners: dict[str, ast.ClassDef] = {}
        self.loaded = set[str]()
        self._reach(entries)
        for node, one in self._functions.values():
            self._call_methods(node, one)
        self._pass_on()

    def state(self) -> set[str]:
        found = set[str]()
        for node, one in self._functions.values():
            found |= one.changed | (one.rebound - self._named.keys())
            found |= {name for name in one.added if can_change(self._namespace.get(name))}
            found |= {name for name in one.viewed if isinstance(self._namespace.get(name), np.ndarray)}
            if one.changes_defaults and isinstance(node, _Defined):
                found.add(node.name)
        found -= self._imported
        if self._namespace:
            found = {name for name in found if name in self._namespace or name not in self._kept_outside()}
        return found | self._same_as(found)

    def hidden(self) -> set[str]:
        return {name for name in self.loaded | {*self._entries} if name in self._namespace and self._hides(name)}

    def _reach(self, entries: list[str]) -> None:
        names = {*entries}
        attributes = set(entries)
        before = -1
        while before != len(self.loaded) + len(self._functions) + len(attributes) + len(self._owners):
            before = len(self.loaded) + len(self._functions) + len(attributes) + len(self._owners)
            for name in names | self.loaded:
                for node in self._named.get(name, ()):
                    self._take(node)
                if name in self._classes:
                    self._owners[name] = self._classes[name]
                for value in within(self._namespace.get(name), self._name):
                    self._take_value(value)
            for owner in [*self._owners.values()]:
                for method in owner.body:
                    if isinstance(method, _Defined) and (method.name in attributes or _is_dunder(method.name)):
                        self._take(method)
            for _, one in self._functions.values():
                attributes |= {name for name, root in one.attributes if root not in self._imported}
                self.loaded |= one.loaded

    def _take(self, node: Function) -> None:
        if id(node) not in self._functions:
            self._functions[id(node)] = node, effects_of(node)

    def _take_value(self, value: Any) -> None:
        if isinstance(value, types.FunctionType):
            if (node := self._node_of(value)) is not None:
                self._take(node)
        else:
            kind = value if isinstance(value, type) else type(value)
            for one in kind.__mro__:
                if one.__module__ == self._name and one.__name__ in self._classes:
                    self._owners[one.__name__] = self._classes[one.__name__]

    def _node_of(self, function: types.FunctionType) -> Function | None:
        code = function.__code__
        if function.__globals__ is not self._namespace and function.__module__ != self._name:
            return None
        nodes = self._lines.get(code.co_firstlineno, [])
        return next((node for node in nodes if getattr(node, "name", "<lambda>") == code.co_name), None)

    def _call_methods(self, node: Function, one: Effects) -> None:
        """What is called `add` changes its object, unless it is the module's own: that is looked into."""
        owner = self._methods.get(id(node))
        for name, method, others, own in one.methods:
            if owner is not None and [name] == one.parameters[:1] and self._has(owner.name, method):
                continue
            one.arguments |= own
            for other in others:
                kinds = type(self._namespace.get(other)).__mro__
                if not any(kind.__module__ == self._name and self._has(kind.__name__, method) for kind in kinds):
                    one.changed.add(other)

    def _has(self, owner: str, method: str) -> bool:
        return owner in self._classes and any(
            isinstance(node, _Defined) and node.name == method for node in self._classes[owner].body
        )

    def _pass_on(self) -> None:
        """What a function changes of an argument it changes of what it is given."""
        by_name: dict[str, list[tuple[Function, Effects]]] = {}
        for node, one in self._functions.values():
            if isinstance(node, _Defined):
                by_name.setdefault(node.name, []).append((node, one))
        for name in self.loaded:
            value = self._namespace.get(name)
            if isinstance(value, types.FunctionType) and (found := self._node_of(value)) is not None:
                by_name.setdefault(name, []).append(self._functions[id(found)])
        going = True
        while going:
            going = False
            for _, one in self._functions.values():
                for given in one.passed:
                    going |= self._pass(one, given, by_name.get(given.called, ()))

    def _pass(self, one: Effects, given: Passed, called: Iterable[tuple[Function, Effects]]) -> bool:
        """Whether anything new came of it."""
        before = len(one.changed) + len(one.arguments) + len(one.added)
        for node, inner in called:
            name = self._parameter(node, inner, given)
            if name in inner.arguments:
                one.changed |= given.globals
                one.arguments |= given.own
            elif name in inner.added:
                one.added |= given.globals | given.own
        return len(one.changed) + len(one.arguments) + len(one.added) > before

    def _parameter(self, node: Function, inner: Effects, given: Passed) -> str:
        if isinstance(given.place, str):
            return given.place
        bound = given.of and id(node) in self._methods and not _is_static(node)
        return next(iter(inner.parameters[given.place + bound :]), "")

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
        if isinstance(value, type):
            return False
        return any(
            kind.__module__ == self._name and self._changes_itself(kind.__name__) for kind in type(value).__mro__
        )

    def _changes_itself(self, owner: str) -> bool:
        """Whether a method that is reached, as far as names tell, changes its object."""
        return any(
            id(node) in self._functions and self._functions[id(node)][1].arguments & {*_first(node)}
            for node in (self._owners[owner].body if owner in self._owners else ())
            if isinstance(node, _Defined)
        )


def _is_static(node: Function) -> bool:
    return any(getattr(one, "id", "") == "staticmethod" for one in getattr(node, "decorator_list", ()))


def _first(node: _Defined) -> list[str]:
    return [one.arg for one in [*node.args.posonlyargs, *node.args.args][:1]]


def _is_dunder(name: str) -> bool:
    return name.startswith("__") and name.endswith("__") and name not in _NOT_PER_RECORD


def _imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import | ast.ImportFrom):
        return [(alias.asname or alias.name).split(".")[0] for alias in node.names]
    return []
