"""Files that settings name, by absolute paths: a model has a working directory of its own."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")


def with_absolute_paths(settings: T) -> T:
    """A copy of a dataclass of settings, whose relative paths lead from here. Those of properties do since they were read."""
    changed: dict[str, Any] = {}
    for field in dataclasses.fields(settings):  # type: ignore[arg-type]
        value = getattr(settings, field.name)
        if isinstance(value, Path):
            changed[field.name] = value.resolve()
        elif field.name == "schema":
            changed[field.name] = {name: str(Path(file).resolve()) for name, file in value.items()}
    return dataclasses.replace(settings, **changed)  # type: ignore[type-var]
