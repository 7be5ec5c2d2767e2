"""Files that settings name, by absolute paths: a model has a working directory of its own."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")
_FILE_PROPERTIES = (".location", ".keytab", ".file")
"""Ends of the names of librdkafka's properties, and of a registry client's, that may name a file."""


def with_absolute_paths(settings: T) -> T:
    """A copy of a dataclass of settings, whose relative paths lead from here: those of files, schemas, certificates."""
    changed: dict[str, Any] = {}
    for field in dataclasses.fields(settings):  # type: ignore[arg-type]
        value = getattr(settings, field.name)
        if isinstance(value, Path):
            changed[field.name] = value.resolve()
        elif field.name == "schema":
            changed[field.name] = {name: str(Path(file).resolve()) for name, file in value.items()}
        elif isinstance(value, Mapping):
            changed[field.name] = {name: _property(name, text) for name, text in value.items()}
    return dataclasses.replace(settings, **changed)  # type: ignore[type-var]


def _property(name: str, value: str) -> str:
    """`ssl.ca.location` may also be a word, such as "probe"."""
    return str(Path(value).resolve()) if name.endswith(_FILE_PROPERTIES) and Path(value).exists() else value
