"""A module object laid over another one, which stays as it is."""

from __future__ import annotations

import types
from collections.abc import Mapping
from typing import Any


class Overlay(types.ModuleType):
    """Its own names first, then those of the module below.

    Args:
        below: None for a module that is all our own.
        own: names to add or to cover.
        missing: told to whoever asks for a name that neither has.
    """

    def __init__(self, name: str, below: Any, own: Mapping[str, Any], missing: str) -> None:
        super().__init__(name)
        if isinstance(below, types.ModuleType):
            # Copied, so that a name costs a model what it always did; what the module makes lazily comes by __getattr__.
            self.__dict__.update({key: value for key, value in vars(below).items() if key not in _IDENTITY})
            self.__doc__ = below.__doc__
        self.__dict__.update(own)
        self._below, self._missing = below, missing

    def __getattr__(self, name: str) -> Any:
        if self._below is not None and not (name.startswith("__") and name.endswith("__")):
            try:
                return getattr(self._below, name)
            # A lazy part of TensorFlow or Keras may fail by ImportError: to the model it is a name that is not there.
            except (AttributeError, ImportError):
                pass
        raise AttributeError(f"{self.__name__}.{name} is not there. {self._missing}")

    def __dir__(self) -> list[str]:
        return sorted({*self.__dict__, *(dir(self._below) if self._below is not None else ())} - {"_below", "_missing"})


# What makes a module itself, and must not be taken for the other one's.
_IDENTITY = frozenset(("__name__", "__spec__", "__loader__", "__getattr__", "__dir__", "__builtins__"))
