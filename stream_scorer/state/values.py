"""State values <-> bytes, exactly: loading restores the same types and the same bits. No pickle.

One tag byte per value, then its content. Lengths are unsigned 32-bit, all numbers are little-endian:

    N None · T True · F False · i int64 · J big int (two's complement) · d double · s str · b bytes
    I big int as decimal text: written by versions without J
    D list of doubles · l list · t tuple · S set · m dict (key, value pairs in order) · q deque (maxlen or -1, items)
    a numpy array (dtype, shape, C-order bytes) · f the same in Fortran's order · g numpy scalar (dtype, bytes)
    c Counter (as m) · h defaultdict (name of its factory, as m) · x a value of `kinds` (name of its type, plain value)
    @ the same object as an earlier one, by its number: lists, dicts, sets, deques and arrays count from 0 as they end

`D` exists because the state of a window model is a list of floats, which is packed in one call. `@` exists because two
names of one list must stay two names of one list: what is appended to one is then in the other, too.

Bytes that are loaded come from a topic, so anyone may have written them. `load` makes objects of these types only, nests no
deeper than MAX_DEPTH, and checks every size against the bytes that are there before it takes memory.
"""

from __future__ import annotations

import struct
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from stream_scorer.state import arrays, kinds
from stream_scorer.state.reading import DOUBLE, INT, LENGTH, MAX_DEPTH, load

__all__ = ["MAX_DEPTH", "Unsupported", "dump", "load"]

_FLOATS = {float}


class Unsupported(TypeError):
    """A value that cannot be saved exactly. The text names its type."""


def dump(values: Iterable[Any]) -> bytes:
    """The bytes of the values, one after the other. Raises Unsupported, and nothing else."""
    out: list[bytes] = []
    seen: dict[int, int] = {}
    try:
        for value in values:
            _write(value, out, 0, seen)
    except Unsupported:
        raise
    except (
        Exception
    ) as error:  # objects of the model's own classes run its code, even when only their type is looked at
        raise Unsupported(f"a value that is too large, or whose own code raises {type(error).__name__}") from error
    return b"".join(out)


def _write(value: Any, out: list[bytes], depth: int, seen: dict[int, int]) -> None:
    kind = type(value)
    if kind is float:
        out += (b"d", DOUBLE.pack(value))
    elif value is None or kind is bool:
        out.append(b"N" if value is None else b"T" if value else b"F")
    elif kind is int:
        if -(2**63) <= value < 2**63:
            out += (b"i", INT.pack(value))
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
            out += (b"@", LENGTH.pack(number))
        else:
            _WRITERS[kind](value, out, depth, seen)
            seen[id(value)] = len(seen)
    elif isinstance(value, np.generic) and arrays.is_kept(value):
        _write_bytes(b"g", value.dtype.str.encode(), out)
        _write_bytes(b"b", value.tobytes(), out)
    elif (plain := kinds.plain_of(value)) is not None:
        _write_bytes(b"x", plain[0], out)
        _write_items_of(depth, out, seen, [plain[1]])
    else:
        raise Unsupported(f"a value of type {kind.__module__}.{kind.__qualname__}")


def _write_list(value: list[Any], out: list[bytes], depth: int, seen: dict[int, int]) -> None:
    if value and set(map(type, value)) == _FLOATS:
        out += (b"D", LENGTH.pack(len(value)), struct.pack(f"<{len(value)}d", *value))
    else:
        _write_items(b"l", value, out, depth, seen)


def _write_dict(value: dict[Any, Any], out: list[bytes], depth: int, seen: dict[int, int]) -> None:
    if type(value) is defaultdict:
        if value.default_factory not in kinds.FACTORIES:
            raise Unsupported("a value of type collections.defaultdict whose factory is a function")
        _write_bytes(b"h", kinds.FACTORIES[value.default_factory], out)
    out += (b"c" if type(value) is Counter else b"m", LENGTH.pack(len(value)))
    for key, item in value.items():
        _write_items_of(depth, out, seen, (key, item))


def _write_set(value: set[Any], out: list[bytes], depth: int, _: dict[int, int]) -> None:
    # Sorted by content, so that equal states are equal bytes: the order of a set depends on the hash seed of the process.
    items = []
    for item in value:
        written: list[bytes] = []
        _write_items_of(depth, written, {}, [item])
        items.append(b"".join(written))
    out += (b"S", LENGTH.pack(len(items)), *sorted(items))


def _write_deque(value: deque[Any], out: list[bytes], depth: int, seen: dict[int, int]) -> None:
    out += (b"q", INT.pack(-1 if value.maxlen is None else value.maxlen))
    _write_items(b"l", value, out, depth, seen)


def _write_array(value: Any, out: list[bytes], depth: int, seen: dict[int, int]) -> None:
    # The order of the array is kept, because sums may depend on it in the last bit.
    columns = value.flags.f_contiguous and not value.flags.c_contiguous
    _write_bytes(b"f" if columns else b"a", value.dtype.str.encode(), out)
    _write_items(b"t", value.shape, out, depth, seen)
    _write_bytes(b"b", value.tobytes("A" if columns else "C"), out)


_WRITERS: dict[type, Callable[[Any, list[bytes], int, dict[int, int]], None]] = {
    list: _write_list,
    dict: _write_dict,
    Counter: _write_dict,
    defaultdict: _write_dict,
    set: _write_set,
    deque: _write_deque,
    np.ndarray: _write_array,
}


def _write_bytes(tag: bytes, data: bytes, out: list[bytes]) -> None:
    out += (tag, LENGTH.pack(len(data)), data)


def _write_items(tag: bytes, items: Any, out: list[bytes], depth: int, seen: dict[int, int]) -> None:
    out += (tag, LENGTH.pack(len(items)))
    _write_items_of(depth, out, seen, items)


def _write_items_of(depth: int, out: list[bytes], seen: dict[int, int], items: Iterable[Any]) -> None:
    if depth == MAX_DEPTH:
        raise Unsupported(f"a value nested more than {MAX_DEPTH} deep, or one that contains itself")
    for item in items:
        _write(item, out, depth + 1, seen)
