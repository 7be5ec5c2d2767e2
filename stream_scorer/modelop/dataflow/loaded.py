"""A model as it is loaded: verified, its schemas found, and what clients may see of it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from stream_scorer.errors import DescriptorError, ModelError, StateError
from stream_scorer.modelop.dataflow.flow import Rules
from stream_scorer.modelop.dataflow.slot_streams import Input, Output
from stream_scorer.modelop.dataflow.worker import Worker
from stream_scorer.modelop.process.model_check import verify
from stream_scorer.modelop.process.package import ModelPackage
from stream_scorer.modelop.process.policy import Policy
from stream_scorer.modelop.streams.schemas import resolve, verified

FindSchema = Callable[[str], Any]


@dataclass(frozen=True)
class Loaded:
    """info: VerifyInfo, with schemas as definitions. schemas: (name, definition) of each slot that is typed."""

    package: ModelPackage
    info: dict[str, Any]
    schemas: Mapping[int, tuple[str, Any]]

    @property
    def slots(self) -> frozenset[int]:
        """All that are in use."""
        return frozenset(slot["slot"] for slot in self.info["slots"])

    @property
    def keeps_state(self) -> bool:
        return bool(self.info["snapshots"] == "eof")

    @functools.cached_property  # the source is compiled for it
    def rules(self) -> Rules:
        inputs = [slot for slot in self.info["slots"] if slot["slot"] % 2 == 0]
        return Rules(
            in_use=frozenset(slot["slot"] for slot in inputs),
            record_sets=frozenset(slot["slot"] for slot in inputs if slot["recordsets"]),
            explicit=self.package.program().annotations.explicit,
        )

    def check_slots(self, attached: Iterable[int], *, running: bool) -> None:
        """Raises ModelError (a stream is at a slot not in use), StateError (data flow, and a slot has no stream)."""
        if extra := sorted(set(attached) - self.slots):
            raise ModelError(
                f"model {self.package.name}: a stream is attached at slot {extra[0]}, which the model does not use; it "
                f"uses {', '.join(map(str, sorted(self.slots)))}. Detach the stream, or say '# fastscore.slot.{extra[0]}: "
                "in-use' in the model."
            )
        if running and (missing := sorted(self.slots - set(attached))):
            raise StateError(
                f"model {self.package.name} uses slot {missing[0]} too, which has no stream, so it cannot take over while "
                "data flow. Reset the engine first."
            )

    def active_info(self, workers: Iterable[Worker]) -> dict[str, Any]:
        """ActiveModelInfo."""
        package = self.package
        return {
            "name": package.name,
            "mtype": package.mtype,
            "source": package.source.decode(errors="replace"),
            "slots": self.info["slots"],
            "attachments": [name for name, _ in package.attachments],
            "snapshots": self.info["snapshots"],
            "jets": [{"pid": worker.jet.pid, "sandbox": worker.sandbox} for worker in workers],
        }


def load(package: ModelPackage, find_schema: FindSchema, policy: Policy) -> Loaded:
    """Raises ModelError: the source, the policy, or a schema that cannot be had."""
    info = verify(package, policy)

    def find(name: str) -> Any:
        return package.schemas[name] if name in package.schemas else find_schema(name)

    schemas, slots = {}, []
    for slot in info["slots"]:
        name = slot["schema"]
        if isinstance(name, str):
            try:
                # Looked up before it is taken for a primitive, as a reference is.
                _, definition = resolve({"$ref": name}, find)
                verified(definition, name=name)
            except DescriptorError as error:
                raise ModelError(f"model {package.name}, slot {slot['slot']}: {error}") from error
            schemas[slot["slot"]] = name, definition
            slot = {**slot, "schema": definition}
        slots.append(slot)
    return Loaded(package, {**info, "slots": slots}, schemas)


def manifold_info(
    state: str, model: Loaded | None, ends: Mapping[int, Input | Output], workers: Iterable[Worker]
) -> dict[str, Any]:
    """ManifoldInfo. `input_schema` and the like in `model` are for clients of old."""
    known = {slot["slot"]: slot for slot in model.info["slots"]} if model else {}
    untyped = {"schema": None, "recordsets": False, "action": None}
    return {
        "state": state,
        "model": _model_info(model) if model else None,
        "slots": [
            {
                **known.get(slot, {"slot": slot, **untyped}),
                "stream": {"descriptor": ends[slot].raw, "eof": ends[slot].eof} if slot in ends else None,
            }
            for slot in sorted({*known, *ends})
        ],
        "jets": [{"pid": worker.jet.pid, "sandbox": worker.sandbox, "busy": worker.busy} for worker in workers],
        "snapshots": model.info["snapshots"] if model else "none",
    }


def _model_info(model: Loaded) -> dict[str, Any]:
    package = model.package
    sets = [slot["slot"] for slot in model.info["slots"] if slot["recordsets"]]
    which = {(True, True): "both", (True, False): "input", (False, True): "output", (False, False): "none"}
    return {
        "name": package.name,
        "type": package.mtype,
        "source": package.source.decode(errors="replace"),
        "attachments": [name for name, _ in package.attachments],
        "input_schema": model.schemas.get(0, (None, None))[1],
        "output_schema": model.schemas.get(1, (None, None))[1],
        "recordsets": which[0 in sets, 1 in sets],
    }
