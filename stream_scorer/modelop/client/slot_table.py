"""Prints the slots of a model as a table."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from stream_scorer.modelop.client.show import print_table


def print_slots(slots: Sequence[Mapping[str, Any]]) -> None:
    print_table(
        ["Slot", "Direction", "Schema", "Action", "Recordsets"],
        [
            [
                entry["slot"],
                "output" if entry["slot"] % 2 else "input",
                _short(entry.get("schema")),
                None if entry["slot"] % 2 else entry.get("action"),
                "yes" if entry.get("recordsets") else "no",
            ]
            for entry in slots
        ],
    )


def _short(schema: Any) -> str | None:
    if schema is None or isinstance(schema, str):
        return schema
    text = json.dumps(schema)
    return text if len(text) <= 40 else text[:37] + "..."
