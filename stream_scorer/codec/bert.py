"""BERT, the encoding of time streams (rule `f.time` in docs/conformance.md): one integer in Erlang's term format."""

from __future__ import annotations

import struct

from stream_scorer.errors import DecodeError

_VERSION, _SMALL, _INT, _BIG = 131, 97, 98, 110


def write_integer(number: int) -> bytes:
    if 0 <= number < 256:
        return bytes((_VERSION, _SMALL, number))
    if -(2**31) <= number < 2**31:
        return struct.pack(">BBi", _VERSION, _INT, number)
    size = (number.bit_length() + 7) // 8
    return bytes((_VERSION, _BIG, size, number < 0)) + abs(number).to_bytes(size, "little")


def read_integer(data: bytes) -> int:
    """Raises DecodeError."""
    if len(data) == 3 and data[:2] == bytes((_VERSION, _SMALL)):
        return data[2]
    if len(data) == 6 and data[:2] == bytes((_VERSION, _INT)):
        return int.from_bytes(data[2:], "big", signed=True)
    if data[:2] == bytes((_VERSION, _BIG)) and len(data) > 4 and len(data) == 4 + data[2] and data[3] < 2:
        return int.from_bytes(data[4:], "little") * (-1 if data[3] else 1)
    raise DecodeError(f"expected a time stream's timestamp, got {len(data)} bytes starting {data[:8].hex(' ')}")
