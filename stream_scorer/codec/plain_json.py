"""JSON, one value."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NoReturn

from stream_scorer.codec.avro import null_value
from stream_scorer.codec.branches import for_json
from stream_scorer.codec.plain import plain, reason
from stream_scorer.codec.schema import Schema
from stream_scorer.errors import DecodeError, EncodeError, SchemaError


class JsonCodec:
    """UTF-8 JSON, checked against a schema if there is one.

    NaN and Infinity are no JSON: refused by name where `strict`, else read and written as Python has them. Unions may
    be bare or tagged and are written tagged; bytes are a string of their code points.
    """

    def __init__(self, schema: Schema | None, *, strict: bool = True) -> None:
        self._schema = schema
        self._refuse = _refuse if strict else None
        self._shape = for_json(schema, tagged=True).shape if schema is not None else None
        # Made once: `json.dumps` with options of its own would make one for every value.
        self._text = json.JSONEncoder(allow_nan=not strict, ensure_ascii=False).encode

    def decode(self, data: bytes | None) -> Any:
        if data is None:
            raise null_value()
        try:
            value = json.loads(data, parse_constant=self._refuse)
        except (ValueError, RecursionError) as error:
            raise DecodeError(f"expected JSON, got {data[:60]!r}: {error}") from error
        if self._schema is not None:
            self._schema.check(value)
        return value

    def decode_many(self, batch: Sequence[bytes | None]) -> list[Any]:
        return [self.decode(data) for data in batch]

    def encode(self, value: Any) -> bytes:
        try:
            value = plain(value)
            if self._schema is not None:
                self._schema.check(value)
            if self._shape is not None:
                value = self._shape(value)
            return self._text(value).encode()
        except SchemaError as error:
            raise EncodeError(f"output: {error}") from error
        except Exception as error:  # the value is the model's, and its methods may raise anything
            raise EncodeError(f"output: cannot be written as JSON: {reason(error)}") from error

    def encode_many(self, values: Sequence[Any]) -> list[bytes]:
        return [self.encode(value) for value in values]


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
