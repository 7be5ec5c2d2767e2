"""Encoding and schemas of a slot, in a form that can be sent to another process."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from stream_scorer.codec.schema_rules import checked_schema
from stream_scorer.codec.stream_codec import StreamCodec
from stream_scorer.ports import SlotCodec


@dataclass(frozen=True)
class CodecSpec:
    """Encoding and schemas of one slot. All fields are JSON.

    Attributes:
        encoding: "json", "utf-8", None (raw bytes), "csv", "msgpack", "avro-binary", "bert" (time streams).
        options: of the encoding, as the descriptor has them: QuoteCharacter and Delimiter of csv, Strict
            (no NaN, no Infinity) and Unions ("tagged", or "untagged" on output) of json.
        schema: of the stream, as Avro JSON with references resolved; None if it is untyped.
        model_schema: of the model's slot, if it differs from the stream's: records must fit both.
    """

    encoding: str | None
    options: dict[str, Any] = field(default_factory=dict)
    schema_name: str | None = None
    schema: Any | None = None
    model_schema_name: str | None = None
    model_schema: Any | None = None

    def make(self) -> SlotCodec:
        """Return the codec, which serves inputs and outputs. Raises BadSchema."""
        schema = None if self.schema is None else checked_schema(self.schema_name or "stream", self.schema)
        also = (
            None if self.model_schema is None else checked_schema(self.model_schema_name or "model", self.model_schema)
        )
        return StreamCodec(self.encoding, self.options, schema, also)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, given: dict[str, Any]) -> CodecSpec:
        return cls(**given)
