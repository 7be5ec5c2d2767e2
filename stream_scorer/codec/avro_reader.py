"""Decodes Avro bytes by the schema that wrote them. Each schema is compiled to functions once.

Why not fastavro's reader: it accepts bytes that no writer produces (branch -1 of a union, symbol -1 of an enum, 2^40 for
an int, 7 for a boolean, numbers of any length), and has no option to refuse them.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from typing import Any

from stream_scorer.codec.checks import RANGES
from stream_scorer.codec.schema_parts import type_of

Read = Callable[[bytes, int], tuple[Any, int]]
"""Takes the bytes and the offset where a value begins; returns the value and the offset where it ends.

Raises one of TRUNCATED, Unresolved or ValueError (the bytes are not a value of the schema).
"""
TRUNCATED = (EOFError, IndexError, struct.error)
"""Errors of a `Read` if the bytes end too early."""
_unpack_double, _unpack_float = struct.Struct("<d").unpack_from, struct.Struct("<f").unpack_from


class Unresolved(ValueError):
    """A value of the writer's schema cannot be read as a value of the reader's schema."""


_SHIFTS = range(21, 70, 7)


def read_long(data: bytes, at: int) -> tuple[int, int]:
    """An int or a long: zig-zag, of variable length.

    The first three bytes are read without a loop, as most numbers have no more. A byte of 0x80 or above means that another
    byte follows; the subtraction removes that bit.
    """
    number = data[at]
    if number < 0x80:
        return (number >> 1) ^ -(number & 1), at + 1
    byte = data[at + 1]
    number += (byte << 7) - 0x80
    if byte < 0x80:
        return (number >> 1) ^ -(number & 1), at + 2
    byte = data[at + 2]
    number += (byte << 14) - 0x4000
    if byte < 0x80:
        return (number >> 1) ^ -(number & 1), at + 3
    at += 3
    for shift in _SHIFTS:
        byte = data[at]
        at += 1
        number += (byte - 1) << shift
        if byte < 0x80:
            break
    else:
        raise ValueError("a number of more than 10 bytes")
    if number >> 64:
        raise ValueError("a number of more than 64 bits")
    return (number >> 1) ^ -(number & 1), at


def _int(data: bytes, at: int) -> tuple[int, int]:
    number = data[at]
    if number < 0x80:
        return (number >> 1) ^ -(number & 1), at + 1
    byte = data[at + 1]
    if byte < 0x80:
        number += (byte << 7) - 0x80
        return (number >> 1) ^ -(number & 1), at + 2
    number, at = read_long(data, at)
    low, high = RANGES["int"]
    if not low <= number <= high:
        raise ValueError(f"an int of {number}, which is more than 32 bits")
    return number, at


def _boolean(data: bytes, at: int) -> tuple[bool, int]:
    byte = data[at]
    if byte > 1:
        raise ValueError(f"a boolean of {byte}, which is neither 0 nor 1")
    return byte == 1, at + 1


def _float(data: bytes, at: int) -> tuple[float, int]:
    return _unpack_float(data, at)[0], at + 4


def _double(data: bytes, at: int) -> tuple[float, int]:
    return _unpack_double(data, at)[0], at + 8


def _bytes(data: bytes, at: int) -> tuple[bytes, int]:
    size, at = read_long(data, at)
    end = at + size
    content = data[at:end]
    if len(content) != size:
        if size < 0:
            raise ValueError(f"a length of {size}")
        raise EOFError(f"a length of {size} bytes, of which {len(content)} are there")
    return content, end


def _string(data: bytes, at: int) -> tuple[str, int]:
    size = data[at]
    if size & 0x81:  # the length has more than one byte, or is negative
        content, at = _bytes(data, at)
        return content.decode(), at
    at += 1
    end = at + (size >> 1)
    if end > len(data):
        raise EOFError(f"a length of {size >> 1} bytes, of which {len(data) - at} are there")
    return data[at:end].decode(), end


def _null(_: bytes, at: int) -> tuple[None, int]:
    return None, at


SIMPLE: dict[str, Read] = {
    "null": _null, "boolean": _boolean, "int": _int, "long": read_long, "float": _float, "double": _double,
    "bytes": _bytes, "string": _string,
}  # fmt: skip


def read_fixed(size: int) -> Read:
    def read(data: bytes, at: int) -> tuple[bytes, int]:
        content = data[at : at + size]
        if len(content) < size:
            raise EOFError(f"a fixed of {size} bytes, of which {len(content)} are there")
        return content, at + size

    return read


def read_enum(symbols: list[Any]) -> Read:
    """symbols: in the order of the writer's. If one is an Unresolved, it is raised instead of returned."""

    def read(data: bytes, at: int) -> tuple[str, int]:
        number, at = read_long(data, at)
        if not 0 <= number < len(symbols):
            raise ValueError(f"symbol {number} of an enum of {len(symbols)}")
        if isinstance(symbols[number], Unresolved):
            raise symbols[number]
        return symbols[number], at

    return read


