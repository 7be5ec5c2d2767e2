"""Writes Avro's integers and lengths."""

from __future__ import annotations

_SHORT = [bytes((number,)) for number in range(0x80)]


def avro_long(value: int) -> bytes:
    """An int or a long: zig-zag, of variable length."""
    rest = (value << 1) ^ (value >> 63)
    if rest < 0x80:
        return _SHORT[rest]
    out = bytearray()
    while rest > 0x7F:
        out.append(rest & 0x7F | 0x80)
        rest >>= 7
    out.append(rest)
    return bytes(out)


def avro_sized(data: bytes) -> bytes:
    """`data` with its length before it, as Avro writes bytes and, in UTF-8, strings."""
    return avro_long(len(data)) + data
