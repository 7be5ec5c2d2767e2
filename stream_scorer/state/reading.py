"""Bytes of `values.dump` -> state values. The bytes come from a topic, so anyone may have written them."""

from __future__ import annotations

import struct
from collections import Counter, defaultdict, deque
from collections.abc import Callable
from typing import Any, Literal

from stream_scorer.state import arrays, kinds

LENGTH = struct.Struct("<I")
INT = struct.Struct("<q")
DOUBLE = struct.Struct("<d")
MAX_DEPTH = 64
_Reader = Callable[[bytes, int, list[Any], int], tuple[Any, int]]


def load(data: bytes) -> tuple[Any, ...]:
    """The values that `dump` was given, as new objects. Raises ValueError, and nothing else: `dump` did not write the bytes.

    Takes at most about 60 bytes of memory for each byte of `data`.
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
    ValueError, ArithmeticError, KeyError, struct.error, IndexError, TypeError, MemoryError, RecursionError, SystemError
)  # fmt: skip


def _read(data: bytes, at: int, seen: list[Any], depth: int) -> tuple[Any, int]:
    tag = data[at]
    value, at = _READERS[tag](data, at + 1, seen, depth)
    if tag in _SHARED:
        seen.append(value)
    return value, at


def _read_bytes(data: bytes, at: int, _: list[Any], __: int) -> tuple[bytes, int]:
    (length,) = LENGTH.unpack_from(data, at)
    end = at + 4 + length
    if end > len(data):
        raise ValueError(f"expected {length} bytes, found {len(data) - at - 4}")
    return data[at + 4 : end], end


def _count(data: bytes, at: int, depth: int) -> int:
    """The number of items, in the 4 bytes at `at`. It is checked: an item takes at least a byte."""
    (count,) = LENGTH.unpack_from(data, at)
    if depth == MAX_DEPTH:
        raise ValueError(f"nested more than {MAX_DEPTH} deep")
    if count > len(data) - at - 4:
        raise ValueError(f"expected {count} items, found {len(data) - at - 4} bytes")
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
    (count,) = LENGTH.unpack_from(data, at)
    end = at + 4 + 8 * count
    if end > len(data):
        raise ValueError(f"expected {count} doubles, found {len(data) - at - 4} bytes")
    return list(struct.unpack_from(f"<{count}d", data, at + 4)), end


def _read_dict(data: bytes, at: int, seen: list[Any], depth: int) -> tuple[dict[Any, Any], int]:
    count = _count(data, at, depth)
    at += 4
    items = {}
    for _ in range(count):
        key, at = _read(data, at, seen, depth + 1)
        items[key], at = _read(data, at, seen, depth + 1)
    return _distinct(items, count), at


def _read_set(data: bytes, at: int, seen: list[Any], depth: int) -> tuple[set[Any], int]:
    items, at = _read_items(data, at, seen, depth)
    return _distinct(set(items), len(items)), at


def _distinct(items: Any, count: int) -> Any:
    if len(items) != count:
        raise ValueError("a dict or a set with equal items")
    return items


def _read_deque(data: bytes, at: int, seen: list[Any], depth: int) -> tuple[deque[Any], int]:
    (maxlen,) = INT.unpack_from(data, at)
    # This list is not an object of the state, so it gets no number.
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
    """The offset behind the tag. Raises ValueError: another one is there."""
    if data[at] != tag[0]:
        raise ValueError(f"expected {tag!r}, found {data[at : at + 1]!r}")
    return at + 1


def _read_default(data: bytes, at: int, seen: list[Any], depth: int) -> tuple[Any, int]:
    name, at = _read_bytes(data, at, seen, depth)
    items, at = _read_dict(data, _after(b"m", data, at), seen, depth)
    return defaultdict(kinds.FACTORY_OF[name], items), at


def _read_kind(data: bytes, at: int, seen: list[Any], depth: int) -> tuple[Any, int]:
    name, at = _read_bytes(data, at, seen, depth)
    if depth == MAX_DEPTH:
        raise ValueError(f"nested more than {MAX_DEPTH} deep")
    plain, at = _read(data, at, seen, depth + 1)
    return kinds.value_of(name, plain), at


def _read_seen(data: bytes, at: int, seen: list[Any], _: int) -> tuple[Any, int]:
    return seen[LENGTH.unpack_from(data, at)[0]], at + 4


def _then(make: Callable[[Any], Any], read: _Reader) -> _Reader:
    def reader(data: bytes, at: int, seen: list[Any], depth: int) -> tuple[Any, int]:
        raw, at = read(data, at, seen, depth)
        return make(raw), at

    return reader


_SHARED = frozenset(b"DlmSqafch")
_READERS: dict[int, _Reader] = {
    ord("N"): lambda _, at, __, ___: (None, at),
    ord("T"): lambda _, at, __, ___: (True, at),
    ord("F"): lambda _, at, __, ___: (False, at),
    ord("i"): lambda data, at, _, __: (INT.unpack_from(data, at)[0], at + 8),
    ord("I"): _then(int, _read_bytes),
    ord("J"): _then(lambda raw: int.from_bytes(raw, "little", signed=True), _read_bytes),
    ord("d"): lambda data, at, _, __: (DOUBLE.unpack_from(data, at)[0], at + 8),
    ord("s"): _then(lambda raw: raw.decode("utf-8", "surrogatepass"), _read_bytes),
    ord("b"): _read_bytes,
    ord("D"): _read_doubles,
    ord("l"): _read_items,
    ord("t"): _then(tuple, _read_items),
    ord("S"): _read_set,
    ord("m"): _read_dict,
    ord("q"): _read_deque,
    ord("c"): _then(Counter, _read_dict),
    ord("h"): _read_default,
    ord("x"): _read_kind,
    ord("a"): _read_array,
    ord("f"): lambda data, at, seen, depth: _read_array(data, at, seen, depth, "F"),
    ord("g"): _read_scalar,
    ord("@"): _read_seen,
}
