"""Checks whether a model can be loaded, by its source and attachments; none of its code runs.

Rules `b.load-checks`, `j.imp`, `j.policy` and `j.unsafe`.
"""

from __future__ import annotations

import ast
import contextlib
import io
import time
import tokenize
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

from stream_scorer.errors import ModelError
from stream_scorer.model import callbacks
from stream_scorer.model.annotations import Annotations
from stream_scorer.model.archive import is_packed, member_names
from stream_scorer.model.imports import Import, find_imports, importable, prefixes
from stream_scorer.model.program import Program, reading
from stream_scorer.modelop.process.import_policy import Policy
from stream_scorer.modelop.process.jet_folder import PREFIX
from stream_scorer.modelop.process.package import ModelPackage
from stream_scorer.system.folders import temporary_folder

TYPES = ("python3", "python", "python2")
_OURS = ("fastscore", "imp")
_NO_POLICY = Policy()
MAX_SOURCE, MAX_TOKENS = 16 << 20, 500_000
"""Of a model's source: bytes, and what they mean to Python. A token takes up to 2 KB of the engine's memory and 20 µs in
which nobody else is served; a long text is only one."""
_COUNTING_S = 10.0
_HINT = "Put data into an attachment."


def check_model(package: ModelPackage, policy: Policy = _NO_POLICY) -> dict[str, Any]:
    """Check a model as a dry run of a load does.

    Return `{slots: [{slot, schema, recordsets, action}], install_libs, warn_libs, attach_libs, snapshots}`. `schema` is a
    name or None, `action` is None for outputs, `install_libs` are the libraries that a load would install.

    Raises ModelError: another language, not Python 3, a wrong smart comment, a callback that is missing or takes a
    wrong number of arguments, an import that is prohibited or missing, an attachment that is not safe.
    """
    if package.mtype not in TYPES:
        raise ModelError(f"{package.name}: models of type {package.mtype!r} do not run here, only {', '.join(TYPES)}.")
    _check_size(package)
    program = package.program()
    tree = ast.parse(program.source)
    with reading(program.path):
        if not program.annotations.explicit:
            _check_callbacks(program, tree)
        attached = {*program.annotations.module_attached, *_attached_modules(package)}
        installs, warns = _check_imports(program, tree, attached, policy)
    return {
        "slots": _slots(program.annotations),
        "install_libs": installs,
        "warn_libs": warns,
        "attach_libs": list(dict.fromkeys(program.annotations.module_attached)),
        "snapshots": program.annotations.snapshots,
    }


def _check_size(package: ModelPackage) -> None:
    """Raises ModelError: the source would take too much memory and time. What is wrong with it otherwise is for others."""
    source, tokens, until = package.source, 0, time.monotonic() + _COUNTING_S
    if len(source) > MAX_SOURCE:
        raise ModelError(
            f"{package.name}: its source has {len(source):,} bytes; at most {MAX_SOURCE:,} are read. {_HINT}"
        )
    if len(source) <= MAX_TOKENS:
        return
    with contextlib.suppress(tokenize.TokenError, SyntaxError, ValueError, LookupError):
        for token in tokenize.tokenize(io.BytesIO(source).readline):
            formatted = token.type == tokenize.STRING and "f" in token.string[:2].lower()
            tokens += len(token.string) // 2 if formatted else 1  # Python 3.11 gives an f-string as a whole
            if tokens > MAX_TOKENS or time.monotonic() > until:
                raise ModelError(f"{package.name}: its source has more than {MAX_TOKENS:,} words and signs. {_HINT}")


def _slots(annotations: Annotations) -> list[dict[str, Any]]:
    return [
        {
            "slot": slot,
            "schema": annotations.schemas.get(slot),
            "recordsets": slot in annotations.recordsets,
            "action": None if slot % 2 else annotations.actions.get(slot, callbacks.ACTION),
        }
        for slot in sorted(annotations.slots_in_use)
    ]


def _check_callbacks(program: Program, tree: ast.Module) -> None:
    """Check what the source shows. A callback that an import or `globals()` binds is imported when the model runs."""
    bound: dict[str, ast.AST] = {}
    functions: list[str] = []
    for name, node in _bindings(tree):
        if name == "*":
            return
        bound[name] = node
        if isinstance(node, ast.FunctionDef):
            functions.append(name)
    for slot in program.annotations.inputs:
        names = callbacks.action_names(program, slot)
        callback = next((name for name in names if name in bound), None)
        if callback is None:
            raise ModelError(callbacks.no_function(program, names[0], sorted(functions), slot))
        node = bound[callback]
        if isinstance(node, ast.FunctionDef) and not node.decorator_list:
            count = len(node.args.posonlyargs) + len(node.args.args) - len(node.args.defaults)
            if count not in (1, 2, 3):
                raise ModelError(callbacks.wrong_arity(program, callback, count))


def _bindings(tree: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    """Yield the names that a module binds at its top level, in order; "*" where it may bind any name."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name, node
            for inner in ast.walk(node):
                if isinstance(inner, ast.Global):
                    yield from ((name, inner) for name in inner.names)
                elif _reaches_globals(inner):
                    yield "*", inner
        elif isinstance(node, ast.Import | ast.ImportFrom):
            yield from (((alias.asname or alias.name).partition(".")[0], node) for alias in node.names)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id, node
        else:
            if _reaches_globals(node):
                yield "*", node
            yield from _bindings(node)


def _reaches_globals(node: ast.AST) -> bool:
    called = node.func if isinstance(node, ast.Call) else None
    return isinstance(called, ast.Name) and called.id in ("globals", "vars", "exec", "setattr")


def _check_imports(
    program: Program, tree: ast.Module, attached: set[str], policy: Policy
) -> tuple[list[str], list[str]]:
    """Return the libraries to install, and those to warn of."""
    installs: dict[str, None] = {}
    warns: dict[str, None] = {}
    for imported in find_imports(tree):
        if imported.top in _OURS or not attached.isdisjoint(prefixes(imported.name)):
            continue
        rule = policy.rule(imported.name)
        if rule is None:
            _check_there(program, imported)
        elif rule.kind == "prohibit":
            raise ModelError(
                f"{program.path}:{imported.line}: imports {rule.library}, which the import policy prohibits. "
                "Leave it out, or change the policy and load the model again."
            )
        elif rule.kind == "warn":
            warns[rule.library] = None
            _check_there(program, imported)
        elif not importable(imported.name):
            installs[rule.library] = None
    return list(installs), list(warns)


def _check_there(program: Program, imported: Import) -> None:
    if not imported.optional and not imported.part and not importable(imported.name):
        raise ModelError(
            f"{program.path}:{imported.line}: imports {imported.name}, which is not installed here. Install it, attach it and "
            f"say '# fastscore.module-attached: {imported.top}', or let the import policy install it."
        )


def _attached_modules(package: ModelPackage) -> Iterator[str]:
    """Yield the top-level modules in the attachments. Raises ModelError: an archive is not safe."""
    for name, content in package.attachments:
        with temporary_folder(PREFIX) as folder:
            path = content
            if isinstance(path, bytes):
                path = folder / (PurePosixPath(name).name or "attachment")
                path.write_bytes(content)  # type: ignore[arg-type]
            if not is_packed(path):
                continue
            for member in member_names(path):
                first, *rest = PurePosixPath(member).parts or ("",)
                if rest and member.endswith(".py"):
                    yield first
                elif first.endswith(".py"):
                    yield first.removesuffix(".py")
