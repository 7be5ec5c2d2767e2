"""A pandas DataFrame in, a DataFrame out."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from stream_scorer.api.model import Model, open_model
from stream_scorer.api.outcome import Output, Rejected, check_on_reject
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
    unverified: bool = False,
    require_signature: str | Path | None = None,
    on_reject: Literal["raise", "return"] = "raise",
) -> pd.DataFrame:
    """Score the rows of a frame in order. Blocks while the model works. Needs the extra `adjust` (pandas).

    Args:
        model: an open Model, whose state goes on from what it is; or what `open_model` takes, opened for this call.
        frame: not changed. A missing value (NaN, NaT, NA) is None where the field may be null, and NaN else. Where the
            field is an int or long, whole floats are such: pandas makes floats of integers beside missing values.
        key: column whose values are the keys of sessions: texts, bytes, or what `str` makes of them; None: one session.
        column: the one column of values. Else a row is a record: a field of the schema of slot 0 is the column of its
            name, and without a schema every column but `key` is a field. A model that takes no records takes the only
            column there is beside `key`.
        attachment, schemas, unverified, require_signature: as in `open_model`, which they are for.
        on_reject: "raise" at the first row that cannot be scored; an open Model is then as before. "return": such rows
            have one row in the result, with the columns `stage` and `message`.
    Returns:
        A row for each output, in order, with the index of the row it was made of: a row that gave no output is not in it,
        and one that gave several is in it several times. The columns are the fields of the output if it is a record, else
        `output`; before them `slot`, if the model has several output slots and no field has that name. Outputs of the
        model's `end` are left out.
    Raises:
        SettingsError: the frame has no such column or several of one name, or lacks a field that has no default.
        RecordError, ModelError, StateError: as `open_model` and `Model.score`.
        TypeError, ValueError: it is no DataFrame, or on_reject is neither.
    """
    _check_frame(frame)
    check_on_reject(on_reject)
    with contextlib.ExitStack() as stack:
        opened = (
            model
            if isinstance(model, Model)
            else stack.enter_context(
                open_model(model, attachment, schemas, unverified=unverified, require_signature=require_signature)
            )
        )
        values = _values(frame, column, opened.inputs[0], key)
        keys = iter(_keys(frame, key))
        results = opened.score(values, lambda _: next(keys), on_reject=on_reject)
        return _table(frame, results, opened.outputs)


def _check_frame(frame: object) -> None:
    import pandas as pd

    if not isinstance(frame, pd.DataFrame):
        raise TypeError(f"score_table takes a pandas DataFrame, not {type(frame).__name__}: score values by score")


def _values(frame: pd.DataFrame, column: str | None, schema: Any, key: str | None) -> list[Any]:
    if column is not None:
        return [_plain(value, schema) for value in _column(frame, column)]
    if schema is None:
        names = [name for name in frame.columns if name != key]
        _check_names([str(name) for name in names])
        return _rows(frame, {str(name): [_plain(value, None) for value in _column(frame, name)] for name in names})
    record = _record(schema)
    if record is None:
        names = [name for name in frame.columns if name != key] or list(frame.columns)
        if len(names) == 1:
            return [_plain(value, schema) for value in _column(frame, names[0])]
        raise SettingsError(
            f"the model takes no records but {schema!r}, and the table has {len(names)} columns of values. Name the one: "
            "score_table(..., column=NAME)."
        )
    columns = {
        field["name"]: [_plain(value, field["type"]) for value in _column(frame, field["name"])]
        for field in record["fields"]
        if field["name"] in frame.columns or "default" not in field
    }
    return _rows(frame, columns)


def _record(schema: Any) -> dict[str, Any] | None:
    """The schema of the rows: it is a record, or a union with one."""
    branches = [branch for branch in _branches(schema) if isinstance(branch, dict) and branch.get("type") == "record"]
    return branches[0] if len(branches) == 1 else None


def _branches(schema: Any) -> list[Any]:
    return schema if isinstance(schema, list) else [schema]


def _rows(frame: pd.DataFrame, columns: dict[str, list[Any]]) -> list[dict[str, Any]]:
    """As many as the frame has, also where no column is used."""
    return [{name: values[row] for name, values in columns.items()} for row in range(len(frame))]


def _column(frame: pd.DataFrame, name: Any) -> list[Any]:
    """Values of Python, no scalars of NumPy."""
    if name not in frame.columns:
        there = ", ".join(map(str, frame.columns)) or "none"
        raise SettingsError(f"the table has no column {name!r}. Its columns are: {there}.")
    _check_names([column for column in frame.columns if column == name])
    values: list[Any] = frame[name].astype(object).tolist()
    return values


def _check_names(names: Sequence[Any]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise SettingsError(
                f"the table has several columns {name!r}. Rename them, or leave out those not to be used."
            )


def _plain(value: Any, schema: Any) -> Any:
    import pandas as pd

    branches = _branches(schema)
    if pd.api.types.is_scalar(value) and pd.isna(value):
        return None if schema is None or "null" in branches else float("nan")
    if isinstance(value, float) and value.is_integer() and schema is not None:
        kinds = {branch.get("type") if isinstance(branch, dict) else branch for branch in branches}
        return int(value) if kinds & {"int", "long"} and not kinds & {"float", "double"} else value
    return value.to_pydatetime() if isinstance(value, pd.Timestamp) else value


def _keys(frame: pd.DataFrame, key: str | None) -> list[str | bytes | None]:
    if key is None:
        return [None] * len(frame)
    plain = [_plain(value, None) for value in _column(frame, key)]
    return [value if value is None or isinstance(value, str | bytes) else str(value) for value in plain]


def _table(frame: pd.DataFrame, results: Sequence[Output | Rejected], outputs: dict[int, Any]) -> pd.DataFrame:
    import pandas as pd

    several = len(outputs) > 1
    rows: list[dict[str, Any]] = []
    for result in results:
        if isinstance(result, Rejected):
            rows.append({"stage": result.stage, "message": result.message})
            continue
        value = result.value if isinstance(result.value, dict) else {"output": result.value}
        rows.append({"slot": result.slot, **value} if several else dict(value))
    index = frame.index.take([result.offset for result in results])
    return pd.DataFrame(rows, index=index, columns=None if rows or several else _columns(*outputs.values()))


def _columns(schema: Any) -> list[str] | None:
    """Of a table without rows, as far as a schema says them."""
    if schema is None:
        return None
    record = _record(schema)
    return ["output"] if record is None else [field["name"] for field in record["fields"]]
