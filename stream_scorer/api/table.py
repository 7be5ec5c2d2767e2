"""A pandas DataFrame in, a DataFrame out."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from stream_scorer.api.model import Model, open_model
from stream_scorer.api.outcome import Output, Rejected
from stream_scorer.errors import SettingsError

if TYPE_CHECKING:
    import pandas as pd


def score_table(
    model: Model | str | Path,
    frame: pd.DataFrame,
    *,
    key: str | None = None,
    column: str | None = None,
    attachment: str | Path | None = None,
    schemas: Mapping[str, str | Path] | None = None,
    on_reject: Literal["raise", "return"] = "raise",
) -> pd.DataFrame:
    """Score the rows of a frame in order. Blocks while the model works. Needs the extra `adjust` (pandas).

    Args:
        model: an open Model, whose state goes on from what it is; or what `open_model` takes, opened for this call.
        frame: not changed. A missing value (NaN, NaT, NA) is None where the field may be null, and NaN else.
        key: column whose values are the keys of sessions: texts, bytes, or what `str` makes of them; None: one session.
        column: the one column of values. Else a row is a record: a field of the schema of slot 0 is the column of its
            name, and without a schema every column is a field.
        on_reject: "raise" at the first row that cannot be scored; an open Model is then as before. "return": such rows
            have one row in the result, with the columns `stage` and `message`.
    Returns:
        A row for each output, in order, with the index of the row it was made of: a row that gave no output is not in it,
        and one that gave several is in it several times. The columns are the fields of the output if it is a record, else
        `output`; before them `slot`, if the model has several output slots. Outputs of the model's `end` are left out.
    Raises:
        SettingsError: the frame has no such column, or lacks a field that has no default.
        RecordError, ModelError: as `open_model` and `Model.score`.
    """
    with contextlib.ExitStack() as stack:
        opened = model if isinstance(model, Model) else stack.enter_context(open_model(model, attachment, schemas))
        values = _values(frame, column, opened.inputs[0], leave_out=None if column or opened.inputs[0] else key)
        keys = iter(_keys(frame, key))
        results = opened.score(values, lambda _: next(keys), on_reject=on_reject)
        return _table(frame, results, several=len(opened.outputs) > 1)


def _values(frame: pd.DataFrame, column: str | None, schema: Any, leave_out: str | None) -> list[Any]:
    if column is not None:
        return [_plain(value, schema) for value in _column(frame, column)]
    if schema is None:
        return [
            {str(name): _plain(value, None) for name, value in row.items() if name != leave_out}
            for row in frame.to_dict("records")
        ]
    if not isinstance(schema, dict) or schema.get("type") != "record":
        if len(frame.columns) == 1:
            return [_plain(value, schema) for value in _column(frame, frame.columns[0])]
        raise SettingsError(
            f"the model takes no records but {schema!r}. Name the column of its values: score_table(..., column=NAME)."
        )
    columns = {
        field["name"]: [_plain(value, field["type"]) for value in _column(frame, field["name"])]
        for field in schema["fields"]
        if field["name"] in frame.columns or "default" not in field
    }
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _column(frame: pd.DataFrame, name: str) -> list[Any]:
    """Values of Python, no scalars of NumPy."""
    if name not in frame.columns:
        there = ", ".join(map(str, frame.columns))
        raise SettingsError(f"the table has no column {name!r}. Its columns are: {there}.")
    values: list[Any] = frame[name].astype(object).tolist()
    return values


def _plain(value: Any, schema: Any) -> Any:
    import pandas as pd

    if pd.api.types.is_scalar(value) and pd.isna(value):
        nullable = schema is None or schema == "null" or (isinstance(schema, list) and "null" in schema)
        return None if nullable else float("nan")
    return value.to_pydatetime() if isinstance(value, pd.Timestamp) else value


def _keys(frame: pd.DataFrame, key: str | None) -> list[str | bytes | None]:
    if key is None:
        return [None] * len(frame)
    plain = [_plain(value, None) for value in _column(frame, key)]
    return [value if value is None or isinstance(value, str | bytes) else str(value) for value in plain]


def _table(frame: pd.DataFrame, results: Sequence[Output | Rejected], *, several: bool) -> pd.DataFrame:
    import pandas as pd

    rows: list[dict[str, Any]] = []
    for result in results:
        if isinstance(result, Rejected):
            rows.append({"stage": result.stage, "message": result.message})
            continue
        value = result.value if isinstance(result.value, dict) else {"output": result.value}
        rows.append({"slot": result.slot, **value} if several else dict(value))
    index = frame.index.take([result.offset for result in results])
    return pd.DataFrame(rows, index=index)
