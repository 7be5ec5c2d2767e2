"""What a run of a case came to, so that two can be compared."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.conformance.case import Case, Slot


@dataclass
class Outcome:
    """outputs: by slot, each record as text. rejected: "SLOT encoding" or "SLOT schema" and how many.

    failed: the last line of the traceback. refused: what a load or an attach was refused with.
    """

    outputs: dict[int, list[str]] = field(default_factory=dict)
    rejected: dict[str, int] = field(default_factory=dict)
    failed: str | None = None
    failed_input: dict[str, Any] | None = None
    refused: str | None = None
    traceback: str = ""
    console: str = ""

    def data(self) -> dict[str, Any]:
        """What must be the same wherever a case runs."""
        return {
            "outputs": {slot: found for slot, found in self.outputs.items() if found},
            "rejected": self.rejected,
            "failed": self.failed,
            "failed_input": self.failed_input,
            "refused": self.refused is not None,
        }


def shown(slot: Slot, records: list[bytes]) -> list[str]:
    """Outputs as they are compared: JSON as values, binary streams as a whole, in hexadecimal."""
    if slot.whole:
        return [b"".join(records).decode("latin-1")] if records else []
    if slot.encoding in ("msgpack", "avro-binary"):
        return [b"".join(records).hex(" ")] if records else []
    if slot.encoding == "json":
        found = [_canonical(record) for record in records]
        return sorted(found) if slot.any_order else found
    return [record.decode("latin-1") for record in records]


def _canonical(record: bytes) -> str:
    try:
        return json.dumps(json.loads(record), sort_keys=True)
    except ValueError:
        return record.decode(errors="replace")


def check(case: Case, outcome: Outcome, slots: Mapping[int, Slot]) -> None:
    """Raises AssertionError where an outcome is not as the case has it."""
    assert outcome.refused is None or case.refused, f"refused: {outcome.refused}"
    assert outcome.failed is None or case.fails, f"failed: {outcome.failed}\n{outcome.traceback}"
    if case.refused:
        assert outcome.refused is not None, "it was not refused"
        assert len(outcome.refused.splitlines()) == 1, outcome.refused
        assert re.search(case.refused, outcome.refused), outcome.refused
        return
    if case.fails:
        _check_failure(case, outcome)
    for number, slot in slots.items():
        if slot.output is not None:
            assert outcome.outputs.get(number, []) == shown(slot, slot.output), f"slot {number}"
    expected = {f"{slot} {why}": count for slot, counts in case.rejected.items() for why, count in counts.items()}
    assert outcome.rejected == expected
    check_console(case, outcome.console)


def _check_failure(case: Case, outcome: Outcome) -> None:
    assert outcome.failed is not None, "the model did not fail"
    assert re.search(case.fails["error"], outcome.failed), outcome.failed
    if "where" in case.fails:
        assert re.search(case.fails["where"], outcome.traceback), outcome.traceback
    if "input" in case.fails:
        given = outcome.failed_input or {}
        assert {key: given.get(key) for key in case.fails["input"]} == case.fails["input"]


def check_console(case: Case, console: str) -> None:
    at = 0
    for pattern in case.console:
        found = re.compile(pattern).search(console, at)
        assert found, f"no {pattern!r} in the console from here on:\n{console[at:]}"
        at = found.end()
    for pattern in case.absent:
        assert not re.search(pattern, console), console


def counted(rejects: list[str]) -> dict[str, int]:
    return dict(sorted(Counter(rejects).items()))
