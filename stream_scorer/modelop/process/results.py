"""What comes of running a model."""

from __future__ import annotations

import base64
import json
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Self

from stream_scorer.errors import ModelError

_OURS = str(Path(__file__).parents[2])
_MOST_CHARACTERS = 100_000
_BINARY = (None, "avro-binary", "msgpack", "bert")
MOST_SHOWN, MOST_SHOWN_CHARACTERS = 20, 3200
"""Rejected records that are kept, of each slot and reason of a call, and the length of each: 64 KB together."""


class Failure(NamedTuple):
    """A model that cannot go on. `where` names the call: "action()", "begin()", "the module body".

    `traceback` is text for people, its last line the error. `input` is what the model was given last:
    {slot, seqno, data: [text of each record, base64 where the encoding is binary], batch_len, encoding}.
    """

    where: str
    traceback: str
    input: dict[str, Any] | None

    @property
    def reason(self) -> str:
        """The last line that says something."""
        lines = [line for line in self.traceback.splitlines() if line.strip()]
        return lines[-1].strip() if lines else "no reason given"

    @classmethod
    def read(cls, given: dict[str, Any] | None) -> Self | None:
        return None if given is None else cls(**given)


class Rejected(NamedTuple):
    """A record that was not taken, of an input or output slot. `by` is "schema" or "encoding".

    `text` is the record as it came, base64 where the encoding is binary; of an output its value as JSON, or as Python
    writes it.
    """

    by: str
    slot: int
    text: str


@dataclass
class Fed:
    """What one call gave. Counts are by slot number, inputs and outputs.

    outputs: (slot, encoded record) in order, `set` markers among them. output_count: records without the markers.
    rejected: the first MOST_SHOWN of each slot and reason, as text.
    """

    outputs: list[tuple[int, bytes]] = field(default_factory=list)
    rejected_by_encoding: dict[int, int] = field(default_factory=dict)
    rejected_by_schema: dict[int, int] = field(default_factory=dict)
    output_count: dict[int, int] = field(default_factory=dict)
    failure: Failure | None = None
    rejected: list[Rejected] = field(default_factory=list)

    def reject(self, by: str, slot: int, show: Callable[[], str]) -> None:
        """Count one, and keep it as `show` gives it while few are kept. `by` is "schema" or "encoding"."""
        counts = self.rejected_by_schema if by == "schema" else self.rejected_by_encoding
        counts[slot] = count = counts.get(slot, 0) + 1
        if count <= MOST_SHOWN:
            self.rejected.append(Rejected(by, slot, show()[:MOST_SHOWN_CHARACTERS]))

    def shown(self, by: str, slot: int) -> list[str]:
        """Those kept of the ones rejected."""
        return [one.text for one in self.rejected if one.by == by and one.slot == slot]

    def head(self) -> dict[str, Any]:
        """All but the outputs, as JSON."""
        return {
            "encoding": self.rejected_by_encoding,
            "schema": self.rejected_by_schema,
            "count": self.output_count,
            "failure": self.failure and self.failure._asdict(),
            "rejected": self.rejected,
        }

    @classmethod
    def read(cls, head: dict[str, Any], outputs: list[tuple[int, bytes]]) -> Self:
        """What `head` gave, and the outputs."""
        encoding, schema, count = (
            {int(slot): count for slot, count in head[key].items()} for key in ("encoding", "schema", "count")
        )
        rejected = [Rejected(*one) for one in head["rejected"]]
        return cls(outputs, encoding, schema, count, Failure.read(head["failure"]), rejected)


class ModelFailed(ModelError):
    """The model's own code failed outside of a batch: `failure` has the traceback."""

    def __init__(self, text: str, failure: Failure) -> None:
        super().__init__(text)
        self.failure = failure


def shown_input(
    slot: int, seqno: int, records: Sequence[bytes], batch_len: int, encoding: str | None
) -> dict[str, Any]:
    """The form of `Failure.input`; records beyond 100,000 characters are left out."""
    data: list[str] = []
    room = _MOST_CHARACTERS
    for record in records:
        if room <= 0:
            break
        text = shown_record(record, encoding)
        data.append(text[:room])
        room -= len(text)
    return {"slot": slot, "seqno": seqno, "data": data, "batch_len": batch_len, "encoding": encoding}


def shown_record(record: bytes, encoding: str | None) -> str:
    """For people: base64 where the encoding is binary."""
    return base64.b64encode(record).decode() if encoding in _BINARY else record.decode(errors="replace")


def shown_value(value: Any) -> str:
    """A value that could not be encoded, for people."""
    try:
        return json.dumps(value)
    except (TypeError, ValueError, RecursionError):
        try:
            return repr(value)
        except Exception as error:  # noqa: BLE001 - of a model's own class
            return f"a {type(value).__name__} that cannot be shown ({type(error).__name__})"


def trace(error: BaseException) -> str:
    """The traceback from where the model's own code begins."""
    top = error.__traceback__
    while top is not None and top.tb_frame.f_code.co_filename.startswith(_OURS):
        top = top.tb_next
    text = "".join(traceback.TracebackException(type(error), error, top, compact=True).format())
    return text[-_MOST_CHARACTERS:]
