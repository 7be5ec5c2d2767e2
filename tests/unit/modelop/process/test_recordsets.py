"""Record sets in both directions. Rules `c.*` of docs/conformance.md."""

from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_scorer.errors import ActionError
from stream_scorer.model.recordsets import make_set, plain, records_of
from tests.unit.modelop.process.conftest import SET, batch, told

NUMBERS = st.floats(allow_nan=False) | st.integers(-(2**53), 2**53)
TEXTS = st.text(max_size=5)
NAMES = st.lists(st.text("abcdef", min_size=1, max_size=3), min_size=1, max_size=4, unique=True)
ROWS = NAMES.flatmap(
    lambda names: st.lists(
        st.fixed_dictionaries({name: TEXTS if name < "c" else st.floats(allow_nan=False) for name in names}),
        min_size=1,
        max_size=6,
    )
)
MATRICES = st.integers(1, 4).flatmap(
    lambda width: st.lists(st.lists(st.floats(allow_nan=False), min_size=width, max_size=width), min_size=1, max_size=5)
)


@given(ROWS)
def test_records_come_back_from_a_frame(rows):
    frame = make_set(rows)
    assert isinstance(frame, pd.DataFrame)
    assert records_of(frame) == rows


@given(MATRICES)
def test_arrays_come_back_from_a_matrix(rows):
    matrix = make_set(rows)
    assert isinstance(matrix, np.matrix)
    assert records_of(matrix) == rows


@given(st.lists(NUMBERS, min_size=1) | st.lists(TEXTS, min_size=1) | st.lists(st.booleans(), min_size=1))
def test_single_values_come_back_from_a_series(values):
    series = make_set(values)
    assert isinstance(series, pd.Series)
    assert records_of(series) == values


@given(ROWS | MATRICES | st.lists(TEXTS, min_size=1))
def test_what_comes_back_can_be_written(rows):
    assert json.loads(json.dumps(records_of(make_set(rows)))) == rows


def test_no_records_are_an_empty_frame():
    frame = make_set([])
    assert isinstance(frame, pd.DataFrame)
    assert frame.empty
    assert records_of(frame) == []


def test_a_field_that_some_records_lack_is_missing_in_them():
    frame = make_set([{"a": 1}, {"b": "x"}])
    assert list(frame.columns) == ["a", "b"]
    (first, second) = records_of(frame)
    assert first["a"] == 1
    assert math.isnan(second["a"])


OUT = {
    "a frame": (pd.DataFrame({"x": [1, 2], "y": ["a", "b"]}), [{"x": 1, "y": "a"}, {"x": 2, "y": "b"}]),
    "a frame of one type of columns keeps each column's own": (
        pd.DataFrame({"x": [1, 2], "y": [0.5, 1.0]}),
        [{"x": 1, "y": 0.5}, {"x": 2, "y": 1.0}],
    ),
    "a frame with a named index": (
        pd.DataFrame({"x": [1, 2]}, index=pd.Index(["a", "b"], name="k")),
        [{"a": {"x": 1}}, {"b": {"x": 2}}],
    ),
    "a frame without columns": (pd.DataFrame(index=range(2)), [{}, {}]),
    "a matrix": (np.arange(4).reshape(2, 2).view(np.matrix), [[0, 1], [2, 3]]),
    "an array": (np.arange(4).reshape(2, 2), [[0, 1], [2, 3]]),
    "an array of one dimension": (np.array([0.5, 1]), [0.5, 1.0]),
    "a series": (pd.Series([1, 2]), [1, 2]),
    "a series with what is missing": (pd.Series([1, None], dtype="Int64"), [1, None]),
    "a series of texts with one missing": (pd.Series(["a", None]), ["a", None]),
    "a frame of texts with one missing": (pd.DataFrame({"a": ["b", None]}), [{"a": "b"}, {"a": None}]),
    "a list": ([1, {"a": 2}], [1, {"a": 2}]),
    "an empty frame": (pd.DataFrame(), []),
}


@pytest.mark.parametrize("case", OUT)
def test_a_set_out(case):
    value, records = OUT[case]
    found = records_of(value)
    assert found == records
    assert [type(one) for one in found] == [type(one) for one in records]


@pytest.mark.parametrize("value", [{"a": 1}, 5, "text", None, np.float64(1)])
def test_anything_else_is_an_error(value):
    with pytest.raises(ActionError, match="Give a DataFrame"):
        records_of(value)


def test_pandas_values_within_a_record():
    moment = pd.Timestamp("2020-01-02T03:04:05")
    assert plain({"t": (moment, pd.NaT), "d": pd.Timedelta("1s")}) == {"t": (moment.to_pydatetime(), None), "d": 1.0}


BOTH = """
# fastscore.recordsets: true
def action(records, slot, seqno):
    assert seqno == 4
    yield records
"""


@pytest.mark.parametrize(
    "records", [[{"x": 1.5, "y": "a"}, {"x": 2.5, "y": "b"}], [[1, 2], [3, 4]], [1.5, 2.5], ["a", "b"]]
)
def test_a_set_passes_and_is_marked(records, run):
    result = run(BOTH).feed(batch(*records, first=4))
    assert [value for _, value in told(result)] == [*records, {"$fastscore": "set"}]
    assert result.output_count == {1: len(records)}, "markers are no records"


def test_an_empty_set_echoes_as_a_lone_marker(run):
    runner = run("# fastscore.recordsets: yes\ndef action(x): yield x")
    assert told(runner.feed(batch(end=SET))) == [(1, {"$fastscore": "set"})]
    assert told(runner.feed(batch())) == [], "where nothing came there is no set"


def test_sets_in_and_records_out(run):
    runner = run("# fastscore.recordsets.0: true\ndef action(x): yield {'sum': x['a'].sum(), 'n': len(x)}")
    assert told(runner.feed(batch({"a": 1}, {"a": 2}, end=SET))) == [(1, {"sum": 3, "n": 2})]


def test_records_in_and_sets_out(run):
    source = "# fastscore.recordsets.1: true\nimport pandas as pd\ndef action(x): yield pd.Series([x, x + 1])"
    marker = {"$fastscore": "set"}
    assert [value for _, value in told(run(source).feed(batch(1, 5)))] == [1, 2, marker, 5, 6, marker]


def test_elements_are_checked_one_by_one(run):
    runner = run("# fastscore.recordsets: true\ndef action(x): yield x * 1.5", schemas={0: "int", 1: "double"})
    result = runner.feed(batch(1, "x", 3, b"{"))
    assert [value for _, value in told(result)] == [1.5, 4.5, {"$fastscore": "set"}]
    assert (result.rejected_by_encoding, result.rejected_by_schema) == ({0: 1}, {0: 1})


@pytest.mark.parametrize(
    ("source", "records", "message"),
    [
        ("def action(x): yield 5", [1], "slot with record sets was given a int"),
        ("def action(x): 1 / 0", [1], "ZeroDivisionError"),
        ("def action(x): yield x", [[1, 2], [3]], "ValueError"),
    ],
)
def test_a_failure_shows_the_whole_set(source, records, message, run):
    result = run(f"# fastscore.recordsets: true\n{source}").feed(batch(*records, first=3))
    assert message in result.failure.reason
    assert result.failure.input["data"] == [json.dumps(record) for record in records]
    assert (result.failure.input["seqno"], result.failure.input["batch_len"]) == (3, len(records))
