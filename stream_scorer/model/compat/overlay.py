"""A module with names of its own over those of another module, which is not changed."""

from __future__ import annotations

import types
from collections.abc import Mapping
from typing import Any


class Overlay(types.ModuleType):
    """Its own names come first, then those of the module below.

    Args:
        below: None: there is no module below.
        own: names to add or to replace.
        missing: end of the error text for a name that neither has.
    """

    def __init__(self, name: str, below: Any, own: Mapping[str, Any], missing: str) -> None:
        super().__init__(name)
        if isinstance(below, types.ModuleType):
            # Copied, so that access is as fast as in the module below. Names that it makes lazily come by __getattr__.
            self.__dict__.update({key: value for key, value in vars(below).items() if key not in _IDENTITY})
            self.__doc__ = below.__doc__
        self.__dict__.update(own)
        self._below, self._missing = below, missing

    def __getattr__(self, name: str) -> Any:
        if self._below is not None and not (name.startswith("__") and name.endswith("__")):
            try:
                return getattr(self._below, name)
            # A lazy part of TensorFlow or Keras may raise ImportError: for the model that is a missing name.
            except (AttributeError, ImportError):
                pass
        raise AttributeError(f"{self.__name__}.{name} is not there. {self._missing}")

    def __dir__(self) -> list[str]:
        return sorted({*self.__dict__, *(dir(self._below) if self._below is not None else ())} - {"_below", "_missing"})


# Names that make a module itself, and are not copied from the module below.
_IDENTITY = frozenset(("__name__", "__spec__", "__loader__", "__getattr__", "__dir__", "__builtins__"))
