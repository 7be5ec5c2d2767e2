"""What a model imports, read from its source."""

from __future__ import annotations

import ast
import importlib.util
from collections.abc import Iterable, Iterator
from typing import NamedTuple

_CATCH_MISSING = {"ImportError", "ModuleNotFoundError", "Exception", "BaseException"}


class Import(NamedTuple):
    """One name that a source imports.

    name: dotted.
    optional: as far as the source shows, the model can do without: the import is within `if` or `try`.
    part: the name is a.b of `from a import b`, which may be a module or something within module a.
    """

    name: str
    line: int
    optional: bool
    part: bool = False

    @property
    def top(self) -> str:
        return self.name.partition(".")[0]


def find_imports(tree: ast.AST, optional: bool = False) -> Iterator[Import]:
    """All imports in the order of the source: those in functions too, and `import_module("a.b")` with a literal name."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(alias.name, node.lineno, optional)
        elif isinstance(node, ast.ImportFrom):
            if node.module and not node.level:
                yield Import(node.module, node.lineno, optional)
                for alias in node.names:
                    if alias.name != "*":
                        yield Import(f"{node.module}.{alias.name}", node.lineno, optional, part=True)
        elif isinstance(node, ast.Try):
            caught = any(_catches_missing(handler) for handler in node.handlers)
            yield from _in(node.body, optional or caught)
            yield from _in([*node.handlers, *node.orelse, *node.finalbody], optional=True)
        else:
            if isinstance(node, ast.Call) and (name := _called_import(node)):
                yield Import(name, node.lineno, optional)
            yield from find_imports(node, optional or isinstance(node, ast.If))


def _in(nodes: Iterable[ast.AST], optional: bool) -> Iterator[Import]:
    for node in nodes:
        # Wrapped, because `find_imports` looks at the children of the node that it is given.
        yield from find_imports(ast.Expression(node), optional)  # type: ignore[arg-type]


def prefixes(name: str) -> Iterator[str]:
    """a.b.c, a.b, a for the dotted name a.b.c."""
    while name:
        yield name
        name = name.rpartition(".")[0]


def importable(name: str) -> bool:
    """Whether the top-level module of a dotted name is installed here. Imports nothing."""
    top = name.partition(".")[0]
    try:
        return importlib.util.find_spec(top) is not None
    except (ImportError, ValueError):  # a module without a spec, which some code has put into sys.modules
        return True


def _catches_missing(handler: ast.ExceptHandler) -> bool:
    if handler.type is None:
        return True
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(isinstance(kind, ast.Name) and kind.id in _CATCH_MISSING for kind in kinds)


def _called_import(node: ast.Call) -> str | None:
    called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    if called not in ("import_module", "__import__") or not node.args:
        return None
    first = node.args[0]
    if isinstance(first, ast.Constant) and isinstance(first.value, str) and not first.value.startswith("."):
        return first.value
    return None
