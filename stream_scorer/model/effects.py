"""What one function of a module's source may change, as far as its names show.

Other names of the same object are followed: `w = history; w.append(x)` changes `history`.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from stream_scorer.model.aliases import FUNCTIONS, Function, Names, called, nodes_of, roots

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
_HANDED_ON = frozenset("append appendleft extend insert setdefault".split())
"""Methods of lists and dicts that change them too where they are not called at once: `map(history.append, found)`."""
_NAMED = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.MatchAs, ast.MatchStar, ast.ExceptHandler)


class Passed(NamedTuple):
    """An argument of a call.

    called: the name of what is called; of: whether of an object. place: or name. globals, own: names that it may be, of
    others and of the function's own arguments.
    """

    called: str
    of: bool
    place: int | str
    globals: set[str]
    own: set[str]


@dataclass
class Effects:
    """Of a function, with the functions in it.

    rebound: globals. changed: names, changed in place, that are neither its own nor its arguments'. arguments: those
    of its arguments that it changes. added: names that an augmented assignment changes if they hold a list or the like.
    viewed: names that are changed if they hold an array, as a slice of that is no copy. methods: calls of methods that
    change their object by what they are called: the name, the method, names of others and arguments that it may be.
    loaded: names of others that it reads. calls: names of what it calls. given: names of what it returns. attributes:
    read of anything, with the name that it begins with. passed: what it gives to calls. changes_defaults: whether a
    default value is changed that all its calls share.
    """

    rebound: set[str] = field(default_factory=set)
    changed: set[str] = field(default_factory=set)
    arguments: set[str] = field(default_factory=set)
    loaded: set[str] = field(default_factory=set)
    added: set[str] = field(default_factory=set)
    viewed: set[str] = field(default_factory=set)
    methods: list[tuple[str, str, set[str], set[str]]] = field(default_factory=list)
    attributes: set[tuple[str, str]] = field(default_factory=set)
    calls: set[str] = field(default_factory=set)
    given: set[str] = field(default_factory=set)
    passed: list[Passed] = field(default_factory=list)
    parameters: list[str] = field(default_factory=list)
    changes_defaults: bool = False


def effects_of(function: Function) -> Effects:
    declared = {name for node in nodes_of(function) if isinstance(node, ast.Global) for name in node.names}
    stored, loaded = set[str](), set[str]()
    for node in nodes_of(function):
        if isinstance(node, ast.Name):
            (loaded if isinstance(node.ctx, ast.Load) else stored).add(node.id)
        elif isinstance(node, ast.arg):
            stored.add(node.arg)
        elif isinstance(node, _NAMED) and node is not function and node.name:
            stored.add(node.name)
    found, names = Effects(), Names(function)
    local = stored - declared - _free(function)
    arguments = function.args
    positional = [*arguments.posonlyargs, *arguments.args]
    found.parameters = [one.arg for one in positional]
    own = {one.arg for one in (*positional, *arguments.kwonlyargs)}
    changed = names.all_of(_changes(function))
    found.rebound = (stored & declared) | _by_globals(function)
    found.changed, found.loaded = changed - local, loaded - local
    found.arguments = changed & own
    for name, method in _by_method(function):
        may_be = names.all_of({name})
        found.methods.append((name, method, may_be - local, may_be & own))
    every = changed.union(*(names.all_of({name}) for name, _, _, _ in found.methods))
    found.viewed = names.views_of(every) - (local - own)
    added = {
        one.target.id
        for one in nodes_of(function)
        if isinstance(one, ast.AugAssign) and isinstance(one.target, ast.Name)
    }
    found.added = names.same_as(added) - (local - own)
    every_call = [node for node in nodes_of(function) if isinstance(node, ast.Call)]
    found.calls = {called(node) for node in every_call}
    found.given = names.all_of(set().union(*map(roots, _returned(function)))) - (local - own)
    found.attributes = {
        (node.attr, next(iter(roots(node.value)), "")) for node in nodes_of(function) if isinstance(node, ast.Attribute)
    }
    found.changes_defaults = bool(_kept_defaults(function) & every)
    for call, place, given in _given(function):
        may_be = names.all_of(given)
        of = isinstance(call.func, ast.Attribute)
        found.passed.append(Passed(called(call), of, place, may_be - local, may_be & own))
    return found


def _changes(function: Function) -> set[str]:
    """Names of what is changed in place."""
    changed = set[str]()
    at_once = {id(node.func) for node in nodes_of(function) if isinstance(node, ast.Call)}
    for node in nodes_of(function):
        if isinstance(node, ast.Call):
            name = called(node)
            if isinstance(node.func, ast.Attribute) and name in _METHODS and not isinstance(node.func.value, ast.Name):
                changed |= roots(node.func.value)
            if name in _CALLS and node.args:
                changed |= roots(node.args[0])
            changed |= set().union(*(roots(one.value) for one in node.keywords if one.arg == "out"))
        elif isinstance(node, ast.Subscript | ast.Attribute):
            handed_on = isinstance(node, ast.Attribute) and node.attr in _HANDED_ON and id(node) not in at_once
            changed |= roots(node.value) if handed_on or not isinstance(node.ctx, ast.Load) else set()
    return changed


def _returned(function: Function) -> list[ast.AST]:
    if isinstance(function, ast.Lambda):
        return [function.body]
    return [node.value for node in nodes_of(function) if isinstance(node, ast.Return | ast.Yield) and node.value]


def _by_method(function: Function) -> set[tuple[str, str]]:
    return {
        (node.func.value.id, node.func.attr)
        for node in nodes_of(function)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and node.func.attr in _METHODS
    }


def _given(function: Function) -> Iterator[tuple[ast.Call, int | str, set[str]]]:
    for node in nodes_of(function):
        if isinstance(node, ast.Call):
            places: list[tuple[int | str, ast.AST]] = [*enumerate(node.args)]
            places += [(one.arg, one.value) for one in node.keywords if one.arg]
            yield from ((node, place, found) for place, value in places if (found := roots(value)))


def _by_globals(function: Function) -> set[str]:
    """`globals()["n"] = x`, `globals().update(n=x)`."""
    updates = (
        node
        for node in nodes_of(function)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "update"
        and isinstance(node.func.value, ast.Call)
        and called(node.func.value) == "globals"
    )
    return {one.arg for node in updates for one in node.keywords if one.arg} | {
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
    """Names that are an outer function's."""
    inner = {
        name
        for node in nodes_of(function)
        if isinstance(node, FUNCTIONS) and node is not function
        for name in _own_names(node)
    }
    nonlocal_ = {name for node in nodes_of(function) if isinstance(node, ast.Nonlocal) for name in node.names}
    return nonlocal_ - _own_names(function) - inner


def _own_names(function: Function) -> set[str]:
    """Its arguments, and what it binds outside of functions in it."""
    arguments = function.args
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
    found = {one.arg for one in every if one}
    body = function.body if isinstance(function.body, list) else [function.body]
    waiting: list[ast.AST] = [*body]
    outer = set[str]()
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Nonlocal):
            outer |= set(node.names)
        elif isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            found.add(node.id)
        if not isinstance(node, FUNCTIONS):
            waiting += ast.iter_child_nodes(node)
    return found - outer


def _kept_defaults(function: Function) -> set[str]:
    """Arguments whose default is an object that all calls share."""
    arguments = function.args
    positional = [*arguments.posonlyargs, *arguments.args]
    pairs = [*zip(positional[len(positional) - len(arguments.defaults) :], arguments.defaults, strict=True)]
    pairs += [
        (arg, default) for arg, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True) if default
    ]
    return {arg.arg for arg, default in pairs if not isinstance(default, ast.Constant)}
