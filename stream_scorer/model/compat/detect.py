"""Finds the names in a model's source that today's libraries have dropped."""

from __future__ import annotations

import ast
import importlib.machinery
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from stream_scorer.model.compat import numpy1, stdlib
from stream_scorer.model.compat.names import MODULES_1, SWITCHES_OF_V1, TENSORFLOW_1

TF1, NUMPY1, STDLIB = "TensorFlow 1", "NumPy 1", "an older Python"
KERAS = "Keras"  # it exists, but differs: worth a warning beside names of TensorFlow 1

# Modules that we replace for legacy models. Python never looks in files for modules built into the interpreter.
_OFFERED = {"tensorflow", "keras", "numpy", "imp", *stdlib.REMOVED}.difference(sys.builtin_module_names)


@dataclass(frozen=True)
class Reason:
    """A use of a dropped name."""

    era: str  # one of the above
    name: str  # dotted, by the library's own module names
    file: str
    line: int


def find_reasons(source: str, file: str, folder: Path) -> list[Reason]:
    """Every use of a dropped name in the source, and in the Python files of `folder` that it imports.

    Names of a library in the folder do not count, because the model gets that library.
    """
    reasons: list[Reason] = []
    own = attached_libraries(folder, file)
    waiting, seen = [(source, file, folder)], {Path(file).resolve()}
    while waiting:
        text, name, beside = waiting.pop(0)
        try:
            tree = ast.parse(text)
        except (SyntaxError, ValueError):
            continue  # running it reports the error
        uses = (reason for reason in _Reader(name).read(tree) if reason.name.partition(".")[0] not in own)
        reasons += sorted(uses, key=lambda reason: reason.line)
        for path in _files_of(tree, folder, beside):
            if path.resolve() not in seen:
                seen.add(path.resolve())
                waiting.append((_text(path), str(path.relative_to(folder)), path.parent))
    return reasons


def attached_libraries(folder: Path, file: str) -> set[str]:
    """Which of the modules that we replace for legacy models are in `folder`. file: name of the model's own file."""
    specs = {name: importlib.machinery.PathFinder.find_spec(name, [str(folder)]) for name in _OFFERED}
    return {
        name
        for name, spec in specs.items()
        # A spec without a location is a plain directory of that name; an installed library goes before it.
        if spec is not None and spec.has_location and Path(spec.origin or "").name != file
    }


class _Reader:
    def __init__(self, file: str) -> None:
        self._file = file
        self._aliases: dict[str, str] = {}  # name in the source -> dotted name that it stands for

    def read(self, tree: ast.AST) -> Iterator[Reason]:
        # Imports first, because a function may use what is imported below it.
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    self._aliases[alias.asname or alias.name.partition(".")[0]] = (
                        alias.name if alias.asname else alias.name.partition(".")[0]
                    )
                    yield from self._judge(alias.name, node.lineno)
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                for alias in node.names:
                    self._aliases[alias.asname or alias.name] = f"{node.module}.{alias.name}"
                    yield from self._judge(f"{node.module}.{alias.name}", node.lineno)
        inner = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and id(node) not in inner:
                yield from self._judge(self._dotted(node), node.lineno)

    def _dotted(self, node: ast.expr) -> str:
        """`tf.contrib.rnn` as `tensorflow.contrib.rnn`; "" for an expression that does not begin with an import."""
        names: list[str] = []
        while isinstance(node, ast.Attribute):
            names.append(node.attr)
            node = node.value
        if not isinstance(node, ast.Name) or node.id not in self._aliases:
            return ""
        return ".".join([self._aliases[node.id], *reversed(names)])

    def _judge(self, dotted: str, line: int) -> Iterator[Reason]:
        top, _, rest = dotted.partition(".")
        parts = rest.split(".")
        era = None
        if top == "keras" or (top == "tensorflow" and parts[0] == "keras"):
            era = KERAS
        elif top == "tensorflow":
            era = TF1 if _of_tensorflow_1(dotted, parts) else None
        elif top == "numpy":
            era = NUMPY1 if parts[0] in numpy1.REMOVED else None
        elif top == "imp" or parts[0] in stdlib.REMOVED.get(top, ()):
            era = STDLIB
        if era:
            yield Reason(era, dotted, self._file, line)


def _of_tensorflow_1(dotted: str, parts: list[str]) -> bool:
    if parts[:2] == ["compat", "v1"]:
        return bool(SWITCHES_OF_V1.intersection(parts[2:3]))
    return (
        parts[0] in TENSORFLOW_1
        or ".".join(parts[:2]) in TENSORFLOW_1
        or any((dotted + ".").startswith(module + ".") for module in MODULES_1)
    )


def _files_of(tree: ast.AST, folder: Path, beside: Path) -> Iterator[Path]:
    """Python files in the model's directory that the source imports, or names in a string (`imp.load_source`)."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            paths = [folder.joinpath(*alias.name.split(".")) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            start = beside.joinpath(*[".."] * (node.level - 1)).resolve() if node.level else folder
            package = start.joinpath(*(node.module or "").split(".")) if node.module else start
            paths = [package, *(package / alias.name for alias in node.names)]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.endswith(".py"):
            paths = [folder / node.value[:-3]]
        else:
            continue
        for base in paths:
            for path in (base.with_name(base.name + ".py"), base / "__init__.py"):
                if path.is_file() and path.resolve().is_relative_to(folder.resolve()):
                    yield folder / path.resolve().relative_to(folder.resolve())


def _text(path: Path) -> str:
    return path.read_text(errors="replace")
