"""What the functions of a module that are called per record reach, by their source and by the objects of the module."""

from __future__ import annotations

import ast
import copy
import functools
import types
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from stream_scorer.model.aliases import FUNCTIONS, Function
from stream_scorer.model.effects import Effects, Passed, effects_of
from stream_scorer.model.objects import within

NOT_PER_RECORD = frozenset(
    (
        "__init__ __new__ __post_init__ __init_subclass__ __set_name__ __del__ __setattr__ __delattr__ __setitem__ "
        "__delitem__ __setstate__"
    ).split()
)
"""Called as objects are made; or where the source shows that it changes an object."""
_MAKERS = ("__init__", "__new__", "__post_init__")
Defined = ast.FunctionDef | ast.AsyncFunctionDef


class Parsed(NamedTuple):
    """A module's source as a tree, and what its functions do, by their ids, as far as they were looked at."""

    tree: ast.Module
    effects: dict[int, Effects]


@functools.lru_cache(1)
def parsed(source: str) -> Parsed:
    """The last one is kept: it is asked for before and after `begin`, and may have 100,000 lines."""
    return Parsed(ast.parse(source), {})


class Reached:
    """What the functions called per record touch, and those that they reach."""

    def __init__(self, source: Parsed, entries: list[str], namespace: Mapping[str, Any]) -> None:
        self._effects = source.effects
        self._namespace, self._entries = namespace, entries
        self._name: str | None = namespace.get("__name__")
        nodes = [*ast.walk(source.tree)]
        self._imported = {name for node in nodes for name in _imported(node)}
        self._classes = {node.name: node for node in nodes if isinstance(node, ast.ClassDef)}
        self._methods = {id(node): owner for owner in self._classes.values() for node in owner.body}
        self._seeded = {
            name
            for node in nodes
            if isinstance(node, ast.Attribute) and node.attr == "seed"
            for name in (one.id for one in ast.walk(node) if isinstance(one, ast.Name))
        }
        self._named: dict[str, list[Defined]] = {}
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

    def _reach(self, entries: list[str]) -> None:
        names = {*entries}
        attributes, calls = set(entries), set[str]()
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
                    if isinstance(method, Defined) and (
                        method.name in attributes
                        or _is_dunder(method.name)
                        or (method.name in _MAKERS and owner.name in calls)
                    ):
                        self._take(method)
            for _, one in self._functions.values():
                calls |= one.calls
                attributes |= {name for name, root in one.attributes if root not in self._imported}
                self.loaded |= one.loaded

    def _take(self, node: Function) -> None:
        if id(node) not in self._functions:
            bare = copy.copy(node)
            if isinstance(bare, Defined):
                bare.decorator_list = []  # they are called once
            if id(node) not in self._effects:
                self._effects[id(node)] = effects_of(bare)
            self._functions[id(node)] = node, copy.deepcopy(self._effects[id(node)])

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
            isinstance(node, Defined) and node.name == method for node in self._classes[owner].body
        )

    def _pass_on(self) -> None:
        """What a function changes of an argument it changes of what it is given."""
        by_name: dict[str, list[tuple[Function, Effects]]] = {}
        for node, one in self._functions.values():
            if isinstance(node, Defined):
                by_name.setdefault(node.name, []).append((node, one))
        for name in self.loaded:
            value = self._namespace.get(name)
            if isinstance(value, types.FunctionType) and (found := self._node_of(value)) is not None:
                by_name.setdefault(name, []).append(self._functions[id(found)])
        going = True
        while going:
            going = False
            for _, one in self._functions.values():
                going |= self._change_given(one, by_name)
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

    def _change_given(self, one: Effects, by_name: Mapping[str, list[tuple[Function, Effects]]]) -> bool:
        """What a function gives, and another changes, it might have changed itself. Whether anything new came of it."""
        new = False
        for name in [name for name in one.changed if name.endswith("()")]:
            for _, inner in by_name.get(name[:-2], ()):
                own = inner.given & {*inner.parameters}
                new |= not (inner.given - own <= inner.changed and own <= inner.arguments)
                inner.changed |= inner.given - own
                inner.arguments |= own
        return new

    def _parameter(self, node: Function, inner: Effects, given: Passed) -> str:
        if isinstance(given.place, str):
            return given.place
        bound = given.of and id(node) in self._methods and not _is_static(node)
        return next(iter(inner.parameters[given.place + bound :]), "")


def first_argument(node: Defined) -> list[str]:
    return [one.arg for one in [*node.args.posonlyargs, *node.args.args][:1]]


def _is_static(node: Function) -> bool:
    return any(getattr(one, "id", "") == "staticmethod" for one in getattr(node, "decorator_list", ()))


def _is_dunder(name: str) -> bool:
    return name.startswith("__") and name.endswith("__") and name not in NOT_PER_RECORD


def _imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import | ast.ImportFrom):
        return [(alias.asname or alias.name).split(".")[0] for alias in node.names]
    return []
