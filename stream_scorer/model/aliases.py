"""Other names of an object within a function: after `w = history` the same object, in `for w in history` a part of it."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator, Mapping

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda

_PARTS = frozenset("get items pop popitem popleft ravel reshape setdefault squeeze transpose values view".split())
"""Methods that return a part of their object, or the object in another shape."""
_THROUGH = frozenset("enumerate filter getattr iter max min next reversed vars zip".split())
"""Functions that return parts of their arguments."""


class Aliases:
    """Which other names the object of a name may have, in one function."""

    def __init__(self, function: Function) -> None:
        self._part_of: dict[str, set[str]] = {}
        self._same: dict[str, set[str]] = {}
        self._views: dict[str, set[str]] = {}
        for node in nodes_of(function):
            for target, value in _bindings(node):
                if isinstance(target, ast.Name):
                    if isinstance(value, ast.Name) and not isinstance(node, ast.For):
                        self._same.setdefault(target.id, set()).add(value.id)
                    if isinstance(value, ast.Subscript) and isinstance(value.slice, ast.Slice | ast.Tuple):
                        self._views.setdefault(target.id, set()).update(roots(value.value))
                    self._part_of.setdefault(target.id, set()).update(roots(value))
                elif isinstance(target, ast.Tuple | ast.List):
                    for name in (node.id for node in ast.walk(target) if isinstance(node, ast.Name)):
                        self._part_of.setdefault(name, set()).update(roots(value))

    def all_of(self, names: set[str]) -> set[str]:
        """`names`, with the names of everything that their objects may be, or be a part of."""
        return _closure(names, self._part_of)

    def views_of(self, names: set[str]) -> set[str]:
        """Names of arrays that `names` may be slices of: a slice of an array shares its memory."""
        return self.all_of({array for name in names for array in self._views.get(name, ())})

    def same_as(self, names: set[str]) -> set[str]:
        """`names`, with the names of the objects that they were assigned from as a whole."""
        return _closure(names, self._same)


def _closure(names: set[str], related: Mapping[str, set[str]]) -> set[str]:
    closure, waiting = set[str](), [*names]
    while waiting:
        name = waiting.pop()
        if name not in closure:
            closure.add(name)
            waiting += related.get(name, ())
    return closure


def _bindings(node: ast.AST) -> Iterator[tuple[ast.AST, ast.AST]]:
    """Pairs of a target and the expression that it is bound to, or to a part of."""
    if isinstance(node, ast.Assign):
        for target in node.targets:
            if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
                yield from zip(target.elts, node.value.elts, strict=False)
            else:
                yield target, node.value
    elif isinstance(node, ast.AnnAssign | ast.NamedExpr) and node.value is not None:
        yield node.target, node.value
    elif isinstance(node, ast.For | ast.AsyncFor | ast.comprehension):
        items = node.iter.elts if isinstance(node.iter, ast.Tuple | ast.List) else [node.iter]
        for item in items:
            if isinstance(item, ast.Tuple) and isinstance(node.target, ast.Tuple):
                yield from zip(node.target.elts, item.elts, strict=False)
            else:
                yield node.target, item
    elif isinstance(node, ast.Match):
        names = (part.name for part in ast.walk(node) if isinstance(part, ast.MatchAs | ast.MatchStar) and part.name)
        yield from ((ast.Name(name, ast.Store()), node.subject) for name in names)
    elif isinstance(node, ast.withitem) and node.optional_vars is not None:
        yield node.optional_vars, node.context_expr


def roots(node: ast.AST) -> set[str]:
    """Names of the objects that an expression may be, or be a part of; "f()" stands for what f returns.

    An expression that makes a new object has none.
    """
    if isinstance(node, ast.Name):
        return {node.id}
    if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Slice):
        return set()  # a slice of a list is a copy
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
    """All nodes within a function, those of inner functions too."""
    return [*ast.walk(function)]


def called(call: ast.Call) -> str:
    """The last part of the name of what is called: "append" of `history.append(x)`."""
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
