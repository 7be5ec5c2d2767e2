"""Bare Avro binary: the bytes of one value, nothing around them."""

from __future__ import annotations

import io
import struct
from collections.abc import Sequence
from typing import Any

import fastavro

from stream_scorer.codec.bounds import Guard, guard_of
from stream_scorer.codec.branches import for_avro
from stream_scorer.codec.plain import plain, reason
from stream_scorer.codec.schema import Schema
from stream_scorer.errors import DecodeError, EncodeError, SchemaError

_DOUBLE = struct.Struct("<d")
UNREADABLE = (
    EOFError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError, AssertionError, RecursionError,
    MemoryError, SystemError, struct.error,
)  # fmt: skip
"""What fastavro's reader raises on bytes of another schema."""


class DoubleCodec:
    """Avro double: 8 bytes, IEEE 754, little-endian. The flagship's input and output."""

    def __init__(self, schema: Schema) -> None:
        self._schema = schema

    def decode(self, data: bytes | None) -> float:
        if data is None:
            raise null_value()
        if len(data) != 8:
            raise wrong_bytes("an Avro double (8 bytes)", data, expected=8)
        value: float = _DOUBLE.unpack(data)[0]
        return value

    def decode_many(self, batch: Sequence[bytes | None]) -> list[float]:
        if set(map(_length, batch)) == {8}:
            return list(struct.unpack(f"<{len(batch)}d", b"".join(batch)))  # type: ignore[arg-type]
        return [self.decode(data) for data in batch]

    def encode(self, value: Any) -> bytes:
        if isinstance(value, float):
            return _DOUBLE.pack(value)
        try:
            value = plain(value)
            # A tensor of one number has __float__ and is taken; so has True, which is no double.
            if isinstance(value, bool) or not hasattr(value, "__float__"):
                self._schema.check(value)
            return _DOUBLE.pack(value)
        except SchemaError as error:
            raise EncodeError(f"output: {error}") from error
        except Exception as error:  # the value is the model's, and its methods may raise anything
            raise EncodeError(f"output: cannot be written as a double: {reason(error)}") from error

    def encode_many(self, values: Sequence[Any]) -> list[bytes]:
        if set(map(type, values)) != {float}:
            return [self.encode(value) for value in values]
        data = struct.pack(f"<{len(values)}d", *values)
        return [data[at : at + 8] for at in range(0, len(data), 8)]


class AvroCodec:
    """Any Avro schema."""

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self._guard = guard_of(schema.parsed)
        # In a schema that contains itself fastavro would try all branches at every depth: told which, it tries none.
        self._shape = for_avro(schema).shape if self._guard else None

    def decode(self, data: bytes | None) -> Any:
        if data is None:
            raise null_value()
        return read_avro(data, self._schema.parsed, None, self._schema.name, self._guard)

    def decode_many(self, batch: Sequence[bytes | None]) -> list[Any]:
        return [self.decode(data) for data in batch]

    def encode(self, value: Any) -> bytes:
        out = io.BytesIO()
        try:
            value = plain(value)
            self._schema.check(value)
            if self._shape is not None:
                value = self._shape(value)
            fastavro.schemaless_writer(out, self._schema.parsed, value)
        except SchemaError as error:
            raise EncodeError(f"output: {error}") from error
        except Exception as error:  # the value is the model's, and its methods may raise anything
            raise EncodeError(f"output: does not fit schema {self._schema.name!r}: {reason(error)}") from error
        return out.getvalue()

    def encode_many(self, values: Sequence[Any]) -> list[bytes]:
        return [self.encode(value) for value in values]


def read_avro(data: bytes, writer: Any, reader: Any, name: str, guard: Guard | None = None) -> Any:
    """One value of all the bytes. Raises DecodeError. `guard`: of the writer's schema, as `guard_of` gives it."""
    stream = io.BytesIO(data)
    try:
        if guard is not None:
            guard(data, 0)
        value = fastavro.schemaless_reader(stream, writer, reader)
    except UNREADABLE as error:
        raise wrong_bytes(f"Avro of schema {name!r} ({type(error).__name__}: {str(error)[:300]})", data) from error
    except fastavro.read.SchemaResolutionError as error:
        # Its text has both schemas in it, of whatever length.
        raise DecodeError(f"the writer's schema cannot be read as {name!r}: {str(error)[:300]}") from error
    rest = len(data) - stream.tell()
    if rest:
        raise wrong_bytes(f"Avro of schema {name!r}, and {rest} bytes are left over", data, expected=len(data) - rest)
    return value


def null_value() -> DecodeError:
    return DecodeError(
        "the value is null (a tombstone). There is nothing to score; is the input topic a compacted one?"
    )


def wrong_bytes(what: str, data: bytes, expected: int | None = None) -> DecodeError:
    text = f"expected {what}, got {len(data)} bytes" + (f" starting {data[:8].hex(' ')}" if data else "")
    if data[:1] == b"\0" and len(data) >= 5 and (expected is None or len(data) == expected + 5):
        text += ". That prefix looks like a schema registry's: give --framing registry, or mend the producer."
    elif data[:1] in b'{["-0123456789' and data:
        text += ". That looks like text: give --input-encoding json, or mend the producer."
    else:
        text += ". Does the producer use another schema?"
    return DecodeError(text)


def _length(data: bytes | None) -> int:
    return -1 if data is None else len(data)
