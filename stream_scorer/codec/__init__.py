"""Bytes on the wire <-> Python values."""

from __future__ import annotations

from stream_scorer.codec.avro import AvroCodec, DoubleCodec
from stream_scorer.codec.framing import FramedCodec
from stream_scorer.codec.plain_json import JsonCodec
from stream_scorer.codec.registry import Registry
from stream_scorer.codec.schema import Schema
from stream_scorer.errors import ModelError, SettingsError
from stream_scorer.ports import Codec

ENCODINGS = ("avro-binary", "json")


def codec_for(
    encoding: str,
    schema: Schema | None,
    *,
    framing: str = "none",
    registry: Registry | None = None,
    schema_id: int | None = None,
    subject: str = "",
    strict: bool = True,
) -> Codec:
    """The codec of an encoding: the only place that chooses. Raises SettingsError, ModelError.

    strict: whether NaN and Infinity are refused in JSON.
    """
    if encoding == "json":
        if framing != "none":
            raise SettingsError("--framing registry goes with avro-binary, not with json.")
        return JsonCodec(schema, strict=strict)
    if encoding != "avro-binary":
        raise SettingsError(f"no encoding {encoding!r}. There are {', '.join(ENCODINGS)}.")
    if schema is None:
        raise ModelError("avro-binary needs a schema, and the model names none for this slot.")
    inner: Codec = DoubleCodec(schema) if schema.primitive == "double" else AvroCodec(schema)
    if framing == "none":
        return inner
    return FramedCodec(inner, schema, registry=registry, schema_id=schema_id, subject=subject)
