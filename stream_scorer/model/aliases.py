"""Names of one object within a function: `w = history` is another name of it, `for w in history` one of a part of it."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator, Mapping

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda

_PARTS = frozenset("get items pop popitem popleft ravel reshape setdefault squeeze transpose values view".split())
"""Methods that give something within an object, or the object by another shape."""
_THROUGH = frozenset("enumerate filter getattr iter max min next reversed vars zip".split())
"""Calls that give what is in their arguments."""


class Names:
    """Which other names the object of a local name may have."""

    def __init__(self, function: Function) -> None:
        self._of: dict[str, set[str]] = {}
        self._same: dict[str, set[str]] = {}
        self._views: dict[str, set[str]] = {}
        for node in nodes_of(function):
            for target, value in _bindings(node):
                if isinstance(target, ast.Name):
                    if isinstance(value, ast.Name) and not isinstance(node, ast.For):
                        self._same.setdefault(target.id, set()).add(value.id)
                    if isinstance(value, ast.Subscript) and isinstance(value.slice, ast.Slice | ast.Tuple):
                        self._views.setdefault(target.id, set()).update(roots(value.value))
                    self._of.setdefault(target.id, set()).update(roots(value))
                elif isinstance(target, ast.Tuple | ast.List):
                    for name in (one.id for one in ast.walk(target) if isinstance(one, ast.Name)):
                        self._of.setdefault(name, set()).update(roots(value))

    def all_of(self, names: set[str]) -> set[str]:
        """With those of what it is a part of."""
        return _closed(names, self._of)

    def views_of(self, names: set[str]) -> set[str]:
        return self.all_of({one for name in names for one in self._views.get(name, ())})

    def same_as(self, names: set[str]) -> set[str]:
        return _closed(names, self._same)


def _closed(names: set[str], more: Mapping[str, set[str]]) -> set[str]:
    found, waiting = set[str](), [*names]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += more.get(name, ())
    return found


def _bindings(node: ast.AST) -> Iterator[tuple[ast.AST, ast.AST]]:
    """Targets with what they are bound to, or to a part of."""
    if isinstance(node, ast.Assign):
        for target in node.targets:
            if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
                yield from zip(target.elts, node.value.elts, strict=False)
            else:
                yield target, node.value
    elif isinstance(node, ast.AnnAssign | ast.NamedExpr) and node.value is not None:
        yield node.target, node.value
    elif isinstance(node, ast.For | ast.AsyncFor | ast.comprehension):
        several = node.iter.elts if isinstance(node.iter, ast.Tuple | ast.List) else [node.iter]
        for one in several:
            if isinstance(one, ast.Tuple) and isinstance(node.target, ast.Tuple):
                yield from zip(node.target.elts, one.elts, strict=False)
            else:
                yield node.target, one
    elif isinstance(node, ast.Match):
        names = (one.name for one in ast.walk(node) if isinstance(one, ast.MatchAs | ast.MatchStar) and one.name)
        yield from ((ast.Name(name, ast.Store()), node.subject) for name in names)
    elif isinstance(node, ast.withitem) and node.optional_vars is not None:
        yield node.optional_vars, node.context_expr


def roots(node: ast.AST) -> set[str]:
    """Names of objects that an expression may be, or be a part of: `f()` of what f gives. What is made anew has none."""
    if isinstance(node, ast.Name):
        return {node.id}
    if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Slice):
        return set()  # of a list it is a copy
    if isinstance(node, ast.Subscript | ast.Attribute | ast.Starred):
        return roots(node.value)
    if isinstance(node, ast.NamedExpr):
        return roots(node.target) | roots(node.value)
    if isinstance(node, ast.IfExp):
        return roots(node.body) | roots(node.orelse)
    if isinstance(node, ast.BoolOp):
        return set().union(*map(roots, node.values))
    if isinstance(node, ast.Call):
        if isinstance(node.func, ast.Attribute) and node.func.attr in _PARTS:
            return roots(node.func.value)
        if isinstance(node.func, ast.Name) and node.func.id in _THROUGH:
            return set().union(*map(roots, node.args))
        return {f"{called(node)}()"}
    return set()


@functools.lru_cache(64)
def nodes_of(function: ast.AST) -> list[ast.AST]:
    """All that is in it, functions in it too."""
    return [*ast.walk(function)]


def called(call: ast.Call) -> str:
    """The last part of its name."""
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
