"""One engine process for all tests of a file that need it as it comes."""

from __future__ import annotations

import pytest

from support.engine import EngineProcess


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    with EngineProcess(tmp_path_factory.mktemp("engine"), "--engines", "2") as engine:
        yield engine


@pytest.fixture
def idle(engine):
    """The engine, reset."""
    engine.ask("POST", "/2/engine/reset")
    return engine
