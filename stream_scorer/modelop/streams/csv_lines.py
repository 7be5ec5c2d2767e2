"""Records of CSV in a stream of bytes. Separators between quotes are data. Section [g].

A field is quoted if it begins with a quote, as in `Dialect.parse`. A record is broken if text follows a closing quote,
or if a quote is still open at the end of the stream or after MOST_QUOTED bytes. If a broken record has several lines,
only its first line is taken as a record (and rejected when it is decoded); reading goes on at the second line.
"""

from __future__ import annotations

from stream_scorer.codec.csv_dialect import Dialect
from stream_scorer.modelop.streams.envelopes import Skipping

MOST_QUOTED = 16 << 20
_BOM = b"\xef\xbb\xbf"
_FIELD, _PLAIN, _QUOTED = range(3)  # at the beginning of a field, within one, between quotes


class CsvLines:
    """The `Splitter` of delimited-csv.

    Args:
        header: the first record is a line of names.
        skip_blank: blank lines are not records.
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
        self._found: list[bytes] = []
        self._last = False
        self._clear()

    def _clear(self) -> None:
        self._broken_up_to = 0  # bytes before this place are read a second time, and never a third time
        self._begin_record(0)

    def _begin_record(self, at: int) -> None:
        self._start = self._at = at  # where the record begins, and how far it was read
        self._place = _FIELD
        self._unseparated = 0  # between _at and this place no separator begins
        self._next_end = self._next_opening = -1  # found ahead of _at, so as not to search twice

    def feed(self, data: bytes) -> list[bytes]:
        self._data += data
        return self._read()

    def end(self) -> list[bytes]:
        self._last = True
        found = self._read()
        rest = bytes(self._data) if self._skipping.over else b""
        self._data.clear()
        self._skipping.over, self._last = True, False
        self._clear()
        return found + (self._record(rest) if rest else [])

    def _read(self) -> list[bytes]:
        self._found = []
        if not self._skipping.through(self._data):
            return []
        self._scan()
        while self._place == _QUOTED and (self._last or len(self._data) - self._start > MOST_QUOTED):
            if not (self._give_up_line(len(self._data)) if self._start >= self._broken_up_to else self._give_up_all()):
                break
            self._scan()
        self._drop_read()
        cut = self._skipping.cut_short(self._data, MOST_QUOTED if self._place == _QUOTED else None)
        if cut:
            self._clear()
        return self._found + cut

    def _drop_read(self) -> None:
        start = self._start
        del self._data[:start]
        self._start, self._at, self._unseparated = 0, self._at - start, self._unseparated - start
        self._broken_up_to = max(self._broken_up_to - start, 0)
        self._next_end = self._next_opening = -1

    def _give_up_line(self, at: int) -> bool:
        """At `at` the record turns out to be broken: its first line is a record. False if it has only one line."""
        first = self._data.find(self._separator, self._start, at)
        if first >= 0:
            self._broken_up_to = at
            self._end_record(first)
        return first >= 0

    def _give_up_all(self) -> bool:
        """Each line of the broken record is a record. False if it has only one line."""
        *lines, rest = bytes(self._data[self._start :]).split(self._separator)
        for line in lines:
            self._found += self._record(line)
        self._begin_record(len(self._data) - len(rest))
        return bool(lines)

    def _scan(self) -> None:
        """Reads on to the end of the bytes that are there."""
        data = self._data
        if self._header_due and self._at == 0 and data.startswith(_BOM):
            self._at = len(_BOM)
        going = True
        while going and self._at < len(data):
            if self._place == _QUOTED:
                going = self._to_closing_quote()
            elif self._place == _FIELD:
                going = self._at_field()
            else:
                going = self._to_separator()

    def _to_closing_quote(self) -> bool:
        """Like the two below: one step; False if it needs more bytes."""
        data, quote = self._data, self._quote
        at = data.find(quote, self._at)
        if at < 0:
            self._at = max(self._at, len(data) - len(quote) + 1)
            return False
        after = at + len(quote)
        if data.startswith(quote, after):
            self._at = after + len(quote)
            return True
        follows = (self._delimiter, self._separator)
        tail = bytes(data[after : after + max(map(len, (quote, *follows)))])
        if not tail.startswith(follows):
            if not self._last and any(len(one) > len(tail) and one.startswith(tail) for one in (quote, *follows)):
                self._at = at
                return False
            if tail and at > self._broken_up_to and self._give_up_line(at):
                return True
        self._at, self._place = after, _PLAIN
        return True

    def _at_field(self) -> bool:
        head = self._data[self._at : self._at + len(self._quote)]
        if not self._last and len(head) < len(self._quote) and self._quote.startswith(head):
            return False
        self._place = _QUOTED if head == self._quote else _PLAIN
        self._at += len(head) if head == self._quote else 0
        return True

    def _to_separator(self) -> bool:
        data = self._data
        if self._next_end < self._at:
            self._next_end = data.find(self._separator, max(self._at, self._unseparated))
        end = self._next_end
        whole = end >= 0
        if not whole:
            self._unseparated = len(data) - len(self._separator) + 1
            if not self._last:
                return False
            end = len(data)
        if self._next_opening < self._at:
            self._next_opening = data.find(self._opening, self._at, end)
        if 0 <= self._next_opening < end:
            next_field = data.find(self._delimiter, self._at, end)
            self._at, self._place = next_field + len(self._delimiter), _FIELD
        elif whole:
            self._end_record(end)
        else:
            self._at = end
        return True

    def _end_record(self, end: int) -> None:
        self._found += self._record(bytes(self._data[self._start : end]))
        self._begin_record(end + len(self._separator))

    def _record(self, record: bytes) -> list[bytes]:
        if self._skip_blank and not record.strip():
            return []
        if self._header_due:
            self.header, self._header_due = record.removeprefix(_BOM), False
            return []
        return [record]
