"""The module `imp`, which Python 3.12 has dropped, as far as models use it to load files."""

from __future__ import annotations

import importlib
import importlib.machinery
import importlib.util
import os
import sys
import types
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from stream_scorer.model.compat.overlay import Overlay

_SOURCE, _PACKAGE = 1, 5  # imp.PY_SOURCE, imp.PKG_DIRECTORY
_Loader = Callable[[str, str], importlib.machinery.SourceFileLoader]


def imp_module(loader: _Loader, own_files: Callable[[], AbstractContextManager[None]]) -> Overlay:
    """The module for one model.

    Args:
        loader: makes the loader of a module by its name and file.
        own_files: within its block, imports find the model's files.
    """
    imp = _Imp(loader, own_files)
    names = {
        "PY_SOURCE": _SOURCE,
        "PKG_DIRECTORY": _PACKAGE,
        "load_source": imp.load_source,
        "find_module": imp.find_module,
        "load_module": imp.load_module,
        "load_package": lambda name, path: imp.load_module(name, None, path, ("", "", _PACKAGE)),
        "reload": imp.reload,
        "new_module": types.ModuleType,
    }
    missing = f"Python has dropped imp; a model gets {', '.join(names)} of it. Load the file by importlib.util."
    return Overlay("imp", None, names, missing)


class _Imp:
    def __init__(self, loader: _Loader, own_files: Callable[[], AbstractContextManager[None]]) -> None:
        self._loader, self._own_files = loader, own_files

    def load_source(self, name: str, pathname: str, _file: object = None) -> types.ModuleType:
        return self._load(name, os.fspath(pathname))

    def find_module(self, name: str, path: Sequence[str] | None = None) -> tuple[Any, str, tuple[str, str, int]]:
        for folder in map(Path, sys.path if path is None else path):
            if (folder / name / "__init__.py").is_file():
                return None, str(folder / name), ("", "", _PACKAGE)
            if (folder / f"{name}.py").is_file():
                file = (folder / f"{name}.py").open(encoding="utf-8")
                return file, str(folder / f"{name}.py"), (".py", "r", _SOURCE)
        raise ImportError(f"No module named {name!r}", name=name)

    def load_module(self, name: str, file: object, filename: str, details: tuple[str, str, int]) -> types.ModuleType:
        if details[2] == _SOURCE:
            return self.load_source(name, filename, file)
        if details[2] == _PACKAGE:
            return self._load(name, str(Path(filename, "__init__.py")), package_path=filename)
        raise ImportError(f"imp.load_module: {filename} is neither a Python file nor a package.", name=name)

    def reload(self, module: types.ModuleType) -> types.ModuleType:
        if isinstance(module, Overlay):
            return module
        with self._own_files():
            return importlib.reload(module)

    def _load(self, name: str, path: str, package_path: str | None = None) -> types.ModuleType:
        loader = self._loader(name, path)
        inside = [package_path] if package_path else None
        spec = importlib.util.spec_from_file_location(name, path, loader=loader, submodule_search_locations=inside)
        assert spec is not None
        known = sys.modules.get(name)
        # A module that is loaded already is executed again in its place, as `imp` did.
        module = known or importlib.util.module_from_spec(spec)
        module.__file__ = path
        sys.modules[name] = module
        try:
            loader.exec_module(module)
        except BaseException:
            if known is None:
                del sys.modules[name]
            raise
        return sys.modules[name]
