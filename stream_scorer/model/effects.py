"""What one function of a module may change, as far as its source shows.

Other names of the same object are followed: `w = history; w.append(x)` changes `history`.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from stream_scorer.model.aliases import FUNCTIONS, Aliases, Function, called, nodes_of, roots

_METHODS = frozenset(
    (
        "add append appendleft clear difference_update discard extend extendleft fill fit fit_transform insert "
        "intersection_update itemset learn_many learn_one move_to_end partial_fit pop popitem popleft put remove resize "
        "reverse rotate send setdefault sort subtract symmetric_difference_update update"
    ).split()
)
"""Methods that change their object."""
_CALLS = frozenset(
    (
        "copyto delattr delitem fill_diagonal heapify heappop heappush heappushpop heapreplace iadd insort insort_left "
        "insort_right next place put put_along_axis putmask setattr setitem shuffle"
    ).split()
)
"""Functions that change their first argument."""
_OFTEN_PASSED = frozenset("append appendleft extend insert setdefault".split())
"""Methods that change their object, and are often passed to a function instead of called: `map(history.append, values)`."""
_BINDING = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.MatchAs, ast.MatchStar, ast.ExceptHandler)


class Passed(NamedTuple):
    """An argument of a call.

    called: name of the function or method.
    is_method: whether it is called as OBJECT.NAME.
    place: position of the argument, or its keyword.
    outer: names of the calling function's outer objects that the argument may be.
    own: the calling function's own parameters that it may be.
    """

    called: str
    is_method: bool
    place: int | str
    outer: set[str]
    own: set[str]


@dataclass
class Effects:
    """What a function does to names, the functions in it included. An outer name is neither its own nor a parameter.

    rebound: outer names that it binds again, by `global` or `globals()`.
    changed: outer names whose objects it changes in place.
    changed_parameters: parameters whose objects it changes in place.
    augmented: names whose objects an augmented assignment changes if they are lists or the like, and rebinds if not.
    sliced: names whose objects it changes if they are arrays, because it changes a slice of them.
    methods: calls of methods whose name says that they change their object: name of the object, method, outer names and
        own parameters that the object may be.
    read: outer names that it reads.
    calls: names of what it calls.
    returned: names of what it returns.
    attributes: attributes that it reads, each with the name that the expression begins with.
    passed: arguments of its calls.
    parameters: its positional parameters, in order.
    changes_defaults: whether it changes a default value, which all its calls share.
    """

    rebound: set[str] = field(default_factory=set)
    changed: set[str] = field(default_factory=set)
    changed_parameters: set[str] = field(default_factory=set)
    read: set[str] = field(default_factory=set)
    augmented: set[str] = field(default_factory=set)
    sliced: set[str] = field(default_factory=set)
    methods: list[tuple[str, str, set[str], set[str]]] = field(default_factory=list)
    attributes: set[tuple[str, str]] = field(default_factory=set)
    calls: set[str] = field(default_factory=set)
    returned: set[str] = field(default_factory=set)
    passed: list[Passed] = field(default_factory=list)
    parameters: list[str] = field(default_factory=list)
    changes_defaults: bool = False


def effects_of(function: Function) -> Effects:
    aliases = Aliases(function)
    declared = {name for node in nodes_of(function) if isinstance(node, ast.Global) for name in node.names}
    stored, read = _stored_and_read(function)
    local = stored - declared - _free(function)
    positional = _positional(function)
    own = {argument.arg for argument in (*positional, *function.args.kwonlyargs)}
    effects = Effects(parameters=[argument.arg for argument in positional])
    changed = aliases.all_of(_changes(function))
    effects.rebound = (stored & declared) | _by_globals(function)
    effects.changed, effects.read = changed - local, read - local
    effects.changed_parameters = changed & own
    for name, method in _by_method(function):
        may_be = aliases.all_of({name})
        effects.methods.append((name, method, may_be - local, may_be & own))
    every = changed.union(*(aliases.all_of({name}) for name, _, _, _ in effects.methods))
    effects.sliced = aliases.views_of(every) - (local - own)
    effects.augmented = aliases.same_as(_augmented(function)) - (local - own)
    effects.calls = {called(node) for node in nodes_of(function) if isinstance(node, ast.Call)}
    effects.returned = aliases.all_of(set().union(*map(roots, _returned(function)))) - (local - own)
    effects.attributes = {
        (node.attr, next(iter(roots(node.value)), "")) for node in nodes_of(function) if isinstance(node, ast.Attribute)
    }
    effects.changes_defaults = bool(_mutable_defaults(function) & every)
    for call, place, names in _arguments(function):
        may_be = aliases.all_of(names)
        is_method = isinstance(call.func, ast.Attribute)
        effects.passed.append(Passed(called(call), is_method, place, may_be - local, may_be & own))
    return effects


def _stored_and_read(function: Function) -> tuple[set[str], set[str]]:
    """Names that the function binds, and names that it reads."""
    stored, read = set[str](), set[str]()
    for node in nodes_of(function):
        if isinstance(node, ast.Name):
            (read if isinstance(node.ctx, ast.Load) else stored).add(node.id)
        elif isinstance(node, ast.arg):
            stored.add(node.arg)
        elif isinstance(node, _BINDING) and node is not function and node.name:
            stored.add(node.name)
    return stored, read


def _augmented(function: Function) -> set[str]:
    return {
        node.target.id
        for node in nodes_of(function)
        if isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name)
    }


def _positional(function: Function) -> list[ast.arg]:
    return [*function.args.posonlyargs, *function.args.args]


def _changes(function: Function) -> set[str]:
    """Names of objects that are changed in place."""
    changed = set[str]()
    called_here = {id(node.func) for node in nodes_of(function) if isinstance(node, ast.Call)}
    for node in nodes_of(function):
        if isinstance(node, ast.Call):
            name = called(node)
            if isinstance(node.func, ast.Attribute) and name in _METHODS and not isinstance(node.func.value, ast.Name):
                changed |= roots(node.func.value)
            if name in _CALLS and node.args:
                changed |= roots(node.args[0])
            changed |= set().union(*(roots(keyword.value) for keyword in node.keywords if keyword.arg == "out"))
        elif isinstance(node, ast.Subscript | ast.Attribute):
            passed_on = isinstance(node, ast.Attribute) and node.attr in _OFTEN_PASSED and id(node) not in called_here
            changed |= roots(node.value) if passed_on or not isinstance(node.ctx, ast.Load) else set()
    return changed


def _returned(function: Function) -> list[ast.AST]:
    if isinstance(function, ast.Lambda):
        return [function.body]
    return [node.value for node in nodes_of(function) if isinstance(node, ast.Return | ast.Yield) and node.value]


def _by_method(function: Function) -> set[tuple[str, str]]:
    """Calls NAME.METHOD() of methods that may change their object."""
    return {
        (node.func.value.id, node.func.attr)
        for node in nodes_of(function)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and node.func.attr in _METHODS
    }


def _arguments(function: Function) -> Iterator[tuple[ast.Call, int | str, set[str]]]:
    """Each argument of each call: the call, the position or keyword, and the names of the objects that it may be."""
    for node in nodes_of(function):
        if isinstance(node, ast.Call):
            places: list[tuple[int | str, ast.AST]] = [*enumerate(node.args)]
            places += [(keyword.arg, keyword.value) for keyword in node.keywords if keyword.arg]
            yield from ((node, place, names) for place, value in places if (names := roots(value)))


def _by_globals(function: Function) -> set[str]:
    """Names bound by `globals()["n"] = x` or `globals().update(n=x)`."""
    updates = (
        node
        for node in nodes_of(function)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "update"
        and isinstance(node.func.value, ast.Call)
        and called(node.func.value) == "globals"
    )
    return {keyword.arg for node in updates for keyword in node.keywords if keyword.arg} | {
        node.slice.value
        for node in nodes_of(function)
        if isinstance(node, ast.Subscript)
        and not isinstance(node.ctx, ast.Load)
        and isinstance(node.value, ast.Call)
        and called(node.value) == "globals"
        and isinstance(node.slice, ast.Constant)
        and isinstance(node.slice.value, str)
    }


def _free(function: Function) -> set[str]:
    """Names that belong to a function around this one."""
    inner = {
        name
        for node in nodes_of(function)
        if isinstance(node, FUNCTIONS) and node is not function
        for name in _own_names(node)
    }
    nonlocal_ = {name for node in nodes_of(function) if isinstance(node, ast.Nonlocal) for name in node.names}
    return nonlocal_ - _own_names(function) - inner


def _own_names(function: Function) -> set[str]:
    """Parameters of the function, and names that it binds outside of its inner functions."""
    arguments = function.args
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
    names = {argument.arg for argument in every if argument}
    body = function.body if isinstance(function.body, list) else [function.body]
    waiting: list[ast.AST] = [*body]
    outer = set[str]()
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Nonlocal):
            outer |= set(node.names)
        elif isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            names.add(node.id)
        if not isinstance(node, FUNCTIONS):
            waiting += ast.iter_child_nodes(node)
    return names - outer


def _mutable_defaults(function: Function) -> set[str]:
    """Parameters whose default is an object that all calls share."""
    arguments, positional = function.args, _positional(function)
    pairs = [*zip(positional[len(positional) - len(arguments.defaults) :], arguments.defaults, strict=True)]
    pairs += [
        (arg, default) for arg, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True) if default
    ]
    return {arg.arg for arg, default in pairs if not isinstance(default, ast.Constant)}
