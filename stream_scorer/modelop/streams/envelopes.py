"""Splits a stream of bytes into records, whatever pieces the bytes come in, and frames records for output.

Rule `f.envelopes` of `docs/conformance.md`; container files are in `ocf`, CSV in `csv_lines`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgpack

MAX_RECORD = 256 << 20  # bytes of a record without a separator: wrong bytes may claim any length
MAX_LINE = 64 << 20  # bytes that are kept while the separator has not come
_KEPT = 1000  # bytes kept of a record that is too long, to show them


class Splitter(Protocol):
    """Splits the bytes of one stream, once. Not safe from several threads; nothing blocks."""

    header: bytes
    """The line of field names before the records, once it has come; b"" if there is none."""

    def feed(self, data: bytes) -> list[bytes]:
        """Return the records that these bytes complete, in order. Raises TransportError: no later record can be found."""

    def flush(self) -> list[bytes]:
        """At the end of the input: return what is left as records. Raises TransportError. `feed` may begin anew."""


class Framer(Protocol):
    """Frames the records of one output stream. Not safe from several threads; nothing blocks."""

    def frame(self, records: Sequence[bytes]) -> bytes:
        """Return the bytes to write for the records; the first call puts the stream's header before them."""


class TooLong(bytes):
    """The beginning of a record that is too long to keep, in place of the record. It must be rejected.

    why: the reason, for logs and reject lines.
    """

    why = "it is too long."


def too_long(data: bytes | bytearray) -> TooLong:
    beginning = TooLong(data[:_KEPT])
    beginning.why = f"its end has not come within {len(data):,} bytes. Are Envelope and Encoding those of the stream?"
    return beginning


class Skipper:
    """Skips the rest of a record that is too long, up to its separator. `idle`: nothing is being skipped."""

    def __init__(self, separator: bytes) -> None:
        self._separator = separator
        self.idle = True

    def skip(self, data: bytearray) -> bool:
        """Drop from `data` what is to be skipped. Return False while the separator has not come."""
        if not self.idle:
            at = data.find(self._separator)
            self.idle = at >= 0
            self._drop(data, at + len(self._separator) if self.idle else len(data))
        return self.idle

    def _drop(self, data: bytearray, stop: int) -> None:
        # While skipping, the last bytes may be the beginning of the separator.
        del data[: stop if self.idle else max(stop - len(self._separator) + 1, 0)]

    def drop_if_too_long(self, data: bytearray, most: int | None = None) -> list[bytes]:
        """If `data`, the beginning of a record, is longer than `most`, drop it and return its TooLong."""
        if len(data) <= (MAX_LINE if most is None else most):
            return []
        dropped: list[bytes] = [too_long(data)]
        self.idle = False
        self._drop(data, len(data))
        return dropped


class Delimited:
    """Records with a separator after each. The last record may lack it; an empty rest is no record.

    Args:
        blank: whether a blank line is a record, as in the encodings null and utf-8.
    """

    header = b""

    def __init__(self, separator: bytes, *, blank: bool) -> None:
        self._separator = separator
        self._blank = blank
        self._rest = bytearray()
        self._skipper = Skipper(separator)

    def feed(self, data: bytes) -> list[bytes]:
        # A long record comes in many pieces: search only where a separator may have been completed.
        behind = max(len(self._rest) - len(self._separator) + 1, 0)
        has_separator = self._separator in self._rest[behind:] + data
        self._rest += data
        if not self._skipper.skip(self._rest):
            return []
        if not has_separator:
            return self._skipper.drop_if_too_long(self._rest)
        *records, rest = bytes(self._rest).split(self._separator)
        self._rest = bytearray(rest)
        return [record for record in records if self._blank or record.strip()] + self._skipper.drop_if_too_long(
            self._rest
        )

    def flush(self) -> list[bytes]:
        rest, self._rest = bytes(self._rest) if self._skipper.idle else b"", bytearray()
        self._skipper.idle = True
        return [rest] if (rest if self._blank else rest.strip()) else []


