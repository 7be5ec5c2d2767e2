"""A loaded model: checked, its schemas found, and what the API shows of it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from stream_scorer.errors import DescriptorError, ModelError, StateError
from stream_scorer.modelop.dataflow.flow import Rules
from stream_scorer.modelop.dataflow.slot_streams import SlotStream
from stream_scorer.modelop.dataflow.worker import Worker
from stream_scorer.modelop.process.import_policy import Policy
from stream_scorer.modelop.process.model_check import check_model
from stream_scorer.modelop.process.package import ModelPackage
from stream_scorer.modelop.streams.schemas import resolve, verified

FindSchema = Callable[[str], Any]


@dataclass(frozen=True)
class LoadedModel:
    """info: the API's VerifyInfo, with schemas as definitions. schemas: (name, definition) of each typed slot."""

    package: ModelPackage
    info: dict[str, Any]
    schemas: Mapping[int, tuple[str, Any]]

    @property
    def slots(self) -> frozenset[int]:
        """The slots that the model uses."""
        return frozenset(slot["slot"] for slot in self.info["slots"])

    @property
    def keeps_state(self) -> bool:
        """Whether a snapshot is taken when the model has run to its end."""
        return bool(self.info["snapshots"] == "eof")

    @functools.cached_property  # it compiles the source
    def rules(self) -> Rules:
        inputs = [slot for slot in self.info["slots"] if slot["slot"] % 2 == 0]
        return Rules(
            in_use=frozenset(slot["slot"] for slot in inputs),
            record_sets=frozenset(slot["slot"] for slot in inputs if slot["recordsets"]),
            explicit=self.package.annotations.explicit,
        )

    def check_slots(self, attached: Iterable[int], *, running: bool) -> None:
        """Raises ModelError (a stream is at a slot not in use) and StateError (running, and a slot has no stream)."""
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
        """Return the API's ActiveModelInfo."""
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


def load(package: ModelPackage, find_schema: FindSchema, policy: Policy) -> LoadedModel:
    """Check a model and find its schemas.

    Raises ModelError: it cannot be loaded, the policy prohibits an import, or a schema is not found.
    """
    info = check_model(package, policy)

    def find(name: str) -> Any:
        return package.schemas[name] if name in package.schemas else find_schema(name)

    schemas, slots = {}, []
    for slot in info["slots"]:
        name = slot["schema"]
        if isinstance(name, str):
            try:
                # As a reference, so that a schema with the name of a primitive type is found.
                _, definition = resolve({"$ref": name}, find)
                verified(definition, name=name)
            except DescriptorError as error:
                raise ModelError(f"model {package.name}, slot {slot['slot']}: {error}") from error
            schemas[slot["slot"]] = name, definition
            slot = {**slot, "schema": definition}
        slots.append(slot)
    return LoadedModel(package, {**info, "slots": slots}, schemas)


def manifold_info(
    state: str, model: LoadedModel | None, streams: Mapping[int, SlotStream], workers: Iterable[Worker]
) -> dict[str, Any]:
    """Return the API's ManifoldInfo. `input_schema`, `output_schema` and `recordsets` of `model` are for older clients."""
    known = {slot["slot"]: slot for slot in model.info["slots"]} if model else {}
    untyped = {"schema": None, "recordsets": False, "action": None}
    return {
        "state": state,
        "model": _model_info(model) if model else None,
        "slots": [
            {
                **known.get(slot, {"slot": slot, **untyped}),
                "stream": {"descriptor": streams[slot].raw, "eof": streams[slot].eof} if slot in streams else None,
            }
            for slot in sorted({*known, *streams})
        ],
        "jets": [{"pid": worker.jet.pid, "sandbox": worker.sandbox, "busy": worker.busy} for worker in workers],
        "snapshots": model.info["snapshots"] if model else "none",
    }


def _model_info(model: LoadedModel) -> dict[str, Any]:
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
