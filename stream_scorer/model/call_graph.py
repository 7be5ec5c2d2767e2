"""The functions that a record reaches: those called per record, and what they call, by source and by the module's objects."""

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
"""Methods that are called when an object is made, or by syntax that itself shows a change of the object."""
_CONSTRUCTORS = ("__init__", "__new__", "__post_init__")
Defined = ast.FunctionDef | ast.AsyncFunctionDef


class Parsed(NamedTuple):
    """A module's syntax tree, and the effects of its functions found so far, by the id of their node."""

    tree: ast.Module
    effects: dict[int, Effects]


@functools.lru_cache(1)
def parsed(source: str) -> Parsed:
    """The last result is kept: it is needed before and after `begin`, and a source may have 100,000 lines."""
    return Parsed(ast.parse(source), {})


class CallGraph:
    """The functions that are called per record, directly or through others, and the globals that they read.

    Args:
        source: of the module.
        entries: names of the functions called per record.
        namespace: the module's globals; empty before it has run.
    """

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
            for name in (part.id for part in ast.walk(node) if isinstance(part, ast.Name))
        }
        self._named: dict[str, list[Defined]] = {}
        self._lines: dict[int, list[Function]] = {}
        for node in nodes:
            if isinstance(node, FUNCTIONS):
                decorated = [] if isinstance(node, ast.Lambda) else node.decorator_list
                self._lines.setdefault(
                    min((decorator.lineno for decorator in decorated), default=node.lineno), []
                ).append(node)
            if isinstance(node, Defined) and id(node) not in self._methods:
                self._named.setdefault(node.name, []).append(node)
        self._functions: dict[int, tuple[Function, Effects]] = {}
        self._owners: dict[str, ast.ClassDef] = {}
        self.read = set[str]()
        """Names of globals that the functions read."""
        self._reach(entries)
        for node, effects in self._functions.values():
            self._add_method_calls(node, effects)
        self._propagate()

    def _reach(self, entries: list[str]) -> None:
        """Take in functions and classes until nothing new is found."""
        names = {*entries}
        attributes, calls = set(entries), set[str]()
        size = -1
        while size != len(self.read) + len(self._functions) + len(attributes) + len(self._owners):
            size = len(self.read) + len(self._functions) + len(attributes) + len(self._owners)
            for name in names | self.read:
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
                        or (method.name in _CONSTRUCTORS and owner.name in calls)
                    ):
                        self._take(method)
            for _, effects in self._functions.values():
                calls |= effects.calls
                attributes |= {name for name, root in effects.attributes if root not in self._imported}
                self.read |= effects.read

    def _take(self, node: Function) -> None:
        if id(node) not in self._functions:
            bare = copy.copy(node)
            if isinstance(bare, Defined):
                bare.decorator_list = []  # called once, not per record
            if id(node) not in self._effects:
                self._effects[id(node)] = effects_of(bare)
            self._functions[id(node)] = node, copy.deepcopy(self._effects[id(node)])

    def _take_value(self, value: Any) -> None:
        if isinstance(value, types.FunctionType):
            if (node := self._node_of(value)) is not None:
                self._take(node)
        else:
            kind = value if isinstance(value, type) else type(value)
            for base in kind.__mro__:
                if base.__module__ == self._name and base.__name__ in self._classes:
                    self._owners[base.__name__] = self._classes[base.__name__]

    def _node_of(self, function: types.FunctionType) -> Function | None:
        code = function.__code__
        if function.__globals__ is not self._namespace and function.__module__ != self._name:
            return None
        nodes = self._lines.get(code.co_firstlineno, [])
        return next((node for node in nodes if getattr(node, "name", "<lambda>") == code.co_name), None)

    def _add_method_calls(self, node: Function, effects: Effects) -> None:
        """A method called `add` changes its object, unless the module itself defines it: then its source tells."""
        owner = self._methods.get(id(node))
        for name, method, outer, own in effects.methods:
            if owner is not None and [name] == effects.parameters[:1] and self._has(owner.name, method):
                continue
            effects.changed_parameters |= own
            for other in outer:
                kinds = type(self._namespace.get(other)).__mro__
                if not any(kind.__module__ == self._name and self._has(kind.__name__, method) for kind in kinds):
                    effects.changed.add(other)

    def _has(self, owner: str, method: str) -> bool:
        return owner in self._classes and any(
            isinstance(node, Defined) and node.name == method for node in self._classes[owner].body
        )

    def _propagate(self) -> None:
        """If a function changes a parameter, its callers change what they pass to it. Repeated until nothing is new."""
        by_name: dict[str, list[tuple[Function, Effects]]] = {}
        for node, effects in self._functions.values():
            if isinstance(node, Defined):
                by_name.setdefault(node.name, []).append((node, effects))
        for name in self.read:
            value = self._namespace.get(name)
            if isinstance(value, types.FunctionType) and (definition := self._node_of(value)) is not None:
                by_name.setdefault(name, []).append(self._functions[id(definition)])
        new = True
        while new:
            new = False
            for _, effects in self._functions.values():
                new |= self._change_returned(effects, by_name)
                for passed in effects.passed:
                    new |= self._change_passed(effects, passed, by_name.get(passed.called, ()))

    def _change_passed(self, caller: Effects, passed: Passed, callees: Iterable[tuple[Function, Effects]]) -> bool:
        """Add what the callees change of an argument to what the caller changes. Returns whether anything was new."""
        size = len(caller.changed) + len(caller.changed_parameters) + len(caller.augmented)
        for node, callee in callees:
            name = self._parameter(node, callee, passed)
            if name in callee.changed_parameters:
                caller.changed |= passed.outer
                caller.changed_parameters |= passed.own
            elif name in callee.augmented:
                caller.augmented |= passed.outer | passed.own
        return len(caller.changed) + len(caller.changed_parameters) + len(caller.augmented) > size

    def _change_returned(self, caller: Effects, by_name: Mapping[str, list[tuple[Function, Effects]]]) -> bool:
        """A function whose result the caller changes counts as changing it itself. Returns whether anything was new."""
        new = False
        for name in [name for name in caller.changed if name.endswith("()")]:
            for _, callee in by_name.get(name[:-2], ()):
                own = callee.returned & {*callee.parameters}
                new |= not (callee.returned - own <= callee.changed and own <= callee.changed_parameters)
                callee.changed |= callee.returned - own
                callee.changed_parameters |= own
        return new

    def _parameter(self, node: Function, callee: Effects, passed: Passed) -> str:
        """The parameter that the argument is passed as; "" if it has none."""
        if isinstance(passed.place, str):
            return passed.place
        bound = passed.is_method and id(node) in self._methods and not _is_static(node)
        return next(iter(callee.parameters[passed.place + bound :]), "")


def first_parameter(node: Defined) -> list[str]:
    """Its name (`self` of a method); [] if there is none."""
    return [argument.arg for argument in [*node.args.posonlyargs, *node.args.args][:1]]


def _is_static(node: Function) -> bool:
    return any(getattr(decorator, "id", "") == "staticmethod" for decorator in getattr(node, "decorator_list", ()))


def _is_dunder(name: str) -> bool:
    return name.startswith("__") and name.endswith("__") and name not in NOT_PER_RECORD


def _imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import | ast.ImportFrom):
        return [(alias.asname or alias.name).split(".")[0] for alias in node.names]
    return []
