"""Splits a stream of bytes into records of CSV (rule `g.csv-boundaries`). Separators between quotes are data.

A field is quoted if it begins with a quote, as in `Dialect.parse`. A record is broken if text follows a closing quote,
or if a quote is still open at the end of the input or after MAX_QUOTED bytes. Of a broken record of several lines only
the first line is taken as a record (the decoder rejects it); reading goes on at the second line.
"""

from __future__ import annotations

from stream_scorer.codec.csv_dialect import Dialect
from stream_scorer.modelop.streams.envelopes import Skipper

MAX_QUOTED = 16 << 20
_BOM = b"\xef\xbb\xbf"
_FIELD, _PLAIN, _QUOTED = range(3)  # at the beginning of a field, within one, between quotes


class CsvLines:
    """The `Splitter` of delimited-csv.

    Args:
        header: the first record is a line of field names.
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
        self._skipper = Skipper(self._separator)
        self._records: list[bytes] = []  # of the call under way
        self._last = False  # no more bytes will come
        self._clear()

    def _clear(self) -> None:
        self._broken_up_to = 0  # bytes before this offset are read a second time, and never a third time
        self._begin_record(0)

    def _begin_record(self, at: int) -> None:
        self._start = self._at = at  # where the record begins, and how far it is read
        self._place = _FIELD
        self._one_line = False  # it is broken in its first line, so the next separator ends it
        self._unseparated = 0  # between _at and this offset no separator begins
        self._next_separator = self._next_opening = -1  # offsets found ahead of _at, so that no byte is searched twice

    def feed(self, data: bytes) -> list[bytes]:
        self._data += data
        return self._read()

    def flush(self) -> list[bytes]:
        self._last = True
        records = self._read()
        rest = bytes(self._data) if self._skipper.idle else b""
        self._data.clear()
        self._skipper.idle, self._last = True, False
        self._clear()
        return records + (self._record(rest) if rest else [])

    def _read(self) -> list[bytes]:
        self._records = []
        if not self._skipper.skip(self._data):
            return []
        self._scan()
        while self._place == _QUOTED and (self._last or len(self._data) - self._start > MAX_QUOTED):
            if not (
                self._give_up_line(len(self._data))
                if self._start >= self._broken_up_to
                else self._give_up_lines(len(self._data))
            ):
                break
            self._scan()
        self._drop_read()
        dropped = self._skipper.drop_if_too_long(self._data, MAX_QUOTED if self._place == _QUOTED else None)
        if dropped:
            self._clear()
        return self._records + dropped

    def _drop_read(self) -> None:
        start = self._start
        del self._data[:start]
        self._start, self._at, self._unseparated = 0, self._at - start, self._unseparated - start
        self._broken_up_to = max(self._broken_up_to - start, 0)
        self._next_separator = self._next_opening = -1

    def _give_up_line(self, at: int) -> bool:
        """The record turns out to be broken at `at`: take its first line as a record. Return False if it has one line only."""
        first = self._data.find(self._separator, self._start, at)
        if first >= 0:
            self._broken_up_to = at
            self._close_record(first)
        return first >= 0

    def _give_up_lines(self, at: int) -> bool:
        """As `_give_up_line`, for a record that is read a second time: take each of its lines before `at` as a record."""
        *lines, rest = bytes(self._data[self._start : at]).split(self._separator)
        for line in lines:
            self._records += self._record(line)
        self._begin_record(at - len(rest))
        return bool(lines)

    def _scan(self) -> None:
        """Read on through all bytes that have come."""
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
        """As the two methods below: take one step, return False if it needs more bytes."""
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
            if not self._last and any(len(text) > len(tail) and text.startswith(tail) for text in (quote, *follows)):
                self._at = at
                return False
            if tail and data.find(self._separator, self._start, at) >= 0:
                return self._give_up_line(at) if at > self._broken_up_to else self._give_up_lines(at)
            self._one_line = bool(tail)
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
        if self._next_separator < self._at:
            self._next_separator = data.find(self._separator, max(self._at, self._unseparated))
        stop = self._next_separator
        whole = stop >= 0
        if not whole:
            self._unseparated = len(data) - len(self._separator) + 1
            if not self._last:
                return False
            stop = len(data)
        if self._next_opening < self._at and not self._one_line:
            self._next_opening = data.find(self._opening, self._at, stop)
        if 0 <= self._next_opening < stop and not self._one_line:
            next_field = data.find(self._delimiter, self._at, stop)
            self._at, self._place = next_field + len(self._delimiter), _FIELD
        elif whole:
            self._close_record(stop)
        else:
            self._at = stop
        return True

    def _close_record(self, stop: int) -> None:
        self._records += self._record(bytes(self._data[self._start : stop]))
        self._begin_record(stop + len(self._separator))

    def _record(self, record: bytes) -> list[bytes]:
        if self._skip_blank and not record.strip():
            return []
        if self._header_due:
            self.header, self._header_due = record.removeprefix(_BOM), False
            return []
        return [record]
