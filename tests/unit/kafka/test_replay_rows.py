"""Rows of a CSV file as records."""

from __future__ import annotations

import pandas as pd
import pytest

from stream_scorer.errors import SettingsError
from stream_scorer.kafka.replay_rows import Row, read_rows, rows_of

DAY = 86_400_000


def _rows(write, text, column="Close"):
    return list(read_rows(write("p.csv", text), column, "Date"))


def test_rows_keep_the_files_order(write):
    rows = _rows(write, "Date,Open,Close\n1970-01-03,9,1.5\n1970-01-02,9,-2\n1969-12-31,9,3e2\n")
    assert rows == [Row(2 * DAY, 1.5), Row(DAY, -2.0), Row(-DAY, 300.0)]


def test_rows_without_a_value_are_left_out(write):
    assert _rows(write, 'Date,Close\n1970-01-02,\n1970-01-03,.\n1970-01-04," "\n1970-01-05,null\n\n1970-01-06,1') == [
        Row(5 * DAY, 1.0)
    ]


@pytest.mark.parametrize(
    ("date", "timestamp"),
    [
        ("1970-01-01T00:00:01", 1000),
        ("1970-01-01 00:00:00.0015", 2),
        ("1970-01-01T02:00+02:00", 0),
        (" 1970-01-02 ", DAY),
    ],
)
def test_times_are_utc_unless_they_say_otherwise(date, timestamp, write):
    assert _rows(write, f"Date,Close\n{date},1\n") == [Row(timestamp, 1.0)]


FAULTS = {
    "no such column": ("Date,Open\n1970-01-01,1\n", r"p\.csv: no column 'Close'\. It has 'Date', 'Open'\."),
    "an empty file": ("", r"p\.csv: no column 'Close'\. It has none"),
    "a date that is none": (
        "Date,Close\n1970-01-01,1\n01/02/1970,1\n",
        r"p\.csv:3: expected a date or time of ISO 8601, such as .*, found '01/02/1970'\.",
    ),
    "a number that is none": ('Date,Close\n1970-01-01,"1,5"\n', r"p\.csv:2: expected a number, found '1,5'\."),
    "not text": (b"Date,Close\n\xff\xfe,1\n", r"p\.csv: not a CSV file"),
}


@pytest.mark.parametrize("case", FAULTS)
def test_faults_are_told_with_file_and_line(case, write):
    text, message = FAULTS[case]
    with pytest.raises(SettingsError, match=message):
        _rows(write, text)


def test_a_row_without_its_date_is_told(write):
    with pytest.raises(SettingsError, match=r"p\.csv:2: expected a date or time"):
        _rows(write, "Close,Date\n1.5\n")


@pytest.mark.parametrize("text", ["nan", "inf", "-Infinity"])
def test_a_value_that_is_not_finite_is_not_published(text, write):
    with pytest.raises(SettingsError, match=r"p\.csv:2: "):
        _rows(write, f"Date,Close\n1970-01-01,{text}\n")


def test_a_byte_order_mark_is_no_part_of_the_first_column(write):
    assert _rows(write, "\ufeffDate,Close\n1970-01-02,1.5\n") == [Row(DAY, 1.5)]


def test_a_file_that_is_not_there_is_told(tmp_path):
    with pytest.raises(SettingsError, match=r"gone\.csv: cannot be read \(No such file"):
        list(read_rows(tmp_path / "gone.csv", "Close", "Date"))


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_a_series_by_date_gives_the_same_rows(unit):
    dates = pd.DatetimeIndex(["1969-12-31", "1970-01-02"]).as_unit(unit)
    assert list(rows_of(pd.Series([1.5, 2], dates))) == [Row(-DAY, 1.5), Row(DAY, 2.0)]
