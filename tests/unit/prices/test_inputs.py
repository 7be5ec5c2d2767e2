"""A history of prices: read, refused, and given to models as they take it."""

from __future__ import annotations

import datetime
import json

import pytest

from stream_scorer.codec.schema import make_schema
from stream_scorer.errors import SettingsError
from stream_scorer.model.archive import write_archive
from stream_scorer.model.locate import Located
from stream_scorer.prices.adjust import adjustment
from stream_scorer.prices.feed import inputs
from stream_scorer.prices.history import read_prices

DAY = datetime.date.fromisoformat


def test_rows_come_in_order_of_time_without_gaps(write):
    path = write("p.csv", "Date,Close\n2001-01-03,3\n2001-01-02,\n2001-01-01,1.5\n")
    found = read_prices(path, "Close", "Date")
    assert found.dates == [DAY("2001-01-01"), DAY("2001-01-03")]
    assert found.closes.tolist() == [1.5, 3.0]


def test_columns_are_found_in_any_case_and_by_other_names(write):
    lower = write("p.csv", "date,close\n2001-01-01,1\n2001-01-02,2\n")
    assert len(read_prices(lower, "Close", "Date")) == 2
    other = write("q.csv", "day,px\n2001-01-01T16:00,1\n2001-01-02T16:00,2\n")
    assert read_prices(other, "px", "day").dates[0] == DAY("2001-01-01")


FAULTS = {
    "no such column": ("Date,Open\n2001-01-01,1\n", r"no column 'Close'\. It has 'Date', 'Open'; .*--column"),
    "a number that is none": ("Date,Close\n2001-01-01,one\n", r"p\.csv:2: expected a finite number, found 'one'"),
    "infinity": ("Date,Close\n2001-01-01,inf\n", r"p\.csv:2: expected a finite number, found 'inf'"),
    "a date that is none": ("Date,Close\n2001-13-01,1\n", r"p\.csv:2: expected a date, found '2001-13-01'"),
    "a date twice": ("Date,Close\n2001-01-01,1\n2001-01-01,2\n", r"p\.csv:3: 2001-01-01 is on line 2 too"),
    "one row": ("Date,Close\n2001-01-01,1\n", r"1 rows with a number in 'Close'; at least 2"),
    "an empty file": ("", r"no column 'Close'\. It has none"),
    "not text": (b"Date,Close\n\xff,1\n", r"p\.csv: not a CSV file"),
}


@pytest.mark.parametrize("case", FAULTS)
def test_faults_are_told_with_file_and_line(case, write):
    text, message = FAULTS[case]
    with pytest.raises(SettingsError, match=message):
        read_prices(write("p.csv", text), "Close", "Date")


def test_a_byte_order_mark_is_no_part_of_the_first_column(write):
    text = "Date,Close\n2001-01-01,1\n2001-01-02,2\n"
    marked = read_prices(write("p.csv", "\ufeff" + text), "Close", "Date")
    assert marked.closes.tolist() == [1.0, 2.0]
    assert list(marked.rows[0]) == ["Date", "Close"]


def test_a_file_that_is_not_there_is_told(tmp_path):
    with pytest.raises(SettingsError, match=r"gone\.csv: cannot be read"):
        read_prices(tmp_path / "gone.csv", "Close", "Date")


@pytest.fixture
def prices(write):
    return read_prices(
        write("p.csv", "Date,Open,Close,Volume\n2001-01-02,9,1.5,10\n2001-01-03,8,2.5,20\n"), "Close", "Date"
    )


def record(*fields):
    return make_schema(
        "r", {"type": "record", "name": "R", "fields": [{"name": name, **rest} for name, rest in fields]}
    )


def test_models_without_schema_and_of_doubles_get_the_prices(prices):
    assert inputs(None, prices, "X", None) == [1.5, 2.5]
    assert inputs(make_schema("double", "double"), prices, "X", None) == [1.5, 2.5]


def test_records_are_filled_by_the_names_of_their_fields(prices):
    schema = record(
        ("symbol", {"type": "string"}),
        ("date", {"type": "string"}),
        ("close", {"type": "double"}),
        ("open", {"type": ["null", "double"]}),
        ("volume", {"type": "long"}),
        ("note", {"type": "string", "default": "-"}),
    )
    assert inputs(schema, prices, "X", None)[1] == {
        "symbol": "X",
        "date": "2001-01-03",
        "close": 2.5,
        "open": 8.0,
        "volume": 20,
    }


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ({"type": "int", "logicalType": "date"}, 11324),
        ("int", 11324),
        ({"type": "long", "logicalType": "timestamp-millis"}, 11324 * 86_400_000),
        ({"type": "long", "logicalType": "timestamp-micros"}, 11324 * 86_400_000_000),
        ("string", "2001-01-02"),
    ],
)
def test_dates_come_as_the_schema_has_them(prices, kind, value):
    assert inputs(record(("date", {"type": kind})), prices, "X", None)[0] == {"date": value}


