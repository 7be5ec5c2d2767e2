"""Reads the dates and numbers of a column as vendors write them. All cells of a column decide which style it has."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from stream_scorer.errors import SettingsError
from stream_scorer_training.tables import Table

NONE = frozenset({"", ".", "-", "na", "n/a", "#n/a", "nan", "null", "none"})
"""Cells that mean "no value" (FRED writes a dot)."""
FORMATS = (
    *("%Y-%m-%d", "%Y%m%d", "%Y/%m/%d", "%b %d, %Y", "%d.%m.%Y", "%d-%b-%Y", "%d %b %Y"),
    *("%m/%d/%Y", "%d/%m/%Y", "%m-%d-%Y", "%d-%m-%Y"),
)
_TIMED = re.compile(r"(\d{4}-\d\d-\d\d)[T ]\d")
_ORNAMENT = re.compile(r"[\s\u00a0\u202f'\u2019$€£]")
_POINT = re.compile(r"[+-]?(\d{1,3}(,\d{3})+|\d+)?(\.\d*)?([eE][+-]?\d+)?")
_COMMA = re.compile(r"[+-]?(\d{1,3}(\.\d{3})+|\d+)?(,\d*)?([eE][+-]?\d+)?")
Floats = npt.NDArray[np.float64]


def parse_dates(table: Table, column: str) -> pd.DatetimeIndex:
    """Read a column of dates. Times of day are dropped.

    Raises SettingsError: a cell is not a date, or the column fits two formats (day or month first) that give other dates.
    """
    texts = table.column(column)
    for at, text in enumerate(texts):
        if not text:
            raise SettingsError(f"{table.place(at)} has no date in {column!r}. Leave the whole row out, or fill it in.")
    timed = [_TIMED.match(text) for text in texts]
    cells = pd.Series([match[1] if match else text for match, text in zip(timed, texts, strict=True)], dtype=object)
    readings = {name: pd.to_datetime(cells, format=name, errors="coerce") for name in FORMATS}
    whole = [name for name, days in readings.items() if days.notna().all()]
    if not whole:
        best = max(FORMATS, key=lambda name: int(readings[name].notna().sum()))
        at = int(np.flatnonzero(readings[best].isna())[0])
        others = f" The rows before look like {texts[0]!r}." if at else ""
        raise SettingsError(
            f"{table.place(at)}: expected a date in {column!r}, found {texts[at]!r}.{others} "
            "Write all dates in one way, best as 2007-06-01."
        )
    if len(whole) > 1:  # 03/04/2001: the order of the rows tells day from month
        whole = [name for name in whole if _in_order(readings[name])] or whole
        if len(whole) > 1 and len({tuple(readings[name]) for name in whole}) > 1:
            raise SettingsError(
                f"{table.source}: {texts[0]!r} in {column!r} may be day or month first, and no row decides. "
                "Write dates as 2007-06-01."
            )
    return pd.DatetimeIndex(readings[whole[0]], name=column)


def _in_order(days: pd.Series) -> bool:
    return bool(days.is_monotonic_increasing or days.is_monotonic_decreasing)


def parse_numbers(table: Table, column: str) -> Floats:
    """Read a column of numbers, float64 [T]; NaN for a cell without a value.

    Thousands may have separators; the decimal mark is a point or a comma.
    Raises SettingsError: a cell is not a finite number, or a column such as 1.234 may be read in two ways.
    """
    texts = table.column(column)
    cells = ["" if text.casefold() in NONE else _ORNAMENT.sub("", text) for text in texts]
    wrong = {style: _first_wrong(style, cells) for style in (_POINT, _COMMA)}
    if None not in wrong.values():
        at = max(row for row in wrong.values() if row is not None)
        raise SettingsError(
            f"{table.place(at)}: expected a finite number in {column!r}, found {texts[at]!r}. Write all numbers of a column "
            "in one way, as 1234.5, 1,234.5 or 1.234,5. If a row has no value, leave the field empty."
        )
    comma = wrong[_COMMA] is None
    if comma and wrong[_POINT] is None:  # both ways fit
        comma = table.delimiter == ";" and any("," in cell for cell in cells)
        dotted = next((at for at, cell in enumerate(cells) if "." in cell), None)
        if table.delimiter == ";" and not comma and dotted is not None:
            raise SettingsError(
                f"{table.place(dotted)}: {texts[dotted]!r} in {column!r} may be a number above 1,000 or a decimal, "
                "and no row decides. Write numbers without separators of thousands."
            )
    drop, point = (".", ",") if comma else (",", ".")
    plain = [cell.replace(drop, "").replace(point, ".") or "nan" for cell in cells]
    return np.array(plain, dtype=object).astype(np.float64)


def _first_wrong(style: re.Pattern[str], cells: Sequence[str]) -> int | None:
    """Return the index of the first cell that is neither empty nor a number of this style, or None."""
    for at, cell in enumerate(cells):
        if cell and not (style.fullmatch(cell) and any(letter.isdigit() for letter in cell)):
            return at
    return None
