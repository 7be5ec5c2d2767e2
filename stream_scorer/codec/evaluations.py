"""Encodings of evaluations: Avro of `schemas/evaluation.avsc`, or a JSON object with the same fields."""

from __future__ import annotations

import json
import math
import struct
import sys
from collections.abc import Sequence
from typing import Any

from stream_scorer.codec.avro import AvroCodec
from stream_scorer.codec.avro_long import avro_long
from stream_scorer.codec.framing import FramedCodec
from stream_scorer.codec.registry import Registry
from stream_scorer.codec.schema import Schema, make_schema
from stream_scorer.codec.schema_files import shipped_schema
from stream_scorer.codec.value_codec import null_value
from stream_scorer.errors import DecodeError
from stream_scorer.ports import Codec
from stream_scorer.records import Evaluation

_FIVE = struct.Struct("<5d")
_ONE = struct.Struct("<d")
_NULL, _SOME = b"\x00", b"\x02"  # branches of a union
FRAME = 5
"""Bytes before a value that is framed for a schema registry."""


def evaluation_schema() -> Schema:
    return make_schema("evaluation", shipped_schema("evaluation"))


def evaluation_codec(encoding: str, registry: Registry | None = None, subject: str = "") -> Codec:
    """The codec of the evaluation topic. With a registry Avro is framed, like scores."""
    if encoding == "json":
        return EvaluationJson()
    schema = evaluation_schema()
    inner = EvaluationCodec(schema)
    if registry is None:
        return inner
    return FramedCodec(inner, schema, registry=registry, schema_id=None, subject=subject)


class EvaluationCodec:
    """Avro without framing. Encoded by hand, because there is an evaluation for every score."""

    def __init__(self, schema: Schema | None = None) -> None:
        self._avro = AvroCodec(schema or evaluation_schema())

    def encode(self, value: Evaluation) -> bytes:
        (forecast, naive, low, high, offset, timestamp, _), source, actual = value
        return b"".join(
            (
                _FIVE.pack(forecast, actual, naive, forecast - actual, naive - actual),
                _NULL if low is None else _SOME + _ONE.pack(low),
                _NULL if high is None else _SOME + _ONE.pack(high),
                avro_long(offset),
                _NULL if timestamp is None else _SOME + avro_long(timestamp),
                avro_long(source.offset),
            )
        )

    def encode_many(self, values: Sequence[Evaluation]) -> list[bytes]:
        return [self.encode(value) for value in values]

    def decode(self, data: bytes | None) -> dict[str, Any]:
        value: dict[str, Any] = self._avro.decode(data)
        return value

    def decode_many(self, batch: Sequence[bytes | None]) -> list[dict[str, Any]]:
        return [self.decode(data) for data in batch]


class EvaluationJson:
    """JSON in UTF-8. A difference that is too large for a double is null, because JSON has no infinity."""

    def encode(self, value: Evaluation) -> bytes:
        (forecast, naive, low, high, offset, timestamp, _), source, actual = value
        evaluation = {
            "forecast": forecast,
            "actual": actual,
            "naive": naive,
            "error": _finite(forecast - actual),
            "naive_error": _finite(naive - actual),
            "low": low,
            "high": high,
            "forecast_offset": offset,
            "forecast_timestamp": timestamp,
            "actual_offset": source.offset,
        }
        return json.dumps(evaluation).encode()

    def encode_many(self, values: Sequence[Evaluation]) -> list[bytes]:
        return [self.encode(value) for value in values]

    def decode(self, data: bytes | None) -> dict[str, Any]:
        if data is None:
            raise null_value()
        try:
            evaluation = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise DecodeError(f"expected a JSON object, got {data[:60]!r}: {error}") from error
        if not isinstance(evaluation, dict) or not _is_evaluation(evaluation):
            raise DecodeError(f"expected an evaluation as JSON, got {data[:60]!r}")
        return evaluation

    def decode_many(self, batch: Sequence[bytes | None]) -> list[dict[str, Any]]:
        return [self.decode(data) for data in batch]


class AnyEvaluation:
    """Decodes evaluations in any of their encodings: JSON, Avro, Avro framed for a schema registry."""

    def __init__(self) -> None:
        self._json, self._avro = EvaluationJson(), EvaluationCodec()

    def decode(self, data: bytes | None) -> dict[str, Any]:
        """Raises DecodeError: the value is in none of them."""
        if data is None:
            raise null_value()
        no_json: DecodeError | None = None
        if data.startswith(b"{"):
            try:
                return self._json.decode(data)
            except DecodeError as error:
                no_json = error  # an Avro double may begin with the byte of a brace, too
        try:
            return self._avro.decode(data)
        except DecodeError:
            if no_json is not None:
                raise no_json from None
            if data[:1] != b"\0":
                raise
            return self._avro.decode(data[FRAME:])


def _is_evaluation(fields: dict[str, Any]) -> bool:
    numbers = [fields.get(name) for name in ("forecast", "actual", "naive")]
    offset = fields.get("forecast_offset", 0)
    return (
        all(isinstance(number, int | float) and abs(number) <= sys.float_info.max for number in numbers)
        and isinstance(offset, int)
        and -(2**63) <= offset < 2**63
    )


def _finite(number: float) -> float | None:
    return number if math.isfinite(number) else None
