"""Record sets: many records as one pandas or NumPy object, and back.

pandas is imported when the first set is made: other models do without it.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from stream_scorer.errors import ActionError


def make_set(records: Sequence[Any]) -> Any:
    """A matrix if the first record is a list, a DataFrame if it is a dict, else a Series; of no records an empty DataFrame.

    Raises ValueError if the other records are of another form.
    """
    if records and isinstance(records[0], list):
        return _matrix(records)
    import pandas

    if not records:
        return pandas.DataFrame()
    if isinstance(records[0], dict):
        return pandas.DataFrame(records)
    return pandas.Series(records)


def _matrix(records: Sequence[Any]) -> Any:
    # A view, because NumPy warns whenever `np.matrix` is called.
    array = np.array(records)
    if array.ndim != 2:
        raise ValueError(f"a record set of lists must be a matrix of two dimensions, and this one has {array.ndim}")
    return array.view(np.matrix)


def records_of(value: Any) -> list[Any]:
    """The records of a set: rows of a DataFrame as dicts, rows of a matrix as lists, elements of a Series.

    If `index.name` of a DataFrame is set, each record is {index: row}. Lists and arrays count as sets too. The values are
    Python's own. Raises ActionError: `value` is not a set.
    """
    pandas = sys.modules.get("pandas")
    if pandas is not None:
        if isinstance(value, pandas.DataFrame):
            return _rows(value)
        if isinstance(value, pandas.Series):
            return _items(value)
    if isinstance(value, np.ndarray) and value.ndim:
        return value.tolist()  # type: ignore[no-any-return]
    if isinstance(value, list):
        return value
    raise ActionError(
        f"a slot with record sets was given a {type(value).__name__}. Give a DataFrame (of records), a matrix (of "
        "arrays) or a Series (of single values), or leave out '# fastscore.recordsets' for the slot."
    )


def _rows(frame: Any) -> list[Any]:
    columns = [plain(column) for column in frame.columns]
    # Column by column: pandas gives all values of a row the same type.
    values = [_items(frame.iloc[:, at]) for at in range(len(columns))]
    rows: list[Any] = [dict(zip(columns, row, strict=True)) for row in zip(*values, strict=True)]
    if not columns:
        rows = [{} for _ in range(len(frame))]
    if frame.index.name is None:
        return rows
    return [{plain(index): row} for index, row in zip(frame.index.tolist(), rows, strict=True)]


def _items(series: Any) -> list[Any]:
    """Missing values of a column of text are None, as before pandas had a type for text."""
    items = [plain(item) for item in series.tolist()]
    if isinstance(series.dtype, sys.modules["pandas"].StringDtype):
        return [item if isinstance(item, str) else None for item in items]
    return items


def plain(value: Any) -> Any:
    """A datum without pandas objects: a Series becomes a list, a DataFrame a list of dicts, a missing value None.

    NumPy's values stay: the encoder takes them.
    """
    kind = type(value)
    if kind in (float, int, str, bool, bytes) or value is None:
        return value
    if kind is dict:
        return {plain(key): plain(item) for key, item in value.items()}
    if kind is list:
        return [plain(item) for item in value]
    if kind is tuple:
        return tuple([plain(item) for item in value])
    pandas = sys.modules.get("pandas")
    if pandas is None:
        return value
    if value is pandas.NA or value is pandas.NaT:
        return None
    if isinstance(value, pandas.Timestamp):
        return value.to_pydatetime(warn=False)
    if isinstance(value, pandas.Timedelta):
        return value.total_seconds()
    if isinstance(value, pandas.DataFrame):
        return _rows(value)
    if isinstance(value, pandas.Series | pandas.Index):
        return _items(value)
    return value


def is_set(value: Any) -> bool:
    """Whether it is a DataFrame, a Series or an array."""
    pandas = sys.modules.get("pandas")
    if pandas is not None and isinstance(value, pandas.DataFrame | pandas.Series):
        return True
    return isinstance(value, np.ndarray) and value.ndim > 0
