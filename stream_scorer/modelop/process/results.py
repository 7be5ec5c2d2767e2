"""What a call of a model returns: outputs, counts of rejected records, and its failure."""

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
_MAX_CHARACTERS = 100_000
_BINARY = (None, "avro-binary", "msgpack", "bert")
MAX_SHOWN, MAX_SHOWN_CHARACTERS = 20, 3200
"""How many rejected records are kept for each slot and reason of a call, and their length: 64 KB together."""


class Failure(NamedTuple):
    """Why a model cannot go on. `where` names the call: "action()", "begin()", "the module body".

    `traceback` is text for people; its last line is the error. `input` is what the model was given last:
    {slot, seqno, data: [text of each record, base64 where the encoding is binary], batch_len, encoding}.
    """

    where: str
    traceback: str
    input: dict[str, Any] | None

    @property
    def reason(self) -> str:
        """The last line of the traceback that is not blank."""
        lines = [line for line in self.traceback.splitlines() if line.strip()]
        return lines[-1].strip() if lines else "no reason given"

    @classmethod
    def from_json(cls, fields: dict[str, Any] | None) -> Self | None:
        return None if fields is None else cls(**fields)


class Rejected(NamedTuple):
    """A rejected record of an input or output slot. `by` is "schema" or "encoding".

    `text` is an input record as it came, in base64 if its encoding is binary; or the value of an output as JSON, or else
    its repr().
    """

    by: str
    slot: int
    text: str


@dataclass
class CallResult:
    """What one call of a model returned. Counts are by slot number, for inputs and outputs.

    outputs: (slot, encoded record) in order, `set` markers included. output_count: records without the markers.
    rejected: the first MAX_SHOWN rejected records of each slot and reason.
    """

    outputs: list[tuple[int, bytes]] = field(default_factory=list)
    rejected_by_encoding: dict[int, int] = field(default_factory=dict)
    rejected_by_schema: dict[int, int] = field(default_factory=dict)
    output_count: dict[int, int] = field(default_factory=dict)
    failure: Failure | None = None
    rejected: list[Rejected] = field(default_factory=list)

    def reject(self, by: str, slot: int, show: Callable[[], str]) -> None:
        """Count a rejected record, and keep its text, which `show` returns, while fewer than MAX_SHOWN are kept."""
        counts = self.rejected_by_schema if by == "schema" else self.rejected_by_encoding
        counts[slot] = count = counts.get(slot, 0) + 1
        if count <= MAX_SHOWN:
            self.rejected.append(Rejected(by, slot, show()[:MAX_SHOWN_CHARACTERS]))

    def shown(self, by: str, slot: int) -> list[str]:
        """Return the texts that were kept for a slot and reason."""
        return [rejected.text for rejected in self.rejected if rejected.by == by and rejected.slot == slot]

    def to_json(self) -> dict[str, Any]:
        """Return all but the outputs."""
        return {
            "encoding": self.rejected_by_encoding,
            "schema": self.rejected_by_schema,
            "count": self.output_count,
            "failure": self.failure and self.failure._asdict(),
            "rejected": self.rejected,
        }

    @classmethod
    def from_json(cls, head: dict[str, Any], outputs: list[tuple[int, bytes]]) -> Self:
        """The inverse of `to_json`, with the outputs."""
        encoding, schema, count = (
            {int(slot): count for slot, count in head[key].items()} for key in ("encoding", "schema", "count")
        )
        rejected = [Rejected(*fields) for fields in head["rejected"]]
        return cls(outputs, encoding, schema, count, Failure.from_json(head["failure"]), rejected)


class ModelFailed(ModelError):
    """The model's own code failed while it was loaded or begun. `failure` has the traceback."""

    def __init__(self, text: str, failure: Failure) -> None:
        super().__init__(text)
        self.failure = failure


def shown_input(
    slot: int, seqno: int, records: Sequence[bytes], batch_len: int, encoding: str | None
) -> dict[str, Any]:
    """Return the form of `Failure.input`; records beyond 100,000 characters are left out."""
    data: list[str] = []
    room = _MAX_CHARACTERS
    for record in records:
        if room <= 0:
            break
        text = shown_record(record, encoding)
        data.append(text[:room])
        room -= len(text)
    return {"slot": slot, "seqno": seqno, "data": data, "batch_len": batch_len, "encoding": encoding}


def shown_record(record: bytes, encoding: str | None) -> str:
    """Return a record as text for people: base64 if its encoding is binary."""
    return base64.b64encode(record).decode() if encoding in _BINARY else record.decode(errors="replace")


def shown_value(value: Any) -> str:
    """Return a value that could not be encoded as text for people."""
    try:
        return json.dumps(value)
    except (TypeError, ValueError, RecursionError):
        try:
            return repr(value)
        except Exception as error:  # noqa: BLE001 - raised by a class of the model
            return f"a {type(value).__name__} that cannot be shown ({type(error).__name__})"


def trace(error: BaseException) -> str:
    """Return the traceback without our own frames above the model's code."""
    top = error.__traceback__
    while top is not None and top.tb_frame.f_code.co_filename.startswith(_OURS):
        top = top.tb_next
    text = "".join(traceback.TracebackException(type(error), error, top, compact=True).format())
    return text[-_MAX_CHARACTERS:]
