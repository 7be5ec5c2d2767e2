"""State values <-> bytes, exactly: the same types and the same bits come back. No pickle.

One tag byte per value, then its content; lengths are unsigned 32-bit, all numbers little-endian:

    N None · T True · F False · i int64 · J big int (two's complement) · d double · s str · b bytes
    I big int as decimal text: as it was written before J
    D list of doubles · l list · t tuple · S set · m dict (key, value pairs in order) · q deque (maxlen or -1, items)
    a numpy array (dtype, shape, C-order bytes) · f the same in Fortran's order · g numpy scalar (dtype, bytes)
    @ the same object as an earlier one, by its number: lists, dicts, sets, deques and arrays count from 0 as they end

`D` is there because the state of a window model is a list of floats: packed in one call. `@` because two
names of one list must stay two names of one list: what is appended by one is seen by the other.

Bytes that are read come from a topic, so anybody may have written them. `load` makes objects of these types only,
nests no deeper than MAX_DEPTH, and checks every size against the bytes that are there before it takes memory.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Literal

import numpy as np

from stream_scorer.state import arrays

_LENGTH = struct.Struct("<I")
_INT = struct.Struct("<q")
_DOUBLE = struct.Struct("<d")
_FLOATS = {float}
MAX_DEPTH = 64
_Reader = Callable[[bytes, int, list[Any], int], tuple[Any, int]]


class Unsupported(TypeError):
    """A value of a type that cannot be kept exactly; the text names the type and where in the state it is."""


def dump(values: Iterable[Any]) -> bytes:
    """Values in order, one after the other. Raises Unsupported."""
    out: list[bytes] = []
    seen: dict[int, int] = {}
    for value in values:
        _write(value, out, 0, seen)
    return b"".join(out)


def load(data: bytes) -> tuple[Any, ...]:
    """What `dump` was given; fresh objects at every call. Raises ValueError, and nothing else, on bytes it did not write.

    Memory: at most some 60 bytes for every byte of `data`.
    """
    values = []
    seen: list[Any] = []
    at = 0
    try:
        while at < len(data):
            value, at = _read(data, at, seen, 0)
            values.append(value)
    except _BROKEN as error:
        reason = f": {error}" if type(error) is ValueError else ""
        raise ValueError(f"not a state: {len(data)} bytes, broken after byte {at}{reason}") from error
    return tuple(values)


_BROKEN = (
    ValueError, KeyError, struct.error, IndexError, TypeError, OverflowError, MemoryError, RecursionError, SystemError
)  # fmt: skip


def _write(value: Any, out: list[bytes], depth: int, seen: dict[int, int]) -> None:
    kind = type(value)
    if kind is float:
        out += (b"d", _DOUBLE.pack(value))
    elif value is None or kind is bool:
        out.append(b"N" if value is None else b"T" if value else b"F")
    elif kind is int:
        if -(2**63) <= value < 2**63:
            out += (b"i", _INT.pack(value))
        else:
            _write_bytes(b"J", value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True), out)
    elif kind is str:
        _write_bytes(b"s", value.encode("utf-8", "surrogatepass"), out)
    elif kind is bytes:
        _write_bytes(b"b", value, out)
    elif kind is tuple:
        _write_items(b"t", value, out, depth, seen)
    elif kind in _WRITERS and (kind is not np.ndarray or arrays.is_kept(value)):
        if (number := seen.get(id(value))) is not None:
            out += (b"@", _LENGTH.pack(number))
        else:
            _WRITERS[kind](value, out, depth, seen)
            seen[id(value)] = len(seen)
    elif isinstance(value, np.generic) and arrays.is_kept(value):
        _write_bytes(b"g", value.dtype.str.encode(), out)
        _write_bytes(b"b", value.tobytes(), out)
    else:
        raise Unsupported(f"a value of type {kind.__module__}.{kind.__qualname__}")


def _write_list(value: list[Any], out: list[bytes], depth: int, seen: dict[int, int]) -> None:
    if value and set(map(type, value)) == _FLOATS:
        out += (b"D", _LENGTH.pack(len(value)), struct.pack(f"<{len(value)}d", *value))
    else:
        _write_items(b"l", value, out, depth, seen)


def _write_dict(value: dict[Any, Any], out: list[bytes], depth: int, seen: dict[int, int]) -> None:
    out += (b"m", _LENGTH.pack(len(value)))
    for key, item in value.items():
        _write_items_of(depth, out, seen, (key, item))


def _write_set(value: set[Any], out: list[bytes], depth: int, _: dict[int, int]) -> None:
    # Sorted by content, so that equal states are equal bytes whatever the hash seed of the process.
    items = []
    for item in value:
        written: list[bytes] = []
        _write_items_of(depth, written, {}, [item])
        items.append(b"".join(written))
    out += (b"S", _LENGTH.pack(len(items)), *sorted(items))


def _write_deque(value: deque[Any], out: list[bytes], depth: int, seen: dict[int, int]) -> None:
    out += (b"q", _INT.pack(-1 if value.maxlen is None else value.maxlen))
    _write_items(b"l", value, out, depth, seen)


def _write_array(value: Any, out: list[bytes], depth: int, seen: dict[int, int]) -> None:
    # The order is kept, as sums over an array may differ by it in the last bit.
    columns = value.flags.f_contiguous and not value.flags.c_contiguous
    _write_bytes(b"f" if columns else b"a", value.dtype.str.encode(), out)
    _write_items(b"t", value.shape, out, depth, seen)
    _write_bytes(b"b", value.tobytes("A" if columns else "C"), out)


_WRITERS: dict[type, Callable[[Any, list[bytes], int, dict[int, int]], None]] = {
    list: _write_list,
    dict: _write_dict,
    set: _write_set,
    deque: _write_deque,
    np.ndarray: _write_array,
}


def _write_bytes(tag: bytes, data: bytes, out: list[bytes]) -> None:
    out += (tag, _LENGTH.pack(len(data)), data)


def _write_items(tag: bytes, items: Any, out: list[bytes], depth: int, seen: dict[int, int]) -> None:
    out += (tag, _LENGTH.pack(len(items)))
    _write_items_of(depth, out, seen, items)


def _write_items_of(depth: int, out: list[bytes], seen: dict[int, int], items: Iterable[Any]) -> None:
    if depth == MAX_DEPTH:
        raise Unsupported(f"a value nested more than {MAX_DEPTH} deep, or one that contains itself")
    for item in items:
        _write(item, out, depth + 1, seen)


def _read(data: bytes, at: int, seen: list[Any], depth: int) -> tuple[Any, int]:
    tag = data[at]
    value, at = _READERS[tag](data, at + 1, seen, depth)
    if tag in _SHARED:
        seen.append(value)
    return value, at


def _read_bytes(data: bytes, at: int, _: list[Any], __: int) -> tuple[bytes, int]:
    (length,) = _LENGTH.unpack_from(data, at)
    end = at + 4 + length
    if end > len(data):
        raise ValueError(f"{length} bytes told, {len(data) - at - 4} there")
    return data[at + 4 : end], end


def _count(data: bytes, at: int, depth: int) -> int:
    """How many items follow, in the 4 bytes at `at`. No item is less than a byte."""
    (count,) = _LENGTH.unpack_from(data, at)
    if depth == MAX_DEPTH:
        raise ValueError(f"nested more than {MAX_DEPTH} deep")
    if count > len(data) - at - 4:
        raise ValueError(f"{count} items told, {len(data) - at - 4} bytes there")
    return int(count)


def _read_items(data: bytes, at: int, seen: list[Any], depth: int) -> tuple[list[Any], int]:
    count = _count(data, at, depth)
    at += 4
    items = []
    for _ in range(count):
        item, at = _read(data, at, seen, depth + 1)
        items.append(item)
    return items, at


def _read_doubles(data: bytes, at: int, _: list[Any], __: int) -> tuple[list[float], int]:
    (count,) = _LENGTH.unpack_from(data, at)
    end = at + 4 + 8 * count
    if end > len(data):
        raise ValueError(f"{count} doubles told, {len(data) - at - 4} bytes there")
    return list(struct.unpack_from(f"<{count}d", data, at + 4)), end


def _read_dict(data: bytes, at: int, seen: list[Any], depth: int) -> tuple[dict[Any, Any], int]:
    count = _count(data, at, depth)
    at += 4
    found = {}
    for _ in range(count):
        key, at = _read(data, at, seen, depth + 1)
        found[key], at = _read(data, at, seen, depth + 1)
    return _all_of(found, count), at


def _read_set(data: bytes, at: int, seen: list[Any], depth: int) -> tuple[set[Any], int]:
    items, at = _read_items(data, at, seen, depth)
    return _all_of(set(items), len(items)), at


def _all_of(found: Any, count: int) -> Any:
    if len(found) != count:
        raise ValueError("a dict or a set with equal items")
    return found


def _read_deque(data: bytes, at: int, seen: list[Any], depth: int) -> tuple[deque[Any], int]:
    (maxlen,) = _INT.unpack_from(data, at)
    # This list is no object of the state, so it gets no number.
    items, at = _read_items(data, _after(b"l", data, at + 8), seen, depth)
    if maxlen < -1 or -1 < maxlen < len(items):
        raise ValueError(f"a deque of {len(items)} items with room for {maxlen}")
    return deque(items, None if maxlen < 0 else maxlen), at


def _read_array(data: bytes, at: int, seen: list[Any], depth: int, order: Literal["C", "F"] = "C") -> tuple[Any, int]:
    dtype, at = _read_bytes(data, at, seen, depth)
    shape, at = _read_items(data, _after(b"t", data, at), seen, depth)
    raw, at = _read_bytes(data, _after(b"b", data, at), seen, depth)
    return arrays.array(dtype, shape, raw, order), at


def _read_scalar(data: bytes, at: int, seen: list[Any], depth: int) -> tuple[Any, int]:
    dtype, at = _read_bytes(data, at, seen, depth)
    raw, at = _read_bytes(data, _after(b"b", data, at), seen, depth)
    return arrays.scalar(dtype, raw), at


def _after(tag: bytes, data: bytes, at: int) -> int:
    if data[at] != tag[0]:
        raise ValueError(f"{data[at : at + 1]!r} where {tag!r} should be")
    return at + 1


def _read_seen(data: bytes, at: int, seen: list[Any], _: int) -> tuple[Any, int]:
    return seen[_LENGTH.unpack_from(data, at)[0]], at + 4


def _then(make: Callable[[Any], Any], read: _Reader) -> _Reader:
    def reader(data: bytes, at: int, seen: list[Any], depth: int) -> tuple[Any, int]:
        raw, at = read(data, at, seen, depth)
        return make(raw), at

    return reader


_SHARED = frozenset(b"DlmSqaf")
_READERS: dict[int, _Reader] = {
    ord("N"): lambda _, at, __, ___: (None, at),
    ord("T"): lambda _, at, __, ___: (True, at),
    ord("F"): lambda _, at, __, ___: (False, at),
    ord("i"): lambda data, at, _, __: (_INT.unpack_from(data, at)[0], at + 8),
    ord("I"): _then(int, _read_bytes),
    ord("J"): _then(lambda raw: int.from_bytes(raw, "little", signed=True), _read_bytes),
    ord("d"): lambda data, at, _, __: (_DOUBLE.unpack_from(data, at)[0], at + 8),
    ord("s"): _then(lambda raw: raw.decode("utf-8", "surrogatepass"), _read_bytes),
    ord("b"): _read_bytes,
    ord("D"): _read_doubles,
    ord("l"): _read_items,
    ord("t"): _then(tuple, _read_items),
    ord("S"): _read_set,
    ord("m"): _read_dict,
    ord("q"): _read_deque,
    ord("a"): _read_array,
    ord("f"): lambda data, at, seen, depth: _read_array(data, at, seen, depth, "F"),
    ord("g"): _read_scalar,
    ord("@"): _read_seen,
}
