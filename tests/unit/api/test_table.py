"""A DataFrame in, a DataFrame out."""

from __future__ import annotations

import pytest

from stream_scorer import ActionError, SchemaError, SettingsError, open_model, score_table

pd = pytest.importorskip("pandas")
CHANGE = """
    # fastscore.schema.0: price
    # fastscore.schema.1: change
    last = None
    def action(record):
        global last
        if record["price"] < 0:
            raise ValueError("below 0")
        before, last = last, record["price"]
        if before is not None:
            yield {"symbol": record["symbol"], "change": last - before}
"""
RECORD = '{{"type": "record", "name": "{}", "fields": [{{"name": "symbol", "type": {}}}, {{"name": "{}", "type": "double"}}]}}'


@pytest.fixture
def change(write):
    write("price.avsc", RECORD.format("price", '["null", "string"]', "price"))
    write("change.avsc", RECORD.format("change", '["null", "string"]', "change"))
    return write("change.py", CHANGE)


@pytest.fixture
def mean(write):
    return write(
        "double.py", "# fastscore.schema.0: double\n# fastscore.schema.1: double\ndef action(x):\n yield 2 * x\n"
    )


def test_records_by_columns_with_a_session_for_each_key(change):
    frame = pd.DataFrame(
        {"more": 0, "price": [1.0, 10.0, 2.5, 11.0], "symbol": ["A", "B", "A", "B"]}, index=list("wxyz")
    )
    table = score_table(change, frame, key="symbol")
    assert table.to_dict("list") == {"symbol": ["A", "B"], "change": [1.5, 1.0]}
    assert list(table.index) == ["y", "z"]


def test_one_column_of_numbers(mean):
    frame = pd.DataFrame({"x": [1, 2], "y": [5, 6]})
    assert score_table(mean, frame, column="y").to_dict("list") == {"output": [10.0, 12.0]}
    assert score_table(mean, frame[["x"]]).to_dict("list") == {"output": [2.0, 4.0]}
    with pytest.raises(SettingsError, match="column=NAME"):
        score_table(mean, frame)


def test_columns_that_lack_are_named(change, mean):
    with pytest.raises(SettingsError, match=r"no column 'price'\. Its columns are: symbol"):
        score_table(change, pd.DataFrame({"symbol": ["A"]}))
    with pytest.raises(SettingsError, match="no column 'z'"):
        score_table(mean, pd.DataFrame({"x": [1]}), column="z")


def test_a_missing_value_is_null_where_it_may_be_and_nan_elsewhere(change, mean):
    frame = pd.DataFrame({"symbol": [None, float("nan")], "price": [1.0, 2.0]})
    assert score_table(change, frame).to_dict("list") == {"symbol": [None], "change": [1.0]}
    assert score_table(mean, pd.DataFrame({"x": [None, 1.0]})).isna()["output"].tolist() == [True, False]


def test_rows_that_are_rejected_raise_or_stand_in_the_table(change):
    frame = pd.DataFrame({"symbol": "A", "price": [1.0, -1.0, 2.0]})
    with open_model(change) as model:
        with pytest.raises(ActionError, match="value 1"):
            score_table(model, frame, key="symbol")
        assert model.state("A") == {"last": None}
        table = score_table(model, frame, key="symbol", on_reject="return")
    assert list(table.index) == [1, 2]
    assert table["stage"].tolist()[0] == "action"
    assert "below 0" in table["message"].tolist()[0]
    assert table["change"].tolist()[1] == 1.0


def test_a_table_without_outputs_has_no_rows(change):
    assert score_table(change, pd.DataFrame({"symbol": ["A"], "price": [1.0]})).empty


def test_several_slots_have_a_column_of_their_number(write):
    path = write("two.py", "# fastscore.slot.3: in-use\ndef action(x):\n yield x['v']\n yield 3, str(x)\n")
    table = score_table(path, pd.DataFrame({"k": ["a"], "v": [7]}), key="k")
    assert table.to_dict("list") == {"slot": [1, 3], "output": [7, "{'v': 7}"]}


