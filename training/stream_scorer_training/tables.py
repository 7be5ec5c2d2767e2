"""Reads CSV in the shapes that vendors give, or Parquet, into a table of text that knows the line of each row."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from stream_scorer.errors import SettingsError

PARQUET = (".parquet", ".pq")
_YFINANCE = ("Price", "Ticker", "Date")
"""First cells of the three lines of header that yfinance writes."""


@dataclass(frozen=True)
class Table:
    """Text by row and column.

    source: path of the file, or "fred:ID". names: of the columns. rows: each has as many cells as there are names.
    lines: the number of each row in the source, counted from 1 in `unit` ("line" of a file, "row", "observation").
    sha256: of the source. delimiter: between the cells of CSV.
    """

    source: str
    names: Sequence[str]
    rows: Sequence[Sequence[str]]
    lines: Sequence[int]
    sha256: str
    unit: str = "line"
    delimiter: str = ","

    def column(self, name: str) -> list[str]:
        """Return the cells of a column, without surrounding blanks."""
        at = list(self.names).index(name)
        return [row[at].strip() for row in self.rows]

    def place(self, at: int) -> str:
        """Return where the row with index `at` is, for an error: "sp500.csv: line 3"."""
        return f"{self.source}: {self.unit} {self.lines[at]}"


def read_table(path: Path) -> Table:
    """Read a file: Parquet if its name ends in .parquet or .pq, else CSV.

    Raises SettingsError: no such file, not text, no header, or a row with more or fewer cells than the header.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read: {error.strerror}.") from error
    if path.suffix.lower() in PARQUET:
        return _parquet(str(path), raw)
    return _csv(str(path), raw)


def _csv(source: str, raw: bytes) -> Table:
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SettingsError(
            f"{source}: cannot be read as CSV: byte {error.start} is not UTF-8. "
            "Give a Parquet file the ending .parquet; save other text as UTF-8."
        ) from error
    first = text.partition("\n")[0]
    delimiter = max(",;\t|", key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    rows, lines = [], []
    for row in reader:
        if any(cell.strip() for cell in row):
            rows.append(row)
            lines.append(reader.line_num)
    if not rows:
        raise SettingsError(f"{source}: cannot be read as CSV: it is empty.")
    names, body = [name.strip() for name in rows[0]], 1
    if tuple(row[0] for row in rows[:3]) == _YFINANCE:
        names, body = ["Date", *names[1:]], 3
    table = Table(source, names, rows[body:], lines[body:], hashlib.sha256(raw).hexdigest(), delimiter=delimiter)
    for at, cells in enumerate(table.rows):
        if len(cells) != len(names):
            raise SettingsError(
                f"{table.place(at)} has {len(cells)} fields, the header has {len(names)} ({_listed(names)}). "
                f"Is the file cut off there, or is {delimiter!r} in a number that needs quotes?"
            )
    return table


def _parquet(source: str, raw: bytes) -> Table:
    try:
        frame = pd.read_parquet(io.BytesIO(raw), engine="pyarrow")
    except ImportError as error:
        raise SettingsError(f"{source}: Parquet needs pyarrow: pip install 'stream-scorer[parquet]'.") from error
    except (OSError, ValueError) as error:
        raise SettingsError(f"{source}: cannot be read as Parquet: {error}.") from error
    if not isinstance(frame.index, pd.RangeIndex):  # dates are often the index
        frame = frame.reset_index(names=frame.index.name or "Date")
    columns = [[_text(value) for value in frame[name]] for name in frame.columns]
    rows = [list(row) for row in zip(*columns, strict=True)]
    names = [str(name) for name in frame.columns]
    return Table(source, names, rows, range(1, len(rows) + 1), hashlib.sha256(raw).hexdigest(), unit="row")


def _text(value: object) -> str:
    if value is None or value is pd.NaT or value != value:  # NaN
        return ""
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names))


def find_column(table: Table, wanted: Sequence[str], contents: str) -> str:
    """Return the first name of `wanted` that is a column; if none is, the first that is one in another case of letters.

    contents: what the column holds ("dates"), for the error.
    Raises SettingsError, which lists the columns of the table: it has none of them.
    """
    folded = {name.casefold(): name for name in reversed(table.names)}
    for name in wanted:
        if name in table.names:
            return name
    for name in wanted:
        if name.casefold() in folded:
            return folded[name.casefold()]
    others = f" (nor {_listed(wanted[1:])})" if len(wanted) > 1 else ""
    raise SettingsError(
        f"{table.source}: no column {wanted[0]!r}{others} with {contents}. It has {_listed(table.names)}. "
        "Is this the right file, and does its first line name the columns?"
    )
