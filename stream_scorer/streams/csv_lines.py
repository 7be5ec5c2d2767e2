"""Records of CSV in a stream of bytes: what stands between quotes is data, a separator too. Section [g].

Quotes are seen as `Dialect.parse` sees them: a field is quoted where it begins with one. A record whose quote is still
open at the end of the stream, or after MOST_QUOTED bytes, is broken: its first line stands for it and is rejected, and
what follows that line is read on.
"""

from __future__ import annotations

from stream_scorer.codec.csv_rows import Dialect
from stream_scorer.streams.envelopes import Skipping

MOST_QUOTED = 16 << 20
_BOM = b"\xef\xbb\xbf"
_FIELD, _PLAIN, _QUOTED = range(3)  # at the beginning of a field, within one, between quotes


class CsvLines:
    """Args:
    header: whether the first record is a line of names.
    """

    def __init__(self, dialect: Dialect, *, header: bool, skip_blank: bool) -> None:
        self.header = b""
        self._quote = dialect.quote.encode()
        self._separator, self._delimiter = dialect.separator.encode(), dialect.delimiter.encode()
        self._opening = self._delimiter + self._quote
        self._header_due = header
        self._skip_blank = skip_blank
        self._data = bytearray()
        self._skipping = Skipping(self._separator)
        self._clear()

    def _clear(self) -> None:
        self._start = self._at = 0  # of the record, and how far it has been looked through
        self._unseparated = 0  # no separator begins before, from _at on
        self._next_end = self._next_opening = -1  # as they were found, while _at has not passed them
        self._place = _FIELD

    def feed(self, data: bytes) -> list[bytes]:
        self._data += data
        return self._read(last=False)

    def end(self) -> list[bytes]:
        found = self._read(last=True)
        rest = bytes(self._data) if self._skipping.over else b""
        self._data.clear()
        self._skipping.over = True
        self._clear()
        return found + (self._record(rest) if rest else [])

    def _read(self, *, last: bool) -> list[bytes]:
        found: list[bytes] = []
        if not self._skipping.through(self._data):
            return found
        while True:
            self._scan(found, last)
            size = len(self._data) - self._start
            open_too_long = self._place == _QUOTED and (last or size > MOST_QUOTED)
            first = self._data.find(self._separator, self._start) if open_too_long else -1
            if first < 0:
                break
            self._found(found, first)
        del self._data[: self._start]
        self._at, self._unseparated, self._start = self._at - self._start, self._unseparated - self._start, 0
        self._next_end = self._next_opening = -1
        cut = self._skipping.cut_short(self._data, MOST_QUOTED if self._place == _QUOTED else None)
        if cut:
            self._clear()
        return found + cut

    def _scan(self, found: list[bytes], last: bool) -> None:
        """On to the end of what is there."""
        data = self._data
        if self._header_due and self._at == 0 and data.startswith(_BOM):
            self._at = len(_BOM)
        while self._at < len(data):
            if self._place == _QUOTED:
                going = self._to_closing_quote(last)
            elif self._place == _FIELD:
                going = self._at_field(last)
            else:
                going = self._to_separator(found)
            if not going:
                return

    def _to_closing_quote(self, last: bool) -> bool:
        """Each of these: False where more bytes are needed to tell."""
        data, quote = self._data, self._quote
        at = data.find(quote, self._at)
        if at < 0:
            self._at = max(self._at, len(data) - len(quote) + 1)
            return False
        after = at + len(quote)
        if data.startswith(quote, after):
            self._at = after + len(quote)
            return True
        if not last and quote.startswith(data[after : after + len(quote)]):
            self._at = at  # it may be the first of two, which stand for one
            return False
        self._at, self._place = after, _PLAIN
        return True

    def _at_field(self, last: bool) -> bool:
        head = self._data[self._at : self._at + len(self._quote)]
        if not last and len(head) < len(self._quote) and self._quote.startswith(head):
            return False
        self._place = _QUOTED if head == self._quote else _PLAIN
        self._at += len(head) if head == self._quote else 0
        return True

    def _to_separator(self, found: list[bytes]) -> bool:
        data = self._data
        if self._next_end < self._at:
            self._next_end = data.find(self._separator, max(self._at, self._unseparated))
        end = self._next_end
        if end < 0:
            self._unseparated = len(data) - len(self._separator) + 1
            return False
        if self._next_opening < self._at:
            self._next_opening = data.find(self._opening, self._at, end)
        if not 0 <= self._next_opening < end:
            self._found(found, end)
            return True
        next_field = data.find(self._delimiter, self._at, end)
        if next_field < 0:
            self._found(found, end)
        else:
            self._at, self._place = next_field + len(self._delimiter), _FIELD
        return True

    def _found(self, found: list[bytes], end: int) -> None:
        found += self._record(bytes(self._data[self._start : end]))
        self._start = self._at = end + len(self._separator)
        self._unseparated, self._next_end, self._next_opening = 0, -1, -1
        self._place = _FIELD

    def _record(self, record: bytes) -> list[bytes]:
        if self._skip_blank and not record.strip():
            return []
        if self._header_due:
            self.header, self._header_due = record.removeprefix(_BOM), False
            return []
        return [record]