def test_times_of_pandas_are_times(write):
    write("at.avsc", '{"type": "long", "logicalType": "timestamp-millis"}')
    path = write("at.py", "# fastscore.schema.0: at\n# fastscore.schema.1: at\ndef action(x):\n yield x + 1\n")
    frame = pd.DataFrame({"at": pd.to_datetime(["1970-01-01T00:00:01Z"])})
    assert score_table(path, frame, column="at").to_dict("list") == {"output": [1001]}


def test_columns_of_one_name_are_refused(change, mean, write):
    """pandas gives a table for such a name, and drops all but the last of a row."""
    echo = write("echo.py", "def action(x):\n yield x\n")
    twice = pd.DataFrame([["A", 1.0, 2.0]], columns=["symbol", "price", "price"])
    for call in (
        lambda: score_table(change, twice),
        lambda: score_table(mean, twice, column="price"),
        lambda: score_table(echo, twice, key="symbol"),
        lambda: score_table(echo, twice, key="price"),
    ):
        with pytest.raises(SettingsError, match=r"several columns 'price'\. Rename"):
            call()
    with pytest.raises(SettingsError, match="several columns '1'"):
        score_table(echo, pd.DataFrame([[5, 6]], columns=[1, "1"]))
    assert score_table(mean, twice, column="symbol", on_reject="return")["stage"].tolist() == ["schema"]


def test_what_is_no_frame_is_refused(mean):
    for values in (pd.Series([1.0]), [1.0], {"x": [1.0]}):
        with pytest.raises(TypeError, match=f"not {type(values).__name__}: score values by score"):
            score_table(mean, values)
    with pytest.raises(ValueError, match="not 'ignore'"):
        score_table(mean, pd.DataFrame({"x": [1.0]}), on_reject="ignore")


def test_integers_beside_missing_values_are_integers(write):
    """pandas makes 7.0 of the 7."""
    fields = '[{"name": "n", "type": ["null", "long"]}, {"name": "x", "type": ["null", "double"]}]'
    write("row.avsc", f'{{"type": "record", "name": "row", "fields": {fields}}}')
    path = write("types.py", "# fastscore.schema.0: row\ndef action(row):\n yield f\"{row['n']!r} {row['x']!r}\"\n")
    frame = pd.DataFrame({"n": [7, None], "x": [7, None]})
    assert score_table(path, frame)["output"].tolist() == ["7 7.0", "None None"]
    with pytest.raises(SchemaError, match=r"not 7\.5"):
        score_table(path, pd.DataFrame({"n": [7.5], "x": [1.0]}))


def test_a_row_of_defaults_is_a_row(write):
    write("row.avsc", '{"type": "record", "name": "row", "fields": [{"name": "n", "type": "long", "default": 3}]}')
    path = write("rows.py", "# fastscore.schema.0: row\ndef action(row):\n yield row['n']\n")
    assert score_table(path, pd.DataFrame({"other": [1, 2]}))["output"].tolist() == [3, 3]


def test_the_record_of_a_union_is_a_row(write):
    write("row.avsc", '["null", {"type": "record", "name": "row", "fields": [{"name": "n", "type": "long"}]}]')
    path = write("rows.py", "# fastscore.schema.0: row\ndef action(row):\n yield row['n']\n")
    assert score_table(path, pd.DataFrame({"n": [1, 2], "m": 0}))["output"].tolist() == [1, 2]


def test_the_only_column_beside_the_key_is_the_value(mean):
    assert score_table(mean, pd.DataFrame({"x": [1.0], "k": ["a"]}), key="k").to_dict("list") == {"output": [2.0]}


def test_a_table_without_rows_has_the_columns_that_the_schema_says(change, mean):
    assert list(score_table(mean, pd.DataFrame({"x": []}))) == ["output"]
    assert list(score_table(change, pd.DataFrame({"symbol": ["A"], "price": [1.0]}))) == ["symbol", "change"]
