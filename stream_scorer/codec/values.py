"""One value as each encoding of a ModelOp stream has it. Section [g]."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from typing import Any, NoReturn, Protocol

import fastavro
import msgpack

from stream_scorer.codec.avro import UNREADABLE, read_avro
from stream_scorer.codec.bert import read_integer, write_integer
from stream_scorer.codec.bounds import guard_of
from stream_scorer.codec.branches import for_avro, for_json
from stream_scorer.codec.control_records import begins_control, may_begin_control, read_avro_control
from stream_scorer.codec.csv_values import CsvValues
from stream_scorer.codec.schema import Schema
from stream_scorer.errors import DecodeError


class Values(Protocol):
    """`load` raises DecodeError. `dump` raises ValueError and the like for what the encoding cannot say."""

    def load(self, data: bytes) -> Any: ...

    def dump(self, value: Any) -> bytes: ...


class JsonValues:
    """Values as `json` has them: nothing is converted to the schema's types, NaN and Infinity pass unless `strict`."""

    def __init__(self, schema: Schema | None, *, strict: bool, tagged: bool) -> None:
        self._strict = strict
        self._shape = for_json(schema, tagged=tagged).shape if schema else None
        # Made once: `json.dumps` with options of its own would make one for every value.
        self._text = json.JSONEncoder(allow_nan=not strict, default=_more).encode

    def load(self, data: bytes) -> Any:
        try:
            # Without hooks the decoder is made once and kept by json.
            return json.loads(data.decode(), parse_constant=_refuse) if self._strict else json.loads(data.decode())
        except (ValueError, RecursionError) as error:
            raise DecodeError(f"expected JSON, got {data[:60]!r}: {error}") from error

    def dump(self, value: Any) -> bytes:
        if self._shape:
            value = self._shape(value)
        return self._text(value).encode()


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON, and the stream's encoding is strict")


def _more(value: Any) -> Any:
    if isinstance(value, bytes | bytearray):
        return value.decode("latin-1")
    raise TypeError(f"JSON has no {type(value).__name__}")


class TextValues:
    def load(self, data: bytes) -> str:
        try:
            return data.decode()
        except UnicodeDecodeError as error:
            raise DecodeError(f"expected UTF-8, got {data[:60]!r}: {error}") from error

    def dump(self, value: Any) -> bytes:
        if not isinstance(value, str):
            raise TypeError(f"utf-8 takes a string, not {type(value).__name__}")
        return value.encode()


class RawValues:
    """Bytes as they are. Out of a model a string will do too, and of the rest the text that Python shows."""

    def load(self, data: bytes) -> bytes:
        return data

    def dump(self, value: Any) -> bytes:
        if isinstance(value, bytes | bytearray | memoryview):
            return bytes(value)
        return (value if isinstance(value, str) else repr(value)).encode()


class MsgpackValues:
    def load(self, data: bytes) -> Any:
        try:
            return msgpack.unpackb(data, strict_map_key=False)
        except (ValueError, TypeError, RecursionError, msgpack.UnpackException) as error:
            reason = str(error) or type(error).__name__
            raise DecodeError(f"expected one msgpack value, got {data[:20].hex(' ')}: {reason}") from error

    def dump(self, value: Any) -> bytes:
        packed: bytes = msgpack.packb(value)
        return packed


class AvroValues:
    """Unions bare, logical types as the numbers and bytes underneath: what the same record gives in JSON."""

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self._plain = fastavro.parse_schema(_without_logical(json.loads(schema.canonical)))
        self._shape = for_avro(schema).shape
        self._guard = guard_of(self._plain)

    def load(self, data: bytes) -> Any:
        return read_avro(data, self._plain, None, self._schema.name, self._guard)

    def dump(self, value: Any) -> bytes:
        out = io.BytesIO()
        fastavro.schemaless_writer(out, self._schema.parsed, self._shape(value))
        return out.getvalue()

    def ends(self, data: bytes, last: bool) -> tuple[list[int], bool]:
        """Where the values, and control records, end that these bytes begin with; whether the rest cannot be read.

        `last`: no more bytes will come, so what may be the beginning of a control record is none.
        """
        stream = io.BytesIO(data)
        ends: list[int] = []
        at = 0
        while at < len(data):
            found = read_avro_control(data[at:]) if begins_control(data, at) else None
            if found is None and not last and may_begin_control(data, at):
                break
            if found is not None:
                stream.seek(at + found[1])
            else:
                try:
                    if self._guard is not None:
                        self._guard(data, at)
                except ValueError:
                    return ends, True
                try:
                    fastavro.schemaless_reader(stream, self._plain, None)
                except UNREADABLE:
                    # Where all was read a number or a text may have been cut, whatever the reader makes of that.
                    return ends, stream.tell() < len(data)
            if stream.tell() == at:
                return ends, True
            at = stream.tell()
            ends.append(at)
        return ends, False


def _without_logical(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_without_logical(one) for one in schema]
    if isinstance(schema, dict):
        return {key: _without_logical(one) for key, one in schema.items() if key != "logicalType"}
    return schema


class BertValues:
    def load(self, data: bytes) -> int:
        return read_integer(data)

    def dump(self, value: Any) -> bytes:
        return write_integer(value)


def values_for(encoding: str | None, options: Mapping[str, Any], schema: Schema | None) -> Values:
    """Of the encoding, with the options of its descriptor. avro-binary needs a schema."""
    if encoding == "json":
        return JsonValues(schema, strict=bool(options.get("Strict")), tagged=options.get("Unions") != "untagged")
    if encoding == "csv":
        return CsvValues(schema, options)
    if encoding == "avro-binary":
        if schema is None:
            raise ValueError("avro-binary without a schema")
        return AvroValues(schema)
    simple: dict[str | None, Values] = {
        "utf-8": TextValues(),
        None: RawValues(),
        "msgpack": MsgpackValues(),
        "bert": BertValues(),
    }
    return simple[encoding]
