"""Finds the boundaries of Avro values in bytes that come in pieces. Each byte is read once, however small the pieces."""

from __future__ import annotations

from stream_scorer.codec.avro import AvroCodec
from stream_scorer.codec.avro_walk import AvroWalk, avro_type
from stream_scorer.codec.control_records import AVRO_SCHEMA, begins_control, may_begin_control, read_avro_control
from stream_scorer.codec.schema import Schema

_MAX_DEPTH = 1 << 16
"""Limit of nested types, far above the decoder's. A value that is too deep for the decoder only is one bad record, and
the stream goes on."""
_CONTROL = avro_type(AVRO_SCHEMA)
_LONGEST_HEAD = b"\x1c$fastscore.end"


class AvroBoundaries:
    """The `Boundaries` of a stream of Avro values and control records."""

    def __init__(self, schema: Schema) -> None:
        self._read = AvroCodec(schema).ends
        self._root = avro_type(schema.parsed)
        self._walk: AvroWalk | None = None  # through the value that is not complete
        self._is_control = False
        self._sure = True  # whether enough bytes had come to tell whether that value is a control record

    def reset(self) -> None:
        self._walk, self._sure = None, True

    def find_all(self, data: bytes) -> tuple[list[int], bool]:
        """As `find`, for complete bytes that begin with a value."""
        self.reset()
        return self.find(bytearray(data), last=True)

    def find(self, data: bytearray, last: bool) -> tuple[list[int], bool]:
        """Return the offset behind each value in `data`, and whether what follows can never be read.

        A value whose boundary is known but that cannot be decoded counts too: it is one bad record between good ones.

        Args:
            data: all bytes after the last boundary that was returned.
            last: no more bytes will come, so what looks like the beginning of a control record is a value.
        """
        boundaries: list[int] = []
        at = 0
        fast = self._sure
        if not fast:
            self._walk = None
        try:
            while at < len(data):
                if self._walk is None and fast:
                    # Most values are complete and good, and the decoder finds their boundaries faster.
                    fast = False
                    boundaries += [at + size for size in self._read(bytes(data[at:] if at else data), last)[0]]
                    at = boundaries[-1] if boundaries else 0
                elif not (self._walk or self._begin(data, at, last)) or not self._complete(data, at, last):
                    break
                else:
                    assert self._walk is not None
                    at += self._walk.at
                    boundaries.append(at)
                    self.reset()
        except ValueError:
            self.reset()
            return boundaries, True
        return boundaries, False

    def _begin(self, data: bytearray, at: int, last: bool) -> bool:
        """Begin a value. Return False while it is not clear whether it is a control record."""
        head = bytes(data[at : at + len(_LONGEST_HEAD)])
        self._is_control, self._sure = begins_control(head, 0), len(head) == len(_LONGEST_HEAD)
        if not self._is_control and not last and may_begin_control(head, 0):
            return False
        self._walk = AvroWalk(_CONTROL if self._is_control else self._root, _MAX_DEPTH)
        return True

    def _complete(self, data: bytearray, at: int, last: bool) -> bool:
        """Whether all bytes of the value have come. What turns out not to be a control record is read again as a value."""
        assert self._walk is not None
        try:
            complete = self._walk.go(data, at)
        except ValueError:
            if not self._is_control:
                raise
            complete = last = True
        if self._is_control and (complete or last):
            control = read_avro_control(bytes(data[at : at + self._walk.at])) if complete else None
            if control is None or control[1] != self._walk.at:
                self._is_control, self._walk = False, AvroWalk(self._root, _MAX_DEPTH)
                return self._complete(data, at, last)
        if complete and not self._walk.at:
            raise ValueError("a value of no bytes")
        return complete
