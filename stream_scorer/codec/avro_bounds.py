"""Limits for Avro values, checked before decoding where a schema lets a few bytes become a very large value.

Two kinds of schema need it. One contains itself: a list of 5,000 links fits in 10 kB, and the decoder calls itself for
each link. The other has an array of values that take no bytes (nulls, records without fields): 10 bytes can claim 2^60
of them. For all other schemas there is no check and no cost: the number of bytes limits the value.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from stream_scorer.codec.avro_walk import AvroType, AvroWalk, avro_type

MAX_DEPTH = 256
"""Records, arrays and maps within each other."""
MAX_VALUES = 1 << 14
PER_BYTE = 4
"""A record of n bytes may hold MAX_VALUES + n * PER_BYTE values."""
Guard = Callable[[bytes, int], None]


class _Extent(NamedTuple):
    """Of the largest value of a type. excess: the number of its values above PER_BYTE for each of its bytes."""

    excess: int
    depth: int


def guard_of(schema: Any) -> Guard | None:
    """`guard(data, at)` of a schema that fastavro parsed, or None if it needs none.

    The guard raises ValueError if the value that begins at `at` is nested too deeply, or claims to hold more values
    than its bytes allow. If the bytes end too early, it returns: the decoder reports that.
    """
    root = avro_type(schema)
    if not _Extents().unbounded(root):
        return None

    def guard(data: bytes, at: int) -> None:
        AvroWalk(root, MAX_DEPTH, MAX_VALUES + PER_BYTE * (len(data) - at)).go(data, at)

    return guard


class _Extents:
    """The largest extents of the types of one schema. Each type is looked at once."""

    def __init__(self) -> None:
        self._known: dict[AvroType, _Extent] = {}
        self._under_way: set[AvroType] = set()
        self._unbounded = False  # a type was found whose values have no largest one

    def unbounded(self, root: AvroType) -> bool:
        """Whether a value may be larger than the limits allow for its bytes."""
        excess, depth = self._extent(root)
        return self._unbounded or excess > MAX_VALUES or depth > MAX_DEPTH

    def _extent(self, node: AvroType) -> _Extent:
        if node in self._known:
            return self._known[node]
        if node in self._under_way:
            self._unbounded = True  # it contains itself
            return _Extent(0, 0)
        self._under_way.add(node)
        inner = [self._extent(part) for part in node.inner]
        self._under_way.remove(node)
        excess = 1 - PER_BYTE * (node.size if node.kind == "fixed" else 1)
        if node.kind == "record":
            excess = node.values + sum(part.excess for part in inner)
        elif node.kind == "union":
            excess += max((part.excess for part in inner), default=0)
        elif node.kind == "array":
            self._unbounded |= inner[0].excess > 0
        depth = max((part.depth + node.level for part in inner), default=0)
        self._known[node] = _Extent(excess, max(depth, node.depth))
        return self._known[node]