def test_a_field_that_prices_do_not_have_is_told(prices):
    with pytest.raises(SettingsError, match=r"field 'high' \(double\) is no column of that name.*'Volume'"):
        inputs(record(("high", {"type": "double"})), prices, "X", None)
    with pytest.raises(SettingsError, match="only as doubles or as records"):
        inputs(make_schema("a", {"type": "array", "items": "double"}), prices, "X", None)


@pytest.fixture
def adjusted(tmp_path, write):
    trend = {"epoch": "2001-01-01", "slope": 0.5, "intercept": 1.0}
    write_archive(tmp_path / "a.tar.gz", {"m.json": json.dumps({"trend": trend}).encode()})
    cpi = write("cpi.csv", "DATE,CPIAUCSL\n2000-11-01,10\n2000-12-01,20\n2001-01-01,.\n")
    return adjustment(Located(tmp_path / "m.py", tmp_path / "a.tar.gz", tmp_path), cpi, lag_days=14)


CPI_FAULTS = {
    "not a number": (
        "2000-01-01,1\n2000-02-01,nan\n",
        r"cpi\.csv:3: expected a finite number above 0, found 'nan'\. Leave the field",
    ),
    "infinity": (
        "2000-01-01,1\n2000-02-01,-inf\n",
        r"cpi\.csv:3: expected a finite number above 0, found '-inf'\. Leave the field",
    ),
    "zero": ("2000-01-01,0\n", r"cpi\.csv:2: expected a finite number above 0, found '0'"),
    "a figure that is none": ("2000-01-01,one\n", r"cpi\.csv:2: .*'one'\. .*numbers with a decimal point"),
    "a date twice": ("2000-01-01,1\n2000-01-01,2\n", r"cpi\.csv:3: 2000-01-01 is on line 2 too\. Keep one row"),
    "a date that goes back": (
        "2000-01-01,1\n2000-03-01,3\n2000-02-01,2\n",
        r"cpi\.csv:4: 2000-02-01 comes after 2000-03-01 on line 3\. .*Sort the rows by date, the oldest first",
    ),
    "the first date again, further down": (
        "2000-01-01,1\n2000-02-01,2\n2000-01-01,1\n",
        r"cpi\.csv:4: 2000-01-01 is on line 2 too",
    ),
    "no figures": ("2000-01-01,.\n", r"cpi\.csv: no figures"),
}


@pytest.mark.parametrize("case", CPI_FAULTS)
def test_faults_of_a_cpi_series_are_told_with_file_and_line(case, adjusted, tmp_path, write):
    text, message = CPI_FAULTS[case]
    located = Located(tmp_path / "m.py", tmp_path / "a.tar.gz", tmp_path)
    with pytest.raises(SettingsError, match=message):
        adjustment(located, write("cpi.csv", f"DATE,CPIAUCSL\n{text}"))


@pytest.mark.parametrize(
    ("day", "figure"), [("2000-12-15", 10), ("2001-01-14", 10), ("2001-01-15", 20), ("2001-06-01", 20)]
)
def test_a_cpi_figure_counts_from_the_day_it_is_published(adjusted, day, figure):
    assert adjusted.cpi(DAY(day)) == figure


def test_before_the_first_figure_there_is_none(adjusted):
    with pytest.raises(SettingsError, match="no figure was published by 2000-12-14; the first is on 2000-12-15"):
        adjusted.cpi(DAY("2000-12-14"))


def test_adjusted_values_come_back_by_the_cpi_that_was_known(adjusted):
    made, target = DAY("2001-01-14"), DAY("2001-01-15")
    value = adjusted.adjust(made, 100.0)
    assert value == 100 / 10 - (1 + 0.5 * 13)
    assert adjusted.restore(made, made, value) == 100.0
    assert adjusted.restore(made, target, value) == 105.0, "the line goes on; the figure of the 15th is not known yet"


def test_a_model_whose_trend_is_not_told_cannot_take_adjusted_numbers(tmp_path, write):
    with pytest.raises(SettingsError, match=r"attachment of m\.py has no m\.json with a trend"):
        adjustment(Located(tmp_path / "m.py", None, tmp_path), write("cpi.csv", "DATE,CPI\n2000-01-01,1\n"))
