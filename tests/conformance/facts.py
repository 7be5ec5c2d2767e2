"""What a model says of its slots, and the values of a case by its schemas."""

from __future__ import annotations

import ast
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stream_scorer.model import callbacks
from stream_scorer.model.program import Program, compile_program
from tests.conformance.by_plain import Given, Plain
from tests.conformance.by_score import archive
from tests.conformance.case import Case, Slot
from tests.support.meaning import Misfit, Typed, read_json, untyped

RUN = {"run json": "json", "run avro": "avro-binary"}
BAD = object()
"""In the place of an input that no producer could have written so."""


@dataclass
class Facts:
    """What a model says of its slots, by the rules `a.*` of docs/conformance.md, and the values of a case by its schemas."""

    case: Case
    program: Program
    typed: dict[int, Typed | None]

    @classmethod
    def of(cls, case: Case) -> Facts:
        """Raises ModelError."""
        program = program_of(case)
        names = program.annotations.schemas
        in_use = program.annotations.slots_in_use
        return cls(case, program, {slot: _typed(case, names.get(slot)) for slot in in_use})

    @property
    def outputs(self) -> list[int]:
        return self.program.annotations.outputs

    @property
    def input(self) -> int:
        return (self.program.annotations.inputs or [0])[0]

    def form(self, slot: int, value: Any) -> str:
        """Raises Misfit."""
        typed = self.typed.get(slot)
        return untyped(value) if typed is None else typed.form(value)

    def encodings(self, column: str) -> tuple[str, str]:
        """Of input and output in a column of `run`: what has no schema is JSON."""
        way = RUN[column]
        typed = self.typed.get(self.input) is not None, self._out
        return (way, way) if not any(typed) else ((way if typed[0] else "json"), (way if typed[1] else "json"))

    @property
    def untyped(self) -> bool:
        """Whether nothing of it can be Avro."""
        return self.typed.get(self.input) is None and not self._out

    @property
    def _out(self) -> bool:
        return bool(self.outputs) and all(self.typed[slot] for slot in self.outputs)

    def wire(self, encoding: str, records: Sequence[bytes]) -> tuple[list[bytes], list[Any]]:
        """The values of a topic and what a model sees of each; BAD where it must see nothing.

        In Avro there is no value for what a producer could not have written: no record is made of it.
        """
        typed, values, seen = self.typed.get(self.input), [], []
        for record in records:
            try:
                value = read_json(record, strict=True)
                if typed:
                    typed.form(value)
            except (ValueError, Misfit, RecursionError):
                if encoding == "json":
                    values.append(record)
                    seen.append(BAD)
                continue
            values.append(record if encoding == "json" else typed.to_avro(value))  # type: ignore[union-attr]
            seen.append(value if encoding == "json" else typed.seen(values[-1]))  # type: ignore[union-attr]
        return values, seen

    def consumed(self, slot: int, encoding: str, value: bytes) -> Any:
        typed = self.typed.get(slot)
        return json.loads(value) if encoding == "json" or typed is None else typed.consumed(value)

    def run_plain(self, plain: Plain, folder: Path, values: Sequence[Any]) -> list[Given] | str:
        for name, files in self.case.attachments.items():
            _unpack(folder, name, files)
        actions = callbacks.action_names(self.program, self.input)
        defined = {node.name for node in ast.walk(ast.parse(self.program.source)) if isinstance(node, ast.FunctionDef)}
        found = plain.run(
            folder,
            self.case.model.encode(),
            values,
            slot=self.input,
            default=self.outputs[0] if len(self.outputs) == 1 else 1,
            action=next((name for name in actions if name in defined), actions[0]),
            begin=next((name for name in callbacks.begin_names(self.program) if name in defined), "begin"),
            definition={"name": "model", "type": "python3", "attachments": [*self.case.attachments]},
        )
        if isinstance(found, str):
            return found
        checked = [self._checked(given) for given in found]
        errors = [at for at, given in enumerate(checked) if given.error is not None]
        return checked[: errors[0] + 1] if errors else checked

    def _checked(self, given: Given) -> Given:
        """An output to a slot that is none is an error of the model; what came before it stands."""
        for at, (slot, _) in enumerate(given.outputs):
            if slot not in self.outputs:
                return Given(given.outputs[:at], f"an output to slot {slot}")
        return given


def _typed(case: Case, name: str | None) -> Typed | None:
    if name is None:
        return None
    return Typed(json.loads(case.schemas[name]) if name in case.schemas else name)


def _unpack(folder: Path, name: str, files: Any) -> None:
    (folder / name).write_bytes(archive(name, files))
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)


def data_of(slot: Slot) -> list[bytes]:
    """Records of an input without the control records among them: topics have none."""
    found = []
    for record in slot.input or []:
        kind = control(record)
        if kind == "end":
            break
        if not kind:
            found.append(record)
    return found


def control(record: bytes) -> str:
    try:
        value = json.loads(record)
    except ValueError:
        return ""
    return str(value.get("$fastscore", "")) if isinstance(value, dict) else ""


def program_of(case: Case) -> Program:
    return compile_program(case.model.encode(), Path("model.py"))
