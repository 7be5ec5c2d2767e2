"""Finds the ends of Avro values in bytes that come in pieces. Each byte is read once, however small the pieces."""

from __future__ import annotations

from stream_scorer.codec.avro import AvroCodec
from stream_scorer.codec.avro_walk import AvroWalk, avro_type
from stream_scorer.codec.control_records import AVRO_SCHEMA, begins_control, may_begin_control, read_avro_control
from stream_scorer.codec.schema import Schema

_MAX_DEPTH = 1 << 16
"""Far deeper than what can be decoded. A value that is too deep for the decoder but not for this is one bad record, and the
stream goes on."""
_CONTROL = avro_type(AVRO_SCHEMA)
_LONGEST_HEAD = b"\x1c$fastscore.end"


class AvroEnds:
    """The `Ends` of a stream of Avro values and control records."""

    def __init__(self, schema: Schema) -> None:
        self._read = AvroCodec(schema).ends
        self._root = avro_type(schema.parsed)
        self._walk: AvroWalk | None = None  # through the value whose end has not come
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
        self._walk = AvroWalk(_CONTROL if self._is_control else self._root, _MAX_DEPTH)
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
                self._is_control, self._walk = False, AvroWalk(self._root, _MAX_DEPTH)
                return self._arrive(data, at, last)
        if there and not self._walk.at:
            raise ValueError("a value of no bytes")
        return there
