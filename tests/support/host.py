"""One call of a loaded module."""

from __future__ import annotations

from typing import Any

from stream_scorer.model.module import Module


def scores(module: Module, value: Any) -> list[tuple[int, Any]]:
    """Slot and datum of each output that a module gives for a value."""
    outputs: list[tuple[int, Any]] = []
    module.score(value, lambda slot, datum: outputs.append((slot, datum)))
    return outputs