class Fixed:
    """Records of one size.

    Args:
        padded: zero bytes at the end of a record are padding; text encodings have no others.
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
        records = [self._unpadded(bytes(rest[at : at + self._size])) for at in range(0, whole, self._size)]
        del rest[:whole]
        return records

    def _unpadded(self, record: bytes) -> bytes:
        return record.rstrip(b"\0") if self._padded else record

    def flush(self) -> list[bytes]:
        rest, self._rest = bytes(self._rest), bytearray()
        return [rest] if rest else []


class Whole:
    """No envelope, and an encoding without boundaries: the whole stream is one record."""

    header = b""

    def __init__(self) -> None:
        self._rest = bytearray()
        self._rejected = False

    def feed(self, data: bytes) -> list[bytes]:
        if self._rejected:
            return []
        self._rest += data
        if len(self._rest) <= MAX_RECORD:
            return []
        dropped, self._rest, self._rejected = too_long(self._rest), bytearray(), True
        return [dropped]

    def flush(self) -> list[bytes]:
        rest, self._rest = bytes(self._rest), bytearray()
        return [rest] if rest else []


class Pieces:
    """As `Whole`, for a transport whose input has no end: each piece that comes is a record."""

    header = b""

    def feed(self, data: bytes) -> list[bytes]:
        return [data] if data else []

    def flush(self) -> list[bytes]:
        return []


class Boundaries(Protocol):
    """Finds the boundaries between the values of one stream. Not safe from several threads; nothing blocks."""

    def find(self, data: bytearray, last: bool) -> tuple[list[int], bool]:
        """Return the offset behind each value in `data`, and whether what follows can never be read.

        Args:
            data: all bytes after the last boundary that was returned.
            last: no more bytes will come.
        """

    def reset(self) -> None:
        """Take the next bytes for the beginning of a value."""


class SelfDelimited:
    """No envelope, and an encoding whose values show their own boundaries. Bytes that cannot be read are one bad record."""

    header = b""

    def __init__(self, boundaries: Boundaries) -> None:
        self._boundaries = boundaries
        self._rest = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        self._rest += data
        return self._split(last=False)

    def _split(self, *, last: bool) -> list[bytes]:
        boundaries, bad = self._boundaries.find(self._rest, last)
        starts = [0, *boundaries]
        records = [bytes(self._rest[start:stop]) for start, stop in zip(starts, boundaries, strict=False)]
        del self._rest[: starts[-1]]
        long = len(self._rest) > MAX_RECORD
        if bad or long:
            records.append(too_long(self._rest) if long else bytes(self._rest))
            self._rest = bytearray()
            self._boundaries.reset()
        return records

    def flush(self) -> list[bytes]:
        records = self._split(last=True) if self._rest else []
        rest, self._rest = bytes(self._rest), bytearray()
        self._boundaries.reset()
        return [*records, rest] if rest else records


class MsgpackBoundaries:
    """The `Boundaries` of msgpack. When more bytes come, the unpacker goes on where it stopped."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self._unpacker = msgpack.Unpacker(max_buffer_size=2 * MAX_RECORD)
        self._fed = self._passed = 0  # bytes given to the unpacker, and bytes before the last boundary

    def find(self, data: bytearray, _: bool) -> tuple[list[int], bool]:
        before, boundaries = self._passed, list[int]()
        try:
            self._unpacker.feed(memoryview(data)[self._fed - before :])
            self._fed = before + len(data)
            while True:
                self._unpacker.skip()
                self._passed = self._unpacker.tell()
                boundaries.append(self._passed - before)
        except msgpack.OutOfData:
            return boundaries, False
        except (ValueError, msgpack.UnpackException):
            return boundaries, True


class DelimitedFramer:
    def __init__(self, separator: bytes, header: bytes | None = None) -> None:
        self._separator = separator
        self._head = b"" if header is None else header + separator

    def frame(self, records: Sequence[bytes]) -> bytes:
        head, self._head = self._head, b""
        return head + b"".join(record + self._separator for record in records)


class FixedFramer:
    """Truncates records that are too long, and pads those that are too short with zero bytes."""

    def __init__(self, size: int) -> None:
        self._size = size

    def frame(self, records: Sequence[bytes]) -> bytes:
        return b"".join(record[: self._size].ljust(self._size, b"\0") for record in records)


class NoFramer:
    def frame(self, records: Sequence[bytes]) -> bytes:
        return b"".join(records)
