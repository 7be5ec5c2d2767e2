"""The columns in which a case runs, what must come of it in each, and where a column has to leave a case out."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from stream_scorer.errors import ModelError
from tests.conformance import by_run
from tests.conformance.by_plain import Given, Plain
from tests.conformance.by_run import Found, Job, Runs
from tests.conformance.case import Case, Slot
from tests.conformance.facts import BAD, RUN, Facts, control, data_of, program_of
from tests.conformance.outcome import check_console
from tests.support.meaning import Misfit, read_json

COLUMNS = ("plain", "score", "engine", "run json", "run avro")
_ENGINES = re.compile(r"^[ \t]*(?:import|from)[ \t]+fastscore\b", re.MULTILINE)


def left_out(case: Case, column: str) -> str:
    """Why a case is not in a column; "" if it is."""
    if case.only:
        return "" if column == case.only else case.because
    if column in ("score", "engine"):
        return ""
    if column == "plain" and (why := _not_plain(case)):
        return why
    if case.refused and not case.slots and case.runs:
        return ""
    if not case.runs:
        return "what is attached is checked, and nothing runs"
    if any(not _simple(slot) for slot in case.slots.values()):
        return "it is about the form of a stream, and topics have none"
    return ""


def _not_plain(case: Case) -> str:
    if case.not_plain:
        return case.not_plain
    if case.refused:
        return "a plain host refuses nothing"
    if _needs_engine(case):
        return "a plain host knows records of one input, one at a time"
    return ""


def _simple(slot: Slot) -> bool:
    """Records of JSON, whatever the batches."""
    if slot.whole or slot.pieces or slot.own_transport or slot.encoding != "json":
        return False
    stream = slot.stream or {}
    return set(stream) <= {"Encoding", "Batching"} and not isinstance(stream.get("Encoding"), dict)


def _needs_engine(case: Case) -> str:
    """What of a model `run` must refuse, as a pattern; "" if nothing."""
    try:
        found = program_of(case).annotations
    except ModelError:
        return ""
    if found.recordsets:
        return "record sets"
    if found.explicit:
        return "reads its slots itself"
    if len(found.inputs) != 1:
        return r"inputs are the slots"
    if _ENGINES.search(case.model):
        return "imports fastscore"
    return ""


def run_refuses(case: Case, column: str, facts: Facts | None) -> str:
    """The pattern of what `run` must refuse a model with; "" where it must run it."""
    if case.refused:
        return f"{case.refused}|{_needs_engine(case)}" if _needs_engine(case) else case.refused
    if why := _needs_engine(case):
        return why
    assert facts
    if facts.input != 0:
        return "inputs are the slots"
    found = [r"\bend\b.*(yield|output)"] if _yields_at_the_end(facts.program.source) else []
    if column == "run avro" and facts.untyped:
        found += ["no schema for slot", *([case.fails["error"]] if case.fails else [])]
    return "|".join(found)


def _yields_at_the_end(model: str) -> bool:
    ends = [node for node in ast.parse(model).body if isinstance(node, ast.FunctionDef) and node.name == "end"]
    return any(isinstance(node, ast.Yield | ast.YieldFrom) for end in ends for node in ast.walk(end))


class InPlain:
    """A case in a plain host. `Typed` says what schemas mean for it."""

    def __init__(self, case: Case, plain: Plain, folder: Path) -> None:
        self._case, self._facts = case, Facts.of(case)
        slot = case.slots.get(self._facts.input, Slot())
        seen = [_read(self._facts, record) for record in data_of(slot)]
        self._misfits = sum(value is BAD for value in seen)
        self._found = self._facts.run_plain(plain, folder, [value for value in seen if value is not BAD])
        self._console = (folder / "console.txt").read_text(errors="replace")

    def check(self) -> None:
        """Raises AssertionError where it is not as the case has it."""
        case, facts = self._case, self._facts
        if isinstance(self._found, str):
            assert case.fails, self._found
            assert re.search(case.fails["error"], self._found), self._found
            return
        error = self._found[-1].error
        assert bool(case.fails) == bool(error), error
        assert not error or error.startswith("an output to slot") or re.search(case.fails["error"], error), error
        forms, misfits = _by_slot(facts, self._found)
        for number, slot in case.slots.items():
            if slot.output is not None:
                records = [json.loads(one) for one in slot.output if not control(one)]
                wanted = [facts.form(number, record) for record in records]
                given = forms.get(number, [])
                assert (sorted(given), sorted(wanted)) if slot.any_order else given == wanted
        misfits |= {facts.input: self._misfits} if self._misfits else {}
        assert misfits == {int(slot): sum(counts.values()) for slot, counts in case.rejected.items()}
        check_console(case, self._console)


def _read(facts: Facts, record: bytes) -> Any:
    try:
        value = read_json(record, strict=False)
        if facts.typed.get(facts.input):
            facts.form(facts.input, value)
    except (ValueError, Misfit, RecursionError):
        return BAD
    return value


def _by_slot(facts: Facts, found: Sequence[Given]) -> tuple[dict[int, list[str]], dict[int, int]]:
    """Forms of outputs, and how many have none because they do not fit."""
    forms: dict[int, list[str]] = {}
    misfits: dict[int, int] = {}
    for given in found:
        for slot, datum in given.outputs:
            try:
                form = facts.form(slot, datum)
            except Misfit:
                misfits[slot] = misfits.get(slot, 0) + 1
            else:
                forms.setdefault(slot, []).append(form)
    return forms, misfits


class InRun:
    """A case in a column of `run`: as a plain host has it, where a rejected record has never happened."""

    def __init__(self, case: Case, column: str) -> None:
        self.case = case
        self._facts = None if case.refused else Facts.of(case)
        self.refusal = run_refuses(case, column, self._facts)
        self._encodings = RUN[column], RUN[column]
        self._values, self._seen = data_of(case.slots.get(0, Slot())), []
        if self._facts and not self.refusal:
            self._encodings = self._facts.encodings(column)
            self._values, self._seen = self._facts.wire(self._encodings[0], self._values)

    def job(self, folder: Path) -> Job:
        slots = self._facts.outputs if self._facts else [1]
        return by_run.job(self.case, folder, self._encodings, slots, self._values)

    def expect(self, plain: Plain, folder: Path) -> Self:
        self._expected = Expected({}, set(), refused=self.refusal)
        if self._facts and not self.refusal:
            strict = self._encodings[1] == "json"
            self._expected = expected_of_run(self._facts, plain, folder, self._seen, strict)
        return self

    def run(self, runs: Runs, folder: Path) -> Self:
        self._found = runs.run(self.job(folder))
        return self

    def check(self) -> None:
        """Raises AssertionError where it is not as it must be, in one piece or with an abort and a restart."""
        whole, parted = self._found
        self.check_one(whole)
        if not self._expected.refused and self._encodings[0] == "json":  # models print what they see
            check_console(self.case, whole.console)
        assert parted.data() == whole.data(), "an aborted transaction and a restart make a difference"

    def check_one(self, found: Found) -> None:
        check_run(self._facts, found, self._expected, self._encodings[1])


@dataclass
class Expected:
    """Of `run`: offsets and forms by slot in order, the offsets that are rejected, the error that `end` ends in."""

    forms: dict[int, list[tuple[int, str]]]
    rejected: set[int]
    refused: str = ""
    failed: str = ""


def expected_of_run(facts: Facts, plain: Plain, folder: Path, seen: Sequence[Any], strict: bool) -> Expected:
    """A rejected record never happened: what a plain host gives of the others."""
    kept = [at for at, value in enumerate(seen) if value is not BAD]
    if facts.case.not_plain:
        slots = facts.case.slots.items()
        outputs = {number: [json.loads(one) for one in slot.output] for number, slot in slots if slot.output}
        return Expected({slot: [(0, facts.form(slot, one)) for one in some] for slot, some in outputs.items()}, set())
    while True:
        found = facts.run_plain(plain, folder, [seen[at] for at in kept])
        if isinstance(found, str):
            return Expected({}, set(), refused=re.escape(found.split(":")[0]))
        bad = next((at for at, given in enumerate(found[: len(kept)]) if not _good(facts, given, strict)), None)
        if bad is None:
            break
        del kept[bad]
    forms: dict[int, list[tuple[int, str]]] = {}
    for at, given in zip(kept, found, strict=False):
        for slot, datum in given.outputs:
            forms.setdefault(slot, []).append((at, facts.form(slot, datum)))
    return Expected(forms, set(range(len(seen))) - set(kept), failed=found[-1].error or "")


def _good(facts: Facts, given: Given, strict: bool) -> bool:
    if given.error is not None:
        return False
    try:
        forms = [facts.form(slot, datum) for slot, datum in given.outputs]
    except Misfit:
        return False
    return not (strict and any(re.search(r"\b(nan|NaN|inf|Infinity)\b", form) for form in forms))


def check_run(facts: Facts | None, found: Found, expected: Expected, encoding: str) -> None:
    """Raises AssertionError."""
    if expected.refused:
        assert found.refused, "it was not refused"
        assert len(found.refused.splitlines()) == 1, found.refused
        assert re.search(expected.refused, found.refused), found.refused
        return
    assert not found.refused, f"refused: {found.refused}"
    assert facts
    said = [f"@{offset} {stage}: {text}" for offset, stage, text in found.rejects]
    forms: dict[int, list[tuple[int, str]]] = {}
    for slot, offset, value in found.outputs:
        try:
            form = facts.form(slot, facts.consumed(slot, encoding, value))
        except Misfit as error:
            form = f"what does not fit the schema: {error}"
        forms.setdefault(slot, []).append((offset, form))
    assert {offset for offset, _, _ in found.rejects} == expected.rejected, said
    assert forms == expected.forms, said
    assert bool(found.failed) == bool(expected.failed), found.failed
