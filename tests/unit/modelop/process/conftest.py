"""Models of a few lines, run in this process or in one of their own."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from stream_scorer.modelop.process.fastscore import importable
from stream_scorer.modelop.process.jet import Jet
from stream_scorer.modelop.process.package import ModelPackage
from stream_scorer.modelop.process.results import CallResult
from stream_scorer.modelop.process.runner import Runner
from stream_scorer.modelop.process.shared import SharedState
from stream_scorer.modelop.streams.codec_spec import CodecSpec
from stream_scorer.records import Batch, Control

SET = Control("set")


def batch(*values: Any, slot: int = 0, first: int = 1, end: Control | None = None) -> Batch:
    """Of JSON values; bytes are taken as they are."""
    records = [value if isinstance(value, bytes) else json.dumps(value).encode() for value in values]
    return Batch(slot, first, records, end)


def told(result: CallResult) -> list[tuple[int, Any]]:
    """Outputs, decoded; of a result that has not failed."""
    assert result.failure is None, result.failure.traceback
    return [(slot, json.loads(record)) for slot, record in result.outputs]


@pytest.fixture
def shared() -> SharedState:
    return SharedState()


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shared: SharedState) -> Iterator[Callable[..., Runner]]:
    """A runner in this process, its body executed and begun."""
    monkeypatch.chdir(tmp_path)

    def make(source: str, *, begin: bool = True, schemas: dict[int, Any] | None = None) -> Runner:
        program = ModelPackage("toy", source=dedent(source).encode()).program(tmp_path)
        (tmp_path / "toy.py").write_text(dedent(source))
        specs = {
            slot: CodecSpec("json", schema_name="s", schema=(schemas or {}).get(slot))
            for slot in program.annotations.slots_in_use
        }
        codecs = {slot: spec.make() for slot, spec in specs.items()}
        runner = Runner(program, codecs, dict.fromkeys(codecs, "json"))
        if not program.annotations.explicit:
            runner.load()
            if begin:
                runner.begin({})
        return runner

    with importable(shared):
        yield make


@pytest.fixture
def jet(shared: SharedState) -> Iterator[Callable[..., Jet]]:
    """A jet in a process of its own; `jet.said` is what it has printed."""
    jets: list[Jet] = []

    def make(source: str, *, start: bool = True, codecs: dict[int, CodecSpec] | None = None, **more: Any) -> Jet:
        attachments = more.pop("attachments", ())
        name = more.pop("name", "toy")
        package = ModelPackage(name, source=dedent(source).encode(), attachments=attachments)
        said: list[str] = []
        in_use = package.program().annotations.slots_in_use
        specs = codecs or dict.fromkeys(in_use, CodecSpec("json"))
        made = Jet(package, specs, shared=more.pop("shared", shared), on_console=said.append, **more)
        made.said = said
        jets.append(made)
        if start:
            made.start()
        return made

    yield make
    for made in jets:
        made.close()
