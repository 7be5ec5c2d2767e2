"""Finds the ends of Avro values in bytes that come in pieces. Each byte is read once, however small the pieces."""

from __future__ import annotations

import json
from typing import Any

from stream_scorer.codec.avro import AvroCodec
from stream_scorer.codec.control_records import AVRO_SCHEMA, begins_control, may_begin_control, read_avro_control
from stream_scorer.codec.schema import Schema

_MOST_DEPTH = 1 << 16
"""Types within each other: many more than can be decoded. A value that is too deep for the decoder but not for this is
one bad record, and the stream goes on."""
_SIZES = {"null": 0, "boolean": 1, "float": 4, "double": 8}


class _Type:
    """One type, reduced to what tells its end.

    kind: "fixed", "long", "bytes", "union", "record" or "array". A map is an array of pairs.
    inner: types within. size: of "fixed", in bytes.
    """

    __slots__ = ("inner", "kind", "size")

    def __init__(self, kind: str, *inner: _Type, size: int = 0) -> None:
        self.kind, self.inner, self.size = kind, list(inner), size


_LONG, _BYTES = _Type("long"), _Type("bytes")


def _compiled(schema: Any, named: dict[str, _Type]) -> _Type:
    """`schema` is canonical: names are full names."""
    if isinstance(schema, list):
        return _Type("union", *(_compiled(branch, named) for branch in schema))
    kind = schema["type"] if isinstance(schema, dict) else schema
    if isinstance(kind, dict | list):
        return _compiled(kind, named)
    if kind in _SIZES:
        return _Type("fixed", size=_SIZES[kind])
    if kind in ("int", "long"):
        return _LONG
    if kind in ("bytes", "string"):
        return _BYTES
    if kind == "array":
        return _Type("array", _compiled(schema["items"], named))
    if kind == "map":
        return _Type("array", _Type("record", _BYTES, _compiled(schema["values"], named)))
    if kind == "enum":
        return named.setdefault(schema["name"], _LONG)
    if kind == "fixed":
        return named.setdefault(schema["name"], _Type("fixed", size=schema["size"]))
    if kind not in ("record", "error"):
        return named[kind]
    node = named[schema["name"]] = _Type("record")
    node.inner = [_compiled(one["type"], named) for one in schema["fields"]]
    return node


_CONTROL = _compiled(AVRO_SCHEMA, {})
_LONGEST_HEAD = b"\x1c$fastscore.end"


class _Walk:
    """The walk through one value. Call `go` whenever more bytes have come.

    at: how many bytes of the value were read; more than there are if it skips bytes that have not come yet.
    """

    def __init__(self, root: _Type) -> None:
        # Open types, the innermost last: type, how many more values of it, and the next field of a record.
        self._open: list[list[Any]] = [[root, 1, 0]]
        self.at = 0

    def go(self, data: bytearray, start: int) -> bool:
        """Whether all bytes of the value that begins at `start` are there. Raises ValueError: no value begins so."""
        while self._open and start + self.at <= len(data):
            frame = self._open[-1]
            node, left, field = frame
            if not left:
                self._open.pop()
            elif node.kind == "fixed":
                self.at += left * node.size
                self._open.pop()
            elif node.kind == "record":
                self._next_field(frame, field)
            elif not self._number(frame, data, start):
                return False
            if len(self._open) > _MOST_DEPTH:
                raise ValueError(f"values nested more than {_MOST_DEPTH:,} deep")
        return not self._open and start + self.at <= len(data)

    def _next_field(self, frame: list[Any], field: int) -> None:
        fields = frame[0].inner
        if field == len(fields):
            if not fields:
                frame[1] = 0  # a record without fields has no bytes, and there may be 2^60 of them
            frame[1] -= bool(fields)
            frame[2] = 0
        else:
            frame[2] += 1
            self._open.append([fields[field], 1, 0])

    def _number(self, frame: list[Any], data: bytearray, start: int) -> bool:
        """Reads a type that begins with a number; False if not all bytes of the number are there yet."""
        found = _long(data, start + self.at)
        if found is None:
            return False
        number, end = found
        kind, inner = frame[0].kind, frame[0].inner
        if kind == "array" and number < 0:
            size = _long(data, end)
            if size is None:
                return False
            end = size[1]
        self.at = end - start
        if kind == "array" and number:
            self._open.append([inner[0], abs(number), 0])
            return True
        frame[1] -= 1
        if kind == "bytes":
            if number < 0:
                raise ValueError(f"a length of {number}")
            self.at += number
        elif kind == "union":
            if not 0 <= number < len(inner):
                raise ValueError(f"branch {number} of a union of {len(inner)}")
            self._open.append([inner[number], 1, 0])
        return True