def read_union(branches: list[Read]) -> Read:
    def read(data: bytes, at: int) -> tuple[Any, int]:
        number, at = read_long(data, at)
        if 0 <= number < len(branches):
            return branches[number](data, at)
        raise ValueError(f"branch {number} of a union of {len(branches)}")

    return read


def _blocks(data: bytes, at: int) -> tuple[int, int]:
    """The number of items in the next block, 0 after the last block; and the offset of its first item."""
    count, at = read_long(data, at)
    return (-count, read_long(data, at)[1]) if count < 0 else (count, at)


def read_array(item: Read) -> Read:
    read_block = _BLOCK_READERS.get(item)

    def read(data: bytes, at: int) -> tuple[list[Any], int]:
        items: list[Any] = []
        while True:
            count, at = _blocks(data, at)
            if not count:
                return items, at
            if read_block is not None:
                at = read_block(data, at, count, items)
                continue
            for _ in range(count):
                value, at = item(data, at)
                items.append(value)

    return read


def _reals(letter: str, size: int) -> Callable[[bytes, int, int, list[Any]], int]:
    def read(data: bytes, at: int, count: int, items: list[Any]) -> int:
        end = at + count * size
        if end > len(data):
            raise EOFError(f"an array block of {count} numbers, which takes more bytes than there are")
        items += struct.unpack_from(f"<{count}{letter}", data, at)
        return end

    return read


def _longs(data: bytes, at: int, count: int, items: list[Any]) -> int:
    """Numbers of up to three bytes are read here, without the call of `read_long`."""
    put = items.append
    for _ in range(count):
        number = data[at]
        if number < 0x80:
            at += 1
        elif (byte := data[at + 1]) < 0x80:
            number += (byte << 7) - 0x80
            at += 2
        elif (last := data[at + 2]) < 0x80:
            number += (byte << 7) + (last << 14) - 0x4080
            at += 3
        else:
            value, at = read_long(data, at)
            put(value)
            continue
        put((number >> 1) ^ -(number & 1))
    return at


_BLOCK_READERS: dict[Read, Callable[[bytes, int, int, list[Any]], int]] = {
    _double: _reals("d", 8), _float: _reals("f", 4), read_long: _longs
}  # fmt: skip
"""For common types of items: reads a whole block, appends its items to the list, returns the offset behind them."""


def read_map(item: Read) -> Read:
    def read(data: bytes, at: int) -> tuple[dict[str, Any], int]:
        items: dict[str, Any] = {}
        while True:
            count, at = _blocks(data, at)
            if not count:
                return items, at
            for _ in range(count):
                key, at = _string(data, at)
                items[key], at = item(data, at)

    return read


def read_record(fields: list[tuple[str | None, Read]], supplied: list[tuple[str, Callable[[], Any]]]) -> Read:
    """Both lists may be filled after this call, because a record may contain itself.

    Args:
        fields: in the order of the bytes; a field whose name is None is read and dropped.
        supplied: fields that are not in the bytes, each with the function that returns its value.
    """

    def read(data: bytes, at: int) -> tuple[dict[Any, Any], int]:
        record: dict[Any, Any] = {}
        for name, field in fields:
            record[name], at = field(data, at)
        if supplied or None in record:
            record.pop(None, None)
            for name, supply in supplied:
                record[name] = supply()
        return record, at

    return read


class Readers:
    """Compiles the types of one writer's schema.

    Args:
        written: its named types, by full name.
    """

    def __init__(self, written: Mapping[str, Any]) -> None:
        self._written = written
        self._own: dict[str, Read] = {}  # records by name, because a record may contain itself

    def own(self, schema: Any) -> Read:
        """Reads values of a type of the writer as they were written, not as another schema asks for them."""
        schema = type_of(schema, self._written)
        if isinstance(schema, list):
            return read_union([self.own(branch) for branch in schema])
        kind = schema["type"]
        if kind in SIMPLE:
            return SIMPLE[kind]
        if kind == "array":
            return read_array(self.own(schema["items"]))
        if kind == "map":
            return read_map(self.own(schema["values"]))
        if kind == "enum":
            return read_enum(schema["symbols"])
        if kind == "fixed":
            return read_fixed(schema["size"])
        name = schema["name"]
        if name not in self._own:
            fields: list[tuple[str | None, Read]] = []
            self._own[name] = read_record(fields, [])
            fields += [(field["name"], self.own(field["type"])) for field in schema["fields"]]
        return self._own[name]
