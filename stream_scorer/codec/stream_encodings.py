"""The encodings of ModelOp streams other than Avro and JSON."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgpack

from stream_scorer.codec.bert import read_integer, write_integer
from stream_scorer.codec.csv_codec import CsvCodec
from stream_scorer.codec.forms import PlainForm
from stream_scorer.codec.plain import reason
from stream_scorer.codec.schema import Schema
from stream_scorer.codec.value_codec import ValueCodec
from stream_scorer.errors import DecodeError


class TextCodec(ValueCodec):
    encoding = "UTF-8"

    def load(self, data: bytes) -> str:
        try:
            return data.decode()
        except UnicodeDecodeError as error:
            raise DecodeError(f"expected UTF-8, got {data[:60]!r}: {error}") from error

    def dump(self, value: Any) -> bytes:
        if not isinstance(value, str):
            raise TypeError(f"utf-8 takes a string, not {type(value).__name__}")
        return value.encode()


class RawCodec(ValueCodec):
    """Bytes as they are. A model may also return a string; any other value is written as its `repr`."""

    encoding = "bytes"

    def load(self, data: bytes) -> bytes:
        return data

    def dump(self, value: Any) -> bytes:
        if isinstance(value, bytes | bytearray | memoryview):
            return bytes(value)
        return (value if isinstance(value, str) else repr(value)).encode()


class MsgpackCodec(ValueCodec):
    encoding = "msgpack"

    def load(self, data: bytes) -> Any:
        try:
            return msgpack.unpackb(data, strict_map_key=False)
        except (ValueError, TypeError, RecursionError, msgpack.UnpackException) as error:
            raise DecodeError(f"expected one msgpack value, got {data[:20].hex(' ')}: {reason(error)}") from error

    def dump(self, value: Any) -> bytes:
        packed: bytes = msgpack.packb(value)
        return packed


class BertCodec(ValueCodec):
    encoding = "a time stream's integer"

    def load(self, data: bytes) -> int:
        return read_integer(data)

    def dump(self, value: Any) -> bytes:
        return write_integer(value)


STREAM_CODECS: dict[str | None, Callable[[Schema | None, Mapping[str, Any]], ValueCodec]] = {
    "utf-8": lambda schema, _: TextCodec(schema, PlainForm()),
    None: lambda schema, _: RawCodec(schema, PlainForm()),
    "msgpack": lambda schema, _: MsgpackCodec(schema, PlainForm()),
    "bert": lambda schema, _: BertCodec(schema, PlainForm()),
    "csv": CsvCodec,
}
