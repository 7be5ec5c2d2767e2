"""Avro's binary encoding: the bytes of one value, with nothing around them."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

from stream_scorer.codec.avro_bounds import Guard, guard_of
from stream_scorer.codec.avro_reader import TRUNCATED, Read, Readers, Unresolved
from stream_scorer.codec.forms import AvroForm
from stream_scorer.codec.schema import Schema
from stream_scorer.codec.value_codec import ValueCodec, null_value
from stream_scorer.errors import DecodeError

_DOUBLE = struct.Struct("<d")
_UNREADABLE = (*TRUNCATED, ValueError, ArithmeticError, RecursionError, MemoryError)


class AvroCodec(ValueCodec):
    """Avro of any schema. Decoded unions have no tag; decoded logical types are the numbers, bytes and texts underneath."""

    encoding = "Avro"

    def __init__(self, schema: Schema) -> None:
        super().__init__(schema, AvroForm())
        self._name = schema.name
        self._read = Readers(schema.named).own(schema.parsed)
        self._guard = guard_of(schema.parsed)

    def decode(self, data: bytes | None) -> Any:
        """The value needs no check: it was read by the schema."""
        if data is None:
            raise null_value()
        return read_avro(data, self._read, self._name, self._guard)

    def dump(self, value: Any) -> bytes:
        data: bytes = value
        return data

    def ends(self, data: bytes, last: bool) -> tuple[list[int], bool]:
        """Where the complete values and control records at the beginning of `data` end.

        Returns their ends in order, and whether the bytes after them cannot be a value.

        Args:
            last: no more bytes will come, so what looks like the beginning of a control record is a value.
        """
        from stream_scorer.codec.control_records import begins_control, may_begin_control, read_avro_control

        ends: list[int] = []
        at = 0
        while at < len(data):
            control = read_avro_control(data[at:]) if begins_control(data, at) else None
            if control is None and not last and may_begin_control(data, at):
                break
            try:
                end = at + control[1] if control is not None else self._end(data, at)
            except TRUNCATED:
                break
            except _UNREADABLE:
                return ends, True
            if end > len(data):
                break
            if end == at:
                return ends, True
            at = end
            ends.append(at)
        return ends, False

    def _end(self, data: bytes, at: int) -> int:
        if self._guard is not None:
            self._guard(data, at)
        return self._read(data, at)[1]


class DoubleCodec(AvroCodec):
    """Avro's double: 8 bytes, IEEE 754, little-endian. Many values are decoded and encoded in one call."""

    def decode(self, data: bytes | None) -> float:
        if data is None:
            raise null_value()
        if len(data) != 8:
            raise wrong_bytes("an Avro double (8 bytes)", data, size=8)
        value: float = _DOUBLE.unpack(data)[0]
        return value

    def decode_many(self, batch: Sequence[bytes | None]) -> list[float]:
        if set(map(_length, batch)) == {8}:
            return list(struct.unpack(f"<{len(batch)}d", b"".join(batch)))  # type: ignore[arg-type]
        return [self.decode(data) for data in batch]

    def encode(self, value: Any) -> bytes:
        if isinstance(value, float):
            return _DOUBLE.pack(value)
        return super().encode(value)

    def encode_many(self, values: Sequence[Any]) -> list[bytes]:
        if set(map(type, values)) != {float}:
            return [self.encode(value) for value in values]
        data = struct.pack(f"<{len(values)}d", *values)
        return [data[at : at + 8] for at in range(0, len(data), 8)]


def read_avro(data: bytes, read: Read, name: str, guard: Guard | None = None) -> Any:
    """The value in `data`. Raises DecodeError, also if bytes follow the value.

    Args:
        read, guard: compiled from the writer's schema.
        name: of the reader's schema, for error texts.
    """
    try:
        if guard is not None:
            guard(data, 0)
        value, end = read(data, 0)
    except TRUNCATED as error:
        text = str(error) if isinstance(error, EOFError) else "the bytes end within the value"
        raise wrong_bytes(f"Avro of schema {name!r} (EOFError: {text})", data) from error
    except Unresolved as error:
        raise DecodeError(
            f"a value of the writer's schema cannot be read as schema {name!r}: {str(error)[:300]}"
        ) from error
    except _UNREADABLE as error:
        raise wrong_bytes(f"Avro of schema {name!r} ({type(error).__name__}: {str(error)[:300]})", data) from error
    if end != len(data):
        rest = len(data) - end
        raise wrong_bytes(f"Avro of schema {name!r}, but {rest} bytes are left over", data, size=end)
    return value


def wrong_bytes(expected: str, data: bytes, size: int | None = None) -> DecodeError:
    """An error that suggests a cause. size: of the value, if that is known; -1 if no value has that many bytes."""
    text = f"expected {expected}, got {len(data)} bytes" + (f" starting {data[:8].hex(' ')}" if data else "")
    if data[:1] == b"\0" and len(data) >= 5 and (size is None or len(data) == size + 5):
        text += ". That prefix looks like a schema registry's: give --framing registry, or mend the producer."
    elif data[:1] in b'{["-0123456789' and data:
        text += ". That looks like text: give --input-encoding json, or mend the producer."
    else:
        text += ". Does the producer use another schema?"
    return DecodeError(text)


def _length(data: bytes | None) -> int:
    return -1 if data is None else len(data)
