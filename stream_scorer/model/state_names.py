"""Which module globals are the model's state, found from its code.

The rule: a name is state when `action`, or a module function it reaches, rebinds it with `global` or
changes it in place (a method that mutates, an item, an augmented assignment). Names that only the
module body or `begin` bind are the model itself: weights, sessions, constants.
"""

from __future__ import annotations

import ast
import dis
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

_MUTATORS = frozenset(
    (
        "add append appendleft clear discard extend extendleft insert intersection_update pop popitem popleft "
        "remove reverse rotate send setdefault sort symmetric_difference_update update fill put itemset resize"
    ).split()
)

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_Function = ast.FunctionDef | ast.AsyncFunctionDef


def find_state(source: str, entries: Iterable[str]) -> tuple[str, ...]:
    """Names of the state globals, sorted. `entries` are the functions called per record."""
    return tuple(sorted(_Reached(ast.parse(source), entries).state))


def find_hidden(source: str, entries: Iterable[str], namespace: Mapping[str, Any]) -> tuple[str, ...]:
    """Names of globals that change with records though no function of the module rebinds or changes them, sorted.

    They are objects of the module's own classes whose methods change them, and callbacks that change variables of the
    function they were made in. `entries`: functions called per record.
    """
    entries = list(entries)
    reached = _Reached(ast.parse(source), entries)
    changing = reached.changing_classes()
    found = set()
    for name in reached.loaded | set(entries):
        value = namespace.get(name)
        kinds = type(getattr(value, "__self__", value)).__mro__  # of a method, its object's
        own = {kind.__name__ for kind in kinds if kind.__module__ == namespace["__name__"]}
        if own & changing or (name in entries and _keeps_outer_values(value)):
            found.add(name)
    return tuple(sorted(found))


def _keeps_outer_values(callback: Any) -> bool:
    """Whether a callback rebinds a variable of the function that it was made in (`nonlocal`)."""
    code = getattr(callback, "__code__", None)
    return code is not None and any(
        one.opname == "STORE_DEREF" and one.argval in code.co_freevars for one in dis.get_instructions(code)
    )


class _Reached:
    """What the functions called per record, and all module functions that they reach, read and change.

    state: globals that they change. loaded: names that they read.
    """

    def __init__(self, tree: ast.Module, entries: Iterable[str]) -> None:
        functions = {node.name: node for node in tree.body if isinstance(node, _FUNCTIONS)}
        self._classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
        imported = {name for node in ast.walk(tree) for name in _imported(node)}
        touched, changed = set[str](), set[str]()
        self.loaded, self._attributes = set[str](), {*entries}
        waiting, seen = [name for name in entries if name in functions], set[str]()
        while waiting:
            name = waiting.pop()
            if name in seen:
                continue
            seen.add(name)
            found = _touched(functions[name])
            touched |= found.rebound
            changed |= found.changed | ({name} if found.changes_defaults else set())
            self.loaded |= found.loaded
            self._attributes |= _attributes(functions[name])
            waiting += [other for other in found.loaded if other in functions]
        # A function that is rebound is a choice among functions, no state; one with an attribute that is set is state.
        self.state = ((touched - functions.keys()) | changed) - imported

    def changing_classes(self) -> set[str]:
        """Classes with a method that changes its object. A method is taken as reached if its name is read anywhere."""
        methods = [(one.name, node) for one in self._classes for node in one.body if isinstance(node, _FUNCTIONS)]
        names, changing = {*self._attributes, "__call__"}, set[str]()
        before = -1
        while before < len(names):
            before = len(names)
            for owner, method in methods:
                if method.name in names and method.args.args:
                    names |= _attributes(method)
                    if method.args.args[0].arg in _changes(method):
                        changing.add(owner)
        return changing


class _Touched(NamedTuple):
    """What one function does: the globals it rebinds and those it changes in place, the names it reads, and whether it
    changes a default value of its own arguments."""

    rebound: set[str]
    changed: set[str]
    loaded: set[str]
    changes_defaults: bool


def _imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import | ast.ImportFrom):
        return [(alias.asname or alias.name).split(".")[0] for alias in node.names]
    return []


def _touched(function: _Function) -> _Touched:
    """Nested functions included."""
    declared = {name for node in ast.walk(function) if isinstance(node, ast.Global) for name in node.names}
    stored, loaded = set[str](), set[str]()
    for node in ast.walk(function):
        if isinstance(node, ast.Name):
            (loaded if isinstance(node.ctx, ast.Load) else stored).add(node.id)
        elif isinstance(node, ast.arg):
            stored.add(node.arg)
    changed, local = _changes(function), stored - declared
    return _Touched(stored & declared, changed - local, loaded - local, bool(_kept_defaults(function) & changed))


def _changes(function: _Function) -> set[str]:
    """Names of what is changed in place."""
    changed = set[str]()
    for node in ast.walk(function):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _MUTATORS:
            changed |= _root(node.func.value)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "next" and node.args:
            changed |= _root(node.args[0])
        elif isinstance(node, ast.Subscript | ast.Attribute) and not isinstance(node.ctx, ast.Load):
            changed |= _root(node.value)
    return changed


def _kept_defaults(function: _Function) -> set[str]:
    """Arguments whose default is an object that all calls share."""
    arguments = function.args
    positional = [*arguments.posonlyargs, *arguments.args]
    pairs = [*zip(positional[len(positional) - len(arguments.defaults) :], arguments.defaults, strict=True)]
    pairs += [
        (arg, default) for arg, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True) if default
    ]
    return {arg.arg for arg, default in pairs if isinstance(default, ast.List | ast.Dict | ast.Set | ast.Call)}


def _attributes(function: _Function) -> set[str]:
    return {node.attr for node in ast.walk(function) if isinstance(node, ast.Attribute)}


def _root(node: ast.AST) -> set[str]:
    while isinstance(node, ast.Subscript | ast.Attribute):
        node = node.value
    return {node.id} if isinstance(node, ast.Name) else set()
