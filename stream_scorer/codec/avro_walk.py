"""Walks through the bytes of Avro values without making the values: where they end, how many they are, how deep they nest.

Why the decoder (`avro_reader`) has a walk of its own: it calls itself for each part of a value, which is the fastest way to
make values in Python. This walk keeps its place in a list instead, so it can stop at any byte and go on when more have come,
and no value can be too deep for it.
"""

from __future__ import annotations

import math
from typing import Any

_SIZES = {"null": 0, "boolean": 1, "float": 4, "double": 8}


class AvroType:
    """One type, reduced to what its bytes look like.

    kind: "fixed", "long", "bytes", "union", "record" or "array". An enum is a long, a map an array of records.
    size: bytes of a "fixed".
    inner: types within; of a record only those that have bytes.
    level: 1 if its parts are one level deeper than itself, else 0.
    hollow: whether its values never have bytes. A few bytes can claim 2^60 of those, so they are counted, not visited.
    values, depth: number of values in one value of the type, itself and hollow parts included, and how deep those nest.
    """

    __slots__ = ("depth", "hollow", "inner", "kind", "level", "size", "values")

    def __init__(self, kind: str, *inner: AvroType, size: int = 0, level: int = 0) -> None:
        self.kind, self.inner, self.size, self.level = kind, list(inner), size, level
        self.hollow = kind == "fixed" and size == 0
        self.values, self.depth = 1, level

    def set_fields(self, fields: list[AvroType]) -> AvroType:
        """Makes it a record of these fields."""
        hollow = [field for field in fields if field.hollow]
        self.inner = [field for field in fields if not field.hollow]
        self.values = 1 + sum(field.values for field in hollow)
        self.depth = self.level + max((field.depth for field in hollow), default=0)
        self.hollow = not self.inner
        return self


def avro_type(schema: Any, named: dict[str, AvroType] | None = None) -> AvroType:
    """Of a schema that fastavro parsed. `named`: the named types so far."""
    named = {} if named is None else named
    if isinstance(schema, list):
        return AvroType("union", *(avro_type(branch, named) for branch in schema))
    kind = schema["type"] if isinstance(schema, dict) else schema
    if isinstance(kind, dict | list):
        return avro_type(kind, named)
    if kind in _SIZES:
        return AvroType("fixed", size=_SIZES[kind])
    if kind in ("int", "long"):
        return AvroType("long")
    if kind in ("bytes", "string"):
        return AvroType("bytes")
    if kind == "array":
        return AvroType("array", avro_type(schema["items"], named), level=1)
    if kind == "map":
        pair = AvroType("record").set_fields([AvroType("bytes"), avro_type(schema["values"], named)])
        return AvroType("array", pair, level=1)
    if kind in ("enum", "fixed"):
        node = AvroType("long") if kind == "enum" else AvroType("fixed", size=schema["size"])
        return named.setdefault(schema["name"], node)
    if kind not in ("record", "error"):
        return named[kind]
    node = named[schema["name"]] = AvroType("record", level=1)  # before its fields, as a record may contain itself
    return node.set_fields([avro_type(field["type"], named) for field in schema["fields"]])


class AvroWalk:
    """The walk through one value.

    Args:
        max_depth: records, arrays and maps within each other.
        max_values: in the whole value.
    """

    def __init__(self, root: AvroType, max_depth: int, max_values: float = math.inf) -> None:
        self._todo = [(root, 1, 0)]  # what is still to be read, the next one last: type, how many of it, depth
        self._max_depth, self._max_values = max_depth, max_values
        self._values = 0
        self.at = 0
        """Bytes of the value that were read. More than have come, if it skips bytes that have not."""

    def go(self, data: bytes | bytearray, start: int) -> bool:
        """Goes on with the value that begins at `start`. Returns whether all its bytes are there.

        Call it again with more bytes if not. Raises ValueError: no value begins so, or it is beyond the limits.
        """
        todo, at, there = self._todo, start + self.at, len(data)
        values, max_values, max_depth = self._values, self._max_values, self._max_depth
        while todo and at <= there:
            node, count, depth = part = todo.pop()
            if not node.hollow:
                try:
                    at = self._step(node, count, depth, data, at)
                except IndexError:
                    todo.append(part)
                    break
                if at > there:
                    break
                if node.kind != "fixed":
                    count = 1
            values += node.values * count
            if values > max_values:
                raise ValueError(f"{there} bytes claim to hold more values than they can: more than {max_values:,}")
            if depth + node.depth > max_depth:
                raise ValueError(f"a value nested more than {max_depth:,} deep")
        self.at, self._values = at - start, values
        return not todo and at <= there

    def _step(self, node: AvroType, count: int, depth: int, data: bytes | bytearray, at: int) -> int:
        """Past what one value says of itself, or past all `count` of a fixed size. What is left to read goes onto `todo`."""
        kind, todo = node.kind, self._todo
        if kind == "fixed":
            return at + count * node.size
        number = 0
        if kind != "record":
            number, at = _long(data, at)
            if kind == "array" and number < 0:
                number, at = -number, _long(data, at)[1]  # the size of the block in bytes comes first
        if count > 1:
            todo.append((node, count - 1, depth))
        if kind == "record":
            depth += node.level
            todo += [(field, 1, depth) for field in reversed(node.inner)]
        elif kind == "array":
            if number:
                todo += ((node, 1, depth), (node.inner[0], number, depth + 1))
        elif kind == "union":
            if not 0 <= number < len(node.inner):
                raise ValueError(f"branch {number} of a union of {len(node.inner)}")
            todo.append((node.inner[number], 1, depth))
        elif kind == "bytes":
            if number < 0:
                raise ValueError(f"a length of {number}")
            at += number
        return at


def _long(data: bytes | bytearray, at: int) -> tuple[int, int]:
    """A number, and the offset behind it. Raises IndexError: its end is not there.

    Unlike the decoder it takes a number of 10 bytes and more than 64 bits: that has an end, so it costs one record and not
    the rest of a stream.
    """
    number = data[at]
    if number < 0x80:
        return (number >> 1) ^ -(number & 1), at + 1
    number &= 0x7F
    for shift in range(7, 70, 7):
        at += 1
        byte = data[at]
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return (number >> 1) ^ -(number & 1), at + 1
    raise ValueError("a number of more than 10 bytes")
