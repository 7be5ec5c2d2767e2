"""Records in a stream of bytes: found as the bytes come, in whatever pieces, and framed on the way out. Section [f]."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgpack

MOST_RECORD = 256 << 20  # bytes; most of a value that tells its own end, as wrong bytes may claim any length
MOST_LINE = 64 << 20  # bytes; most that is kept while the separator has not come
_KEPT = 1000  # bytes; kept of what is longer, to show the reason


class Splitter(Protocol):
    """One pass over a stream."""

    header: bytes
    """The line of names before the records, once it has come; b"" where there is none."""

    def feed(self, data: bytes) -> list[bytes]:
        """The records that these bytes complete. Raises TransportError where no later record can be found."""

    def end(self) -> list[bytes]:
        """What is left at the end of the stream."""


class Framer(Protocol):
    def frame(self, records: Sequence[bytes]) -> bytes:
        """The bytes that stand for the records, with whatever belongs at the beginning of the stream first."""


class TooLong(bytes):
    """The beginning of a record that is too long to be kept, given in its place: it must be rejected.

    why: the reason, for logs and reject lines.
    """

    why = "it is too long."


def too_long(data: bytes | bytearray) -> TooLong:
    found = TooLong(data[:_KEPT])
    found.why = f"its end has not come within {len(data):,} bytes. Are Envelope and Encoding those of the stream?"
    return found


class Skipping:
    """Skips the rest of a record that is too long, up to its separator. `over`: nothing is being skipped."""

    def __init__(self, separator: bytes) -> None:
        self._separator = separator
        self.over = True

    def through(self, data: bytearray) -> bool:
        """Drops from `data` what is to be skipped; False while the separator has not come."""
        if not self.over:
            at = data.find(self._separator)
            self.over = at >= 0
            self._drop(data, at + len(self._separator) if self.over else len(data))
        return self.over

    def _drop(self, data: bytearray, end: int) -> None:
        del data[: end if self.over else max(end - len(self._separator) + 1, 0)]

    def cut_short(self, data: bytearray, most: int | None = None) -> list[bytes]:
        """If `data`, the beginning of a record, is too long: drops it, begins to skip, and returns its TooLong."""
        if len(data) <= (MOST_LINE if most is None else most):
            return []
        found: list[bytes] = [too_long(data)]
        self.over = False
        self._drop(data, len(data))
        return found


class Delimited:
    """Records with a separator after each. The last may lack it, and is none if it is empty.

    Args:
        blank: a blank line is a record, as in the encodings null and utf-8. In others it is not.
    """

    header = b""

    def __init__(self, separator: bytes, *, blank: bool) -> None:
        self._separator = separator
        self._blank = blank
        self._rest = bytearray()
        self._skipping = Skipping(separator)

    def feed(self, data: bytes) -> list[bytes]:
        # A long record comes in many pieces: search only where a separator may have been completed.
        behind = max(len(self._rest) - len(self._separator) + 1, 0)
        found = self._separator in self._rest[behind:] + data
        self._rest += data
        if not self._skipping.through(self._rest):
            return []
        if not found:
            return self._skipping.cut_short(self._rest)
        *records, rest = bytes(self._rest).split(self._separator)
        self._rest = bytearray(rest)
        return [one for one in records if self._blank or one.strip()] + self._skipping.cut_short(self._rest)

    def end(self) -> list[bytes]:
        rest, self._rest = bytes(self._rest) if self._skipping.over else b"", bytearray()
        self._skipping.over = True
        return [rest] if (rest if self._blank else rest.strip()) else []


class Fixed:
    """Records of one size.

    Args:
        padded: zeros at the end are padding: encodings of text have no others.
    """

    header = b""

    def __init__(self, size: int, *, padded: bool) -> None:
        self._size = size
        self._padded = padded
        self._rest = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        rest = self._rest
        rest += data
        whole = len(rest) - len(rest) % self._size
        found = [self._unpadded(bytes(rest[at : at + self._size])) for at in range(0, whole, self._size)]
        del rest[:whole]
        return found

    def _unpadded(self, record: bytes) -> bytes:
        return record.rstrip(b"\0") if self._padded else record

    def end(self) -> list[bytes]:
        rest, self._rest = bytes(self._rest), bytearray()
        return [rest] if rest else []


class Whole:
    """No envelope, and an encoding that does not tell where a record ends: the whole stream is one record."""

    header = b""

    def __init__(self) -> None:
        self._rest = bytearray()
        self._told = False

    def feed(self, data: bytes) -> list[bytes]:
        if self._told:
            return []
        self._rest += data
        if len(self._rest) <= MOST_RECORD:
            return []
        found, self._rest, self._told = too_long(self._rest), bytearray(), True
        return [found]

    def end(self) -> list[bytes]:
        rest, self._rest = bytes(self._rest), bytearray()
        return [rest] if rest else []


class Pieces:
    """As `Whole`, for a stream without an end: each piece that comes is a record."""

    header = b""

    def feed(self, data: bytes) -> list[bytes]:
        return [data] if data else []

    def end(self) -> list[bytes]:
        return []


class Ends(Protocol):
    """Finds where the values of one stream end."""

    def more(self, data: bytearray, last: bool) -> tuple[list[int], bool]:
        """The ends of values in `data`, and whether what follows can never be read.

        Args:
            data: all bytes after the last end that was returned.
            last: no more bytes will come.
        """

    def reset(self) -> None:
        """The next bytes are the beginning of a value."""


class SelfDelimited:
    """No envelope, and values that tell where they end. Bytes that cannot be read are one bad record."""

    header = b""

    def __init__(self, ends: Ends) -> None:
        self._ends = ends
        self._rest = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        self._rest += data
        return self._split(last=False)

    def _split(self, *, last: bool) -> list[bytes]:
        ends, bad = self._ends.more(self._rest, last)
        starts = [0, *ends]
        found = [bytes(self._rest[start:end]) for start, end in zip(starts, ends, strict=False)]
        del self._rest[: starts[-1]]
        long = len(self._rest) > MOST_RECORD
        if bad or long:
            found.append(too_long(self._rest) if long else bytes(self._rest))
            self._rest = bytearray()
            self._ends.reset()
        return found

    def end(self) -> list[bytes]:
        found = self._split(last=True) if self._rest else []
        rest, self._rest = bytes(self._rest), bytearray()
        self._ends.reset()
        return [*found, rest] if rest else found


class MsgpackEnds:
    """The `Ends` of msgpack. When more bytes come, the unpacker goes on where it stopped."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self._unpacker = msgpack.Unpacker(max_buffer_size=2 * MOST_RECORD)
        self._fed = self._told = 0

    def more(self, data: bytearray, _: bool) -> tuple[list[int], bool]:
        before, ends = self._told, list[int]()
        try:
            self._unpacker.feed(memoryview(data)[self._fed - before :])
            self._fed = before + len(data)
            while True:
                self._unpacker.skip()
                self._told = self._unpacker.tell()
                ends.append(self._told - before)
        except msgpack.OutOfData:
            return ends, False
        except (ValueError, msgpack.UnpackException):
            return ends, True


class DelimitedFramer:
    def __init__(self, separator: bytes, header: bytes | None = None) -> None:
        self._separator = separator
        self._head = b"" if header is None else header + separator

    def frame(self, records: Sequence[bytes]) -> bytes:
        head, self._head = self._head, b""
        return head + b"".join(record + self._separator for record in records)


class FixedFramer:
    """Records too long are cut, records too short padded with zeros."""

    def __init__(self, size: int) -> None:
        self._size = size

    def frame(self, records: Sequence[bytes]) -> bytes:
        return b"".join(record[: self._size].ljust(self._size, b"\0") for record in records)


class NoFramer:
    def frame(self, records: Sequence[bytes]) -> bytes:
        return b"".join(records)
