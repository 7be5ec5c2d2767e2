"""Bytes on the wire <-> Python values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stream_scorer.codec.avro import AvroCodec, DoubleCodec
from stream_scorer.codec.framing import FramedCodec
from stream_scorer.codec.plain_json import JsonCodec
from stream_scorer.codec.registry import Registry
from stream_scorer.codec.schema import Schema
from stream_scorer.errors import ModelError, SettingsError
from stream_scorer.ports import Codec
from stream_scorer.records import TOPIC_ENCODINGS


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
    """The codec of an encoding. Codecs are chosen here and nowhere else.

    Args:
        encoding: one of TOPIC_ENCODINGS, or the encoding of a ModelOp stream, which may be None: raw bytes.
        schema: of the values; None: values are not checked. avro-binary needs one.
        framing: "none", or "registry": as `FramedCodec` with `registry`, `schema_id` and `subject`.
        strict: refuse NaN and Infinity in JSON.
        options: of a stream's encoding, as in its descriptor.
    Raises:
        SettingsError: there is no such encoding, or it cannot be framed.
        ModelError: avro-binary without a schema.
    """
    options = options or {}
    if encoding == "json":
        if framing != "none":
            raise SettingsError("--framing registry goes with avro-binary, not with json.")
        return JsonCodec(schema, strict=strict, tagged=options.get("Unions") != "untagged")
    if encoding != "avro-binary":
        from stream_scorer.codec.stream_encodings import STREAM_CODECS  # it imports libraries that topics do not need

        if encoding in STREAM_CODECS:
            return STREAM_CODECS[encoding](schema, options)
        raise SettingsError(f"no encoding {encoding!r}. There are {', '.join(TOPIC_ENCODINGS)}.")
    if schema is None:
        raise ModelError("avro-binary needs a schema, and the model names none for this slot.")
    inner = DoubleCodec(schema) if schema.primitive == "double" else AvroCodec(schema)
    if framing == "none":
        return inner
    return FramedCodec(inner, schema, registry=registry, schema_id=schema_id, subject=subject)
