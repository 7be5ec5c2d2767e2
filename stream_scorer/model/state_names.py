"""Which module globals are the model's state, found from its code.

The rule: a name is state when `action`, or a module function it reaches, rebinds it with `global` or
changes it in place (a method that mutates, an item, an augmented assignment). Names that only the
module body or `begin` bind are the model itself: weights, sessions, constants.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable

_MUTATORS = frozenset(
    (
        "add append appendleft clear discard extend extendleft insert intersection_update pop popitem popleft "
        "remove reverse rotate setdefault sort symmetric_difference_update update fill put itemset resize"
    ).split()
)


def find_state(source: str, entries: Iterable[str]) -> tuple[str, ...]:
    """Names of the state globals, sorted. `entries` are the functions called per record."""
    tree = ast.parse(source)
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    imported = {name for node in ast.walk(tree) for name in _imported(node)}
    state: set[str] = set()
    waiting, seen = [name for name in entries if name in functions], set[str]()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        touched, used = _touched(functions[name])
        state |= touched
        waiting += [other for other in used if other in functions]
    return tuple(sorted(state - imported - functions.keys()))


def _imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import | ast.ImportFrom):
        return [(alias.asname or alias.name).split(".")[0] for alias in node.names]
    return []


def _touched(function: ast.AST) -> tuple[set[str], set[str]]:
    """(globals the function changes, names it reads), nested functions included."""
    declared = {name for node in ast.walk(function) if isinstance(node, ast.Global) for name in node.names}
    stored, loaded, changed = set[str](), set[str](), set[str]()
    for node in ast.walk(function):
        if isinstance(node, ast.Name):
            (loaded if isinstance(node.ctx, ast.Load) else stored).add(node.id)
        elif isinstance(node, ast.arg):
            stored.add(node.arg)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _MUTATORS:
            changed |= _root(node.func.value)
        elif isinstance(node, ast.Subscript | ast.Attribute) and not isinstance(node.ctx, ast.Load):
            changed |= _root(node.value)
    local = stored - declared
    return (stored & declared) | (changed - local), loaded - local


def _root(node: ast.AST) -> set[str]:
    while isinstance(node, ast.Subscript | ast.Attribute):
        node = node.value
    return {node.id} if isinstance(node, ast.Name) else set()
