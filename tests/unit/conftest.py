"""What several unit tests need: a module file, a fresh directory to run it in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest

from stream_scorer.model.module import Module


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Write a file of dedented text or bytes."""

    def write(name: str, content: str | bytes) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else dedent(content).encode())
        return path

    return write


@pytest.fixture
def load_module(write: Callable[..., Path]) -> Callable[..., Module]:
    """Load a module from source text and call its `begin`, unless `begin` is False."""

    def load_module(source: str | bytes, *, name: str = "toy", begin: bool = True) -> Module:
        module = Module(write(f"{name}.py", source))
        if begin:
            module.begin()
        return module

    return load_module
