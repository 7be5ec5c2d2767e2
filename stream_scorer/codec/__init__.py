"""Bytes on the wire <-> Python values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from stream_scorer.codec.avro import AvroCodec, DoubleCodec
from stream_scorer.codec.base import ValueCodec
from stream_scorer.codec.forms import PlainForm
from stream_scorer.codec.framing import FramedCodec
from stream_scorer.codec.plain_json import JsonCodec
from stream_scorer.codec.registry import Registry
from stream_scorer.codec.schema import Schema
from stream_scorer.codec.simple import BertCodec, CsvCodec, MsgpackCodec, RawCodec, TextCodec
from stream_scorer.errors import ModelError, SettingsError
from stream_scorer.ports import Codec

ENCODINGS = ("avro-binary", "json")
"""Of topics. Streams of the engine have those of the norm too."""
_OF_STREAMS: dict[str | None, Callable[[Schema | None, Mapping[str, Any]], ValueCodec]] = {
    "utf-8": lambda schema, _: TextCodec(schema, PlainForm()),
    None: lambda schema, _: RawCodec(schema, PlainForm()),
    "msgpack": lambda schema, _: MsgpackCodec(schema, PlainForm()),
    "bert": lambda schema, _: BertCodec(schema, PlainForm()),
    "csv": CsvCodec,
}


def codec_for(
    encoding: str | None,
    schema: Schema | None,
    *,
    framing: str = "none",
    registry: Registry | None = None,
    schema_id: int | None = None,
    subject: str = "",
    strict: bool = True,
    options: Mapping[str, Any] | None = None,
) -> Codec:
    """The codec of an encoding: the only place that chooses. Raises SettingsError, ModelError.

    strict: whether NaN and Infinity are refused in JSON.
    options: of a stream's encoding, as its descriptor has them.
    """
    options = options or {}
    if encoding == "json":
        if framing != "none":
            raise SettingsError("--framing registry goes with avro-binary, not with json.")
        return JsonCodec(schema, strict=strict, tagged=options.get("Unions") != "untagged")
    if encoding in _OF_STREAMS:
        return _OF_STREAMS[encoding](schema, options)
    if encoding != "avro-binary":
        raise SettingsError(f"no encoding {encoding!r}. There are {', '.join(ENCODINGS)}.")
    if schema is None:
        raise ModelError("avro-binary needs a schema, and the model names none for this slot.")
    inner = DoubleCodec(schema) if schema.primitive == "double" else AvroCodec(schema)
    if framing == "none":
        return inner
    return FramedCodec(inner, schema, registry=registry, schema_id=schema_id, subject=subject)
