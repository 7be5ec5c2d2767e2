"""Bounds for Avro values: checked before decoding, where a schema lets a few bytes become a very large value.

Two kinds of schema need it. One contains itself: a list of 5,000 links fits in 10 kB, and the reader calls itself for
each link. The other has an array of values that take no bytes (nulls, records without fields): 10 bytes can claim 2^60
of them. For all other schemas there is no check and no cost: the number of bytes bounds the value.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from stream_scorer.codec.avro_reader import CUT, read_long

MAX_DEPTH = 256
"""Records, arrays and maps within each other."""
MAX_VALUES = 1 << 14
PER_BYTE = 4
"""A record of n bytes may hold MAX_VALUES + n * PER_BYTE values."""
Guard = Callable[[bytes, int], None]
_SIZES = {"null": 0, "boolean": 1, "float": 4, "double": 8}


class _Node:
    """One type.

    kind: "skip", "long", "bytes", "union", "record", "array" or "map".
    size: bytes to skip.
    inner: types within; of a record only those that have bytes.
    hollow: whether its values never have bytes. Those are counted, not looked at: there may be 2^60.
    values, depth: how many a value is with all that is hollow in it, and how deep that goes.
    """

    __slots__ = ("depth", "hollow", "inner", "kind", "size", "values")

    def __init__(self, kind: str, size: int = 0) -> None:
        self.kind, self.size = kind, size
        self.inner: list[_Node] = []
        self.hollow = kind == "skip" and size == 0
        self.values, self.depth = 1, 0

    def take_in(self) -> None:
        """Of a record: what is hollow in it."""
        within = [one for one in self.inner if one.hollow]
        self.inner = [one for one in self.inner if not one.hollow]
        self.values = 1 + sum(one.values for one in within)
        self.depth = 1 + max((one.depth for one in within), default=0)
        self.hollow = not self.inner


class _Most(NamedTuple):
    """Of all values of a type. excess: the most that their number is above PER_BYTE for each of their bytes."""

    excess: int
    depth: int


def guard_of(schema: Any) -> Guard | None:
    """`guard(data, at)` of a schema that fastavro parsed, or None if it needs none.

    The guard raises ValueError if the value that begins at `at` is nested too deeply, or claims to hold more values
    than its bytes allow. If the bytes end too early, it returns: the reader reports that.
    """
    root = _compiled(schema, {})
    if not _Judge().needs_guard(root):
        return None
    return lambda data, at: _walk(root, data, at)


def _compiled(schema: Any, named: dict[str, _Node]) -> _Node:
    if isinstance(schema, list):
        node = _Node("union")
        node.inner = [_compiled(branch, named) for branch in schema]
        return node
    kind = schema["type"] if isinstance(schema, dict) else schema
    if isinstance(kind, dict | list):
        return _compiled(kind, named)
    if kind in _SIZES:
        return _Node("skip", _SIZES[kind])
    if kind in ("int", "long"):
        return _Node("long")
    if kind in ("bytes", "string"):
        return _Node("bytes")
    if kind in ("array", "map"):
        node = _Node(kind)
        node.depth = 1
        node.inner = [_compiled(schema["items" if kind == "array" else "values"], named)]
        return node
    if kind not in ("record", "error", "enum", "fixed"):
        return named[kind]
    if kind in ("enum", "fixed"):
        node = named[schema["name"]] = _Node("long") if kind == "enum" else _Node("skip", schema["size"])
        return node
    node = named[schema["name"]] = _Node("record")
    node.inner = [_compiled(field["type"], named) for field in schema["fields"]]
    return node


class _Judge:
    """One look at the types of a schema, each seen once."""

    def __init__(self) -> None:
        self._known: dict[_Node, _Most] = {}
        self._under_way: set[_Node] = set()
        self._found = False

    def needs_guard(self, root: _Node) -> bool:
        excess, depth = self._most(root)
        return self._found or excess > MAX_VALUES or depth > MAX_DEPTH

    def _most(self, node: _Node) -> _Most:
        if node in self._known:
            return self._known[node]
        if node in self._under_way:
            self._found = True  # it contains itself
            return _Most(0, 0)
        self._under_way.add(node)
        inner = [self._most(one) for one in node.inner]
        self._under_way.remove(node)
        depth = max((one.depth for one in inner), default=0) + (node.kind in ("record", "array", "map"))
        excess = 1 - PER_BYTE * (node.size if node.kind == "skip" else 1)
        if node.kind == "record":
            excess = 1 + sum(one.excess for one in inner)
            node.take_in()
        elif node.kind == "union":
            excess += max((one.excess for one in inner), default=0)
        elif node.kind in ("array", "map"):
            # Of a map there are pairs, whose keys have a byte at least.
            self._found |= inner[0].excess > (PER_BYTE - 2 if node.kind == "map" else 0)
        self._known[node] = _Most(excess, depth)
        return self._known[node]


def _walk(root: _Node, data: bytes, at: int) -> None:
    left = most = MAX_VALUES + PER_BYTE * (len(data) - at)
    todo = [(root, 1, 0)]  # what is still to be read, the last first: type, how many of it, depth
    try:
        while todo:
            node, count, depth = todo.pop()
            if count > 1 and not node.hollow:
                todo.append((node, count - 1, depth))
            left -= node.values * (count if node.hollow else 1)
            if left < 0:
                raise ValueError(f"{len(data)} bytes claim to hold more values than they can: more than {most:,}")
            _check_depth(depth + node.depth)
            if not node.hollow:
                at = _step(node, data, at, depth, todo)
            if at > len(data):
                return
    except CUT:
        return


def _step(node: _Node, data: bytes, at: int, depth: int, todo: list[tuple[_Node, int, int]]) -> int:
    """Past what one type says of itself; what is within it goes onto `todo`."""
    kind = node.kind
    if kind == "skip":
        return at + node.size
    if kind == "record":
        todo.extend((field, 1, depth + 1) for field in reversed(node.inner))
        return at
    number, at = read_long(data, at)
    if kind == "bytes":
        return at + _size(number)
    if kind == "union":
        if not 0 <= number < len(node.inner):
            raise ValueError(f"branch {number} of a union of {len(node.inner)}")
        todo.append((node.inner[number], 1, depth))
    elif kind in ("array", "map") and number:
        if number < 0:
            at = read_long(data, at)[1]  # the size of the block in bytes
        todo += [(node, 1, depth), *_items(node, abs(number), depth + 1)]
    return at


def _items(node: _Node, count: int, depth: int) -> Iterator[tuple[_Node, int, int]]:
    if node.kind == "array":
        yield node.inner[0], count, depth
    else:
        pair = _Node("record")
        pair.inner = [_Node("bytes"), node.inner[0]]
        pair.take_in()
        yield pair, count, depth - 1


def _check_depth(depth: int) -> None:
    if depth > MAX_DEPTH:
        raise ValueError(f"a value nested more than {MAX_DEPTH} deep")


def _size(number: int) -> int:
    if number < 0:
        raise ValueError(f"a length of {number}")
    return number
