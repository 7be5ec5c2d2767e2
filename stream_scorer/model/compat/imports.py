"""The `import` of one legacy model: it has `__builtins__` of its own, with our `__import__`.

The real modules and `sys.modules` stay as they are. Python files in the model's directory get the same `__builtins__`,
however they are imported.
"""

from __future__ import annotations

import builtins
import contextlib
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import os
import sys
import types
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from stream_scorer.model.compat.imp_module import imp_module
from stream_scorer.model.compat.overlay import Overlay

Facade = Callable[[], types.ModuleType]


class Imports:
    """The imports of one model.

    Args:
        facades: by top-level module: makes what the model gets instead, when it is first imported.
        folder: the model's directory.
        own: top-level modules in that directory that replace facades and modules that the process has loaded.
    """

    def __init__(self, facades: Mapping[str, Facade], folder: Path, own: Collection[str] = ()) -> None:
        offered: dict[str, Facade] = {**facades, "imp": lambda: imp_module(self._loader, self.own_files)}
        self._facades = {name: make for name, make in offered.items() if name not in own}
        self._own = frozenset(own)
        self._own_modules: dict[str, types.ModuleType] = {}
        self._within = False
        self._made: dict[str, types.ModuleType] = {}
        self._finder = _Finder(os.path.realpath(folder), self)
        self.builtins: dict[str, Any] = {**vars(builtins), "__import__": self._import}

    def _import(
        self,
        name: str,
        globals: Mapping[str, object] | None = None,  # noqa: A002 (the names of the real one)
        locals: Mapping[str, object] | None = None,  # noqa: A002
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> types.ModuleType:
        top, _, rest = name.partition(".")
        if level or top not in self._facades:
            with self._own_in_place(), self.own_files():
                return builtins.__import__(name, globals, locals, fromlist or (), level)
        module: Any = self._facade(top)
        inner = _down(module, rest) if rest else module
        if not isinstance(inner, Overlay):  # a part that is the same in both worlds
            real = builtins.__import__(name, globals, locals, fromlist or (), level)
            return real if fromlist else module
        if not fromlist:
            return module  # type: ignore[no-any-return]
        for wanted in fromlist:
            _bind(inner, wanted)
        return inner

    def _loader(self, name: str, path: str) -> _Loader:
        return _Loader(name, path, self)

    def _facade(self, top: str) -> types.ModuleType:
        if top not in self._made:
            self._made[top] = self._facades[top]()
        return self._made[top]

    @contextlib.contextmanager
    def _own_in_place(self) -> Iterator[None]:
        """Within the block `sys.modules` has the model's own libraries, after it those of the process again."""
        if not self._own or self._within:
            yield
            return
        mine = self._own_modules
        others = {name: module for name, module in _below(self._own).items() if mine.get(name) is not module}
        _exchange(others, mine)
        self._within = True
        try:
            yield
        finally:
            self._own_modules, self._within = _below(self._own), False
            _exchange(_below({name.partition(".")[0] for name in others}), others)

    @contextlib.contextmanager
    def own_files(self) -> Iterator[None]:
        """Within the block, modules in the model's directory are executed with the model's `__builtins__`."""
        if self._finder in sys.meta_path:  # an import within an import
            yield
            return
        sys.meta_path.insert(0, self._finder)
        try:
            yield
        finally:
            sys.meta_path.remove(self._finder)


def _below(tops: Collection[str]) -> dict[str, types.ModuleType]:
    return {name: module for name, module in sys.modules.items() if name.partition(".")[0] in tops}


def _exchange(out: Mapping[str, types.ModuleType], back: Mapping[str, types.ModuleType]) -> None:
    for name in out:
        del sys.modules[name]
    sys.modules.update(back)


def _down(module: Any, rest: str) -> Any:
    """The part of a facade with this dotted name; or the first object on the way to it that is not a facade."""
    for name in rest.split("."):
        if isinstance(module, Overlay):
            module = getattr(module, name, None)
    return module


def _bind(module: Overlay, wanted: str) -> None:
    """Make `from module import wanted` work: `wanted` may be a submodule that no code has imported yet."""
    if wanted == "*":
        return
    try:
        getattr(module, wanted)
    except AttributeError as error:
        try:
            submodule = importlib.import_module(f"{module.__name__}.{wanted}")
        except ImportError:
            raise ImportError(str(error)) from error  # our text, because the interpreter's does not say what to do
        setattr(module, wanted, submodule)


class _Finder(importlib.abc.MetaPathFinder):
    def __init__(self, folder: str, imports: Imports) -> None:
        self._folder, self._imports = folder, imports

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is None or not isinstance(spec.loader, importlib.machinery.SourceFileLoader):
            return None
        if not os.path.realpath(spec.loader.path).startswith(self._folder + os.sep):
            return None
        spec.loader = _Loader(name, str(spec.loader.path), self._imports)
        return spec


class _Loader(importlib.machinery.SourceFileLoader):
    def __init__(self, name: str, path: str, imports: Imports) -> None:
        super().__init__(name, path)
        self._imports = imports

    def exec_module(self, module: types.ModuleType) -> None:
        vars(module)["__builtins__"] = self._imports.builtins
        super().exec_module(module)
