"""Inputs for decoders: valid encodings with something done to them. All from one seeded generator."""

from __future__ import annotations

import json
import random
import struct
from collections.abc import Callable, Sequence
from typing import Any

from stream_scorer.codec.avro_long import avro_long

MOST = 1 << 16
"""Bytes of an input."""
_EXTREMES = (0, 1, -1, 127, 128, 255, 256, 2**15, 2**16, 2**24, 2**31 - 1, -(2**31), 2**32 - 1, 2**40, 2**62, -(2**63))


def mutated(rng: random.Random, seeds: Sequence[bytes]) -> bytes:
    """One of the seeds, changed in one to four ways."""
    data = rng.choice(seeds)
    for _ in range(rng.choice((1, 1, 1, 2, 2, 3, 4))):
        data = rng.choice(_WAYS)(rng, data, seeds)[:MOST]
    return data


def mutated_json(rng: random.Random, seeds: Sequence[bytes]) -> bytes:
    """One of the seeds, which are JSON: a part of it replaced, removed, or put elsewhere; or its bytes changed."""
    if rng.random() < 0.2:
        return mutated(rng, seeds)
    value = json.loads(rng.choice(seeds))
    other = json.loads(rng.choice(seeds))
    for _ in range(rng.choice((1, 1, 2, 3))):
        value = _replaced(rng, value, other)
    return json.dumps(value).encode()[:MOST]


def _place(rng: random.Random, data: bytes) -> int:
    return rng.randrange(len(data) + 1)


def _flip(rng: random.Random, data: bytes, _: Sequence[bytes]) -> bytes:
    if not data:
        return b"\0"
    at = rng.randrange(len(data))
    return data[:at] + bytes((data[at] ^ 1 << rng.randrange(8),)) + data[at + 1 :]


def _set(rng: random.Random, data: bytes, _: Sequence[bytes]) -> bytes:
    at = _place(rng, data)
    return data[:at] + bytes((rng.randrange(256),)) + data[at + 1 :]


def _cut(rng: random.Random, data: bytes, _: Sequence[bytes]) -> bytes:
    at, to = sorted((_place(rng, data), _place(rng, data)))
    return data[:at] if rng.random() < 0.3 else data[:at] + data[to:]


def _insert(rng: random.Random, data: bytes, _: Sequence[bytes]) -> bytes:
    at = _place(rng, data)
    return data[:at] + rng.randbytes(rng.choice((1, 1, 2, 4, 8, 40))) + data[at:]


def _repeat(rng: random.Random, data: bytes, _: Sequence[bytes]) -> bytes:
    at = _place(rng, data)
    part = data[at : at + rng.choice((1, 1, 2, 3, 5, 8, 30))]
    return data[:at] + part * rng.choice((2, 3, 10, 300, 12_000 // (len(part) or 1))) + data[at:]


def _splice(rng: random.Random, data: bytes, seeds: Sequence[bytes]) -> bytes:
    other = rng.choice(seeds)
    at, to = _place(rng, other), _place(rng, data)
    return data[:to] + other[at : at + rng.randrange(1, 200)] + data[to + rng.choice((0, 1, 4, 8)) :]


def _length(rng: random.Random, data: bytes, _: Sequence[bytes]) -> bytes:
    """Extreme numbers in the forms that lengths have: u32 and i64 of states, Avro's own, decimal text."""
    number = rng.choice(_EXTREMES) + rng.choice((0, 0, 0, 1, -1))
    form = rng.randrange(5)
    if form == 0:
        new, gone = struct.pack("<I", number % 2**32), 4
    elif form == 1:
        new, gone = struct.pack("<Q", number % 2**64), 8
    elif form == 2:
        new, gone = struct.pack(">I", number % 2**32), 4
    elif form == 3:
        new, gone = avro_long(max(-(2**63), min(number, 2**63 - 1))), 1
    else:
        new, gone = str(number).encode(), 1
    at = _place(rng, data)
    return data[:at] + new + data[at + gone :]


_TOKENS = tuple(
    text.encode("utf-8", "surrogatepass")
    for text in (
        *"\0 \n \r\n \x85 \u2028 { } [ ] \" ' \\ , : . ; | % # $ # = - + / @".split(" "), "\\ud800", "\ud800", "²", "٣", "\u017f",
        "é", "\U0010ffff", "NaN", "Infinity", "-Infinity", "1e400", "9" * 400, "9" * 5000, "null", "true", "e", "\xff",
        " " * 4000, "[" * 3000, '{"a":' * 2000, "$all", "$ref", "unused", "in-use", "|O", "|O8", "<i4,<i4", "|V8", "<U9",
    )
)  # fmt: skip


def _token(rng: random.Random, data: bytes, _: Sequence[bytes]) -> bytes:
    at, token = _place(rng, data), rng.choice(_TOKENS)
    return data[:at] + token + data[at + rng.choice((0, 0, 1, len(token))) :]


_WAYS: tuple[Callable[[random.Random, bytes, Sequence[bytes]], bytes], ...] = (
    _flip, _flip, _set, _cut, _insert, _repeat, _splice, _length, _length, _token
)  # fmt: skip


_ODD = (
    None, True, False, 0, 1, -1, 2**31, 2**63, 2**64, 10**400, 1.5, float("nan"), float("inf"), 1e308, -0.0,
    "", "\0", "\ud800", "x" * 3000, "null", "int", "string", "a:1", "0", "²", "$inherit", "earliest", "json",
    [], [None], [[]], [1, "a"], {}, {"": None}, {"Type": None}, {"Type": []}, {"Type": "REST"}, {"type": {"type": []}},
    {"$ref": "node"}, {"$ref": 1}, {"$ref": "twice30"}, {"type": "record"}, {"type": "array", "items": "null"},
    ["null", "null"], [["null"]], {"__fastavro_parsed": True, "type": "x"},
)  # fmt: skip


def _odd(rng: random.Random) -> Any:
    if rng.random() < 0.95:
        return rng.choice(_ODD)
    deep = rng.choice(_ODD)
    key = rng.choice((None, "type", "items", "a"))
    for _ in range(rng.choice((3, 70, 300, 450))):
        deep = [deep] if key is None else {"type": "array", key: deep}
    return deep


def _replaced(rng: random.Random, value: Any, other: Any) -> Any:
    """The value with one part, at any depth, made another."""
    if isinstance(value, dict) and value and rng.random() < 0.8:
        key = rng.choice(list(value))
        changed = dict(value)
        way = rng.random()
        if way < 0.1:
            del changed[key]
        elif way < 0.2:
            changed[rng.choice(("Type", "type", "name", "fields", "items", "default", "Schema", "x"))] = changed[key]
        else:
            changed[key] = _replaced(rng, value[key], other)
        return changed
    if isinstance(value, list) and value and rng.random() < 0.8:
        at = rng.randrange(len(value))
        return [*value[:at], _replaced(rng, value[at], other), *value[at + 1 :]]
    return _part(rng, other) if rng.random() < 0.2 else _odd(rng)


def _part(rng: random.Random, value: Any) -> Any:
    while isinstance(value, dict | list) and value and rng.random() < 0.6:
        value = rng.choice(list(value.values()) if isinstance(value, dict) else value)
    return value
