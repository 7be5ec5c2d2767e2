"""A stream descriptor after parsing, at the slot it is for, with every default filled in."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from stream_scorer.codec.schema import Schema
from stream_scorer.modelop.streams.codec_spec import CodecSpec
from stream_scorer.modelop.streams.descriptor_parts import Batching, Envelope
from stream_scorer.modelop.streams.transport_kinds import Transport

INHERIT = "$inherit"
"""A descriptor's Schema that stands for the schema of the model's slot."""


@dataclass(frozen=True)
class Stream:
    """A descriptor at its slot.

    Attributes:
        loop: when the input is at its end, it is read again from its beginning.
        skip_to: offset to begin at, in bytes. skip_to_record: a record number, "earliest" or "latest".
        schema: of the stream, or the model's where the descriptor inherits it; None if the stream is untyped.
        linger_ms: how long an output that is finished waits for its reader; None for not at all.
        end_marker: a record that marks the end of the stream, if the descriptor names one.
        spec: encoding and schemas, for the process that runs the model.
        schema_as_given: the Schema of the descriptor, references resolved; INHERIT if it has none.
    """

    slot: int
    name: str
    transport: Transport
    loop: bool
    skip_to: int | None
    skip_to_record: int | str | None
    envelope: Envelope | None
    encoding: str | None
    schema: Schema | None
    batching: Batching
    linger_ms: int | None
    end_marker: str | None
    spec: CodecSpec
    schema_as_given: Any = INHERIT

    @property
    def output(self) -> bool:
        return self.slot % 2 == 1

    def interpreted(self) -> dict[str, Any]:
        """The answer to a dry run (rule `f.dry-run`).

        Names are in lower case, defaults are filled in, and what is not set is left out. An inherited schema is
        "undefined".
        """
        options = {key: value for key, value in self.spec.options.items() if key != "Separator"}
        answer: dict[str, Any] = {
            "transport": {"type": self.transport.type, **_snake_keys(self.transport.fields)},
            "encoding": {"type": self.encoding, **_snake_keys(options)} if options else self.encoding,
            "loop": self.loop,
            "batching": {"watermark": self.batching.watermark, "nagle_time": self.batching.nagle_ms},
            "linger_time": self.linger_ms,
        }
        if self.envelope is not None:
            answer["envelope"] = {"type": self.envelope.type, **_snake_keys(self.envelope.fields)}
        if self.schema_as_given is not None:
            answer["schema"] = "undefined" if self.schema_as_given == INHERIT else self.schema_as_given
        optional = {"skip_to": self.skip_to, "skip_to_record": self.skip_to_record, "end_marker": self.end_marker}
        return answer | {key: value for key, value in optional.items() if value is not None}


def _snake_keys(fields: dict[str, Any]) -> dict[str, Any]:
    """BootstrapServers: bootstrap_servers. AccessKeyID: access_key_id."""
    return {
        re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower(): value for name, value in fields.items() if value is not None
    }