def _long(data: bytearray, at: int) -> tuple[int, int] | None:
    """None if its end is not there yet.

    Unlike the decoder's `read_long` it takes a number of 10 bytes and more than 64 bits: its end is known, so it costs
    one record and not the stream.
    """
    shift = number = 0
    for place in range(at, min(at + 10, len(data))):
        byte = data[place]
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return (number >> 1) ^ -(number & 1), place + 1
        shift += 7
    if shift >= 70:
        raise ValueError("a number of more than 10 bytes")
    return None


class AvroEnds:
    """The `Ends` of a stream of Avro values and control records."""

    def __init__(self, schema: Schema) -> None:
        self._read = AvroCodec(schema).ends
        self._root = _compiled(json.loads(schema.canonical), {})
        self._walk: _Walk | None = None  # through the value whose end has not come
        self._is_control = False
        self._sure = True  # there were enough bytes to tell whether that value is a control record

    def reset(self) -> None:
        self._walk, self._sure = None, True

    def whole(self, data: bytes) -> tuple[list[int], bool]:
        """As `more`, for bytes that begin with a value and are complete."""
        self.reset()
        return self.more(bytearray(data), last=True)

    def more(self, data: bytearray, last: bool) -> tuple[list[int], bool]:
        """The ends of values in `data`, and whether what follows can never be read.

        A value that has an end but cannot be decoded counts too: it is one bad record between good ones.

        Args:
            data: all bytes after the last end that was returned.
            last: no more bytes will come, so what looks like the beginning of a control record is a value.
        """
        ends: list[int] = []
        at = 0
        fast = self._sure
        if not fast:
            self._walk = None
        try:
            while at < len(data):
                if self._walk is None and fast:
                    # Most values are complete and good, and the decoder finds the ends of those faster.
                    fast = False
                    ends += [at + end for end in self._read(bytes(data[at:] if at else data), last)[0]]
                    at = ends[-1] if ends else 0
                elif not (self._walk or self._begin(data, at, last)) or not self._arrive(data, at, last):
                    break
                else:
                    assert self._walk is not None
                    at += self._walk.at
                    ends.append(at)
                    self.reset()
        except ValueError:
            self.reset()
            return ends, True
        return ends, False

    def _begin(self, data: bytearray, at: int, last: bool) -> bool:
        """Begins a value; False while it is open whether it is a control record."""
        head = bytes(data[at : at + len(_LONGEST_HEAD)])
        self._is_control, self._sure = begins_control(head, 0), len(head) == len(_LONGEST_HEAD)
        if not self._is_control and not last and may_begin_control(head, 0):
            return False
        self._walk = _Walk(_CONTROL if self._is_control else self._root)
        return True

    def _arrive(self, data: bytearray, at: int, last: bool) -> bool:
        """Whether all bytes of the value are there. What turns out not to be a control record is read again as a value."""
        assert self._walk is not None
        try:
            there = self._walk.go(data, at)
        except ValueError:
            if not self._is_control:
                raise
            there = last = True
        if self._is_control and (there or last):
            found = read_avro_control(bytes(data[at : at + self._walk.at])) if there else None
            if found is None or found[1] != self._walk.at:
                self._is_control, self._walk = False, _Walk(self._root)
                return self._arrive(data, at, last)
        if there and not self._walk.at:
            raise ValueError("a value of no bytes")
        return there
