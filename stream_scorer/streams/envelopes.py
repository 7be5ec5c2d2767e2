"""Records in a stream of bytes: found as the bytes come, in whatever pieces, and framed on the way out. Section [f]."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import msgpack

from stream_scorer.codec.csv_rows import Dialect

MOST_RECORD = 256 << 20  # bytes that a value which tells its own length may have: foreign bytes claim any length


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


class Delimited:
    """Records with a separator after each. The last may lack it, and is none if it is empty.

    Args:
        blank: whether a record may be empty, as one of null and utf-8 may. In other encodings a blank line is no record.
    """

    header = b""

    def __init__(self, separator: bytes, *, blank: bool) -> None:
        self._separator = separator
        self._blank = blank
        self._rest = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        # A long record comes in many pieces: only where a separator may have been completed is it looked for.
        behind = max(len(self._rest) - len(self._separator) + 1, 0)
        if self._separator not in self._rest[behind:] + data:
            self._rest += data
            return []
        *records, rest = (bytes(self._rest) + data).split(self._separator)
        self._rest = bytearray(rest)
        return records if self._blank else [record for record in records if record.strip()]

    def end(self) -> list[bytes]:
        rest, self._rest = bytes(self._rest), bytearray()
        return [rest] if (rest if self._blank else rest.strip()) else []


class Fixed:
    """Args:
    padded: whether zeros at the end are padding, as in text they can only be.
    """

    header = b""

    def __init__(self, size: int, *, padded: bool) -> None:
        self._size = size
        self._padded = padded
        self._rest = b""

    def feed(self, data: bytes) -> list[bytes]:
        data = self._rest + data
        whole = len(data) - len(data) % self._size
        self._rest = data[whole:]
        return [self._unpadded(data[at : at + self._size]) for at in range(0, whole, self._size)]

    def _unpadded(self, record: bytes) -> bytes:
        return record.rstrip(b"\0") if self._padded else record

    def end(self) -> list[bytes]:
        rest, self._rest = self._rest, b""
        return [rest] if rest else []


class CsvLines:
    """Records of CSV: a separator between quotes is data."""

    def __init__(self, dialect: Dialect, *, header: bool, skip_blank: bool) -> None:
        self.header = b""
        self._separator, self._quote = dialect.separator.encode(), dialect.quote.encode()
        self._header_due = header
        self._skip_blank = skip_blank
        self._rest = b""
        self._counted = self._quotes = 0  # quotes up to `_counted`, so that a long record is read once

    def feed(self, data: bytes) -> list[bytes]:
        data = self._rest + data
        found: list[bytes] = []
        start = 0
        while True:
            at = data.find(self._separator, self._counted)
            if at < 0:
                break
            self._quotes += data.count(self._quote, self._counted, at)
            self._counted = at
            if self._quotes % 2:
                self._counted = at + 1
                continue
            found += self._record(data[start:at])
            start = self._counted = at + len(self._separator)
            self._quotes = 0
        # The beginning of a separator may be there already.
        counted = max(len(data) - len(self._separator) + 1, self._counted)
        self._quotes += data.count(self._quote, self._counted, counted)
        self._rest, self._counted = data[start:], counted - start
        return found

    def _record(self, record: bytes) -> list[bytes]:
        if self._skip_blank and not record.strip():
            return []
        if self._header_due:
            self.header, self._header_due = record.removeprefix(b"\xef\xbb\xbf"), False
            return []
        return [record]

    def end(self) -> list[bytes]:
        rest, self._rest = self._rest, b""
        self._counted = self._quotes = 0
        return self._record(rest) if rest else []


class Whole:
    """No envelope, and an encoding that does not tell where a record ends: all there is is one record."""

    header = b""

    def __init__(self) -> None:
        self._rest: list[bytes] = []

    def feed(self, data: bytes) -> list[bytes]:
        self._rest.append(data)
        return []

    def end(self) -> list[bytes]:
        rest, self._rest = b"".join(self._rest), []
        return [rest] if rest else []


class Pieces:
    """As `Whole`, of a stream that has no end: what comes together is a record."""

    header = b""

    def feed(self, data: bytes) -> list[bytes]:
        return [data] if data else []

    def end(self) -> list[bytes]:
        return []


Ends = Callable[[bytes, bool], tuple[list[int], bool]]
"""Where the values end that these bytes begin with, and whether what follows them can never be read.

The second argument says that no more bytes will come.
"""


class SelfDelimited:
    """No envelope, and values that tell where they end. What cannot be read is one bad record."""

    header = b""

    def __init__(self, ends: Ends) -> None:
        self._ends = ends
        self._rest = b""
        self._wait_for = 0

    def feed(self, data: bytes) -> list[bytes]:
        self._rest += data
        return self._split(last=False) if len(self._rest) >= self._wait_for else []

    def _split(self, *, last: bool) -> list[bytes]:
        ends, bad = self._ends(self._rest, last)
        if bad or len(self._rest) - (ends[-1] if ends else 0) > MOST_RECORD:
            ends.append(len(self._rest))
        starts = [0, *ends]
        found = [self._rest[start:end] for start, end in zip(starts, ends, strict=False)]
        self._rest = self._rest[starts[-1] :]
        # A value that is long indeed is not read from its beginning at every piece of it.
        self._wait_for = 2 * len(self._rest) if len(self._rest) > 1 << 16 else 0
        return found

    def end(self) -> list[bytes]:
        found = self._split(last=True) if self._rest else []
        rest, self._rest = self._rest, b""
        return [*found, rest] if rest else found


def msgpack_ends(data: bytes, _: bool) -> tuple[list[int], bool]:
    unpacker = msgpack.Unpacker(max_buffer_size=0)
    unpacker.feed(data)
    ends: list[int] = []
    while True:
        try:
            unpacker.skip()
        except msgpack.OutOfData:
            return ends, False
        except (ValueError, msgpack.UnpackException):
            return ends, True
        ends.append(unpacker.tell())


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
