"""An engine without its API: real jets, streams in memory."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent
from typing import Any

from stream_scorer.errors import EndOfInput
from stream_scorer.modelop.dataflow.manifold import Manifold
from stream_scorer.modelop.process.import_policy import Policy
from stream_scorer.modelop.process.package import ModelPackage

SOON = {"Watermark": None, "NagleTime": 0}
REST = {"Transport": "REST", "Encoding": "json", "Batching": SOON}
DISCARD = {"Transport": "discard"}
SCHEMAS = {"int": "int", "double": "double", "string": "string"}


def inline(*records: str, **more: Any) -> dict[str, Any]:
    return {"Transport": {"Type": "inline", "Data": list(records)}, "Encoding": "json", **more}


def package(source: str, name: str = "model", **more: Any) -> ModelPackage:
    return ModelPackage(name, source=dedent(source).encode(), **more)


def until(condition: Callable[[], Any], seconds: float = 60.0) -> Any:
    """Block until the condition is true: its value. Fails after `seconds`."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"not true after {seconds} s"
        time.sleep(0.005)
    return value


class Engine(Manifold):
    """A manifold that keeps its events and snapshots."""

    def __init__(self, **more: Any) -> None:
        self.events: list[dict[str, Any]] = []
        self.snapshots: list[tuple[str, bytes]] = []
        super().__init__(
            find_schema=SCHEMAS.__getitem__,
            on_event=self.events.append,
            on_snapshot=lambda name, blob: self.snapshots.append((name, blob)),
            policy=Policy(),
            **more,
        )

    def run_model(self, source: str, ends: dict[int, Any], **more: Any) -> None:
        self.load(package(source, **more))
        for slot in sorted(ends, reverse=True):
            self.attach(slot, f"stream-{slot}", ends[slot])

    def reaches(self, state: str, seconds: float = 60.0) -> None:
        until(lambda: self.state == state or self.state == "error", seconds)
        assert self.state == state, self.status()["error"]

    def outputs(self, count: int | None = None, slot: int = 1, seconds: float = 60.0) -> list[bytes]:
        """Block for `count` outputs of a slot, or for all up to the end of the stream."""
        outputs: list[bytes] = []
        deadline = time.monotonic() + seconds
        try:
            while count is None or len(outputs) < count:
                assert time.monotonic() < deadline, f"only {outputs} came"
                if (record := self.output(slot, 0.05)) is not None:
                    outputs.append(record)
        except EndOfInput:
            assert count is None, f"only {outputs} came before the end"
        return outputs

    def of_type(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in list(self.events) if event["type"] == kind]

    def states(self) -> list[str]:
        return [event["state"] for event in self.of_type("engine-state")]

    def pids(self) -> list[int]:
        return [jet["pid"] for jet in self.status()["jets"]]


def alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def threads() -> set[str]:
    return {thread.name for thread in threading.enumerate()}
