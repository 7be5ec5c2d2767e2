"""Prices and CPI: read, refused, or made up."""

from __future__ import annotations

import hashlib
import sys

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stream_scorer_training import data
from stream_scorer_training.parse import parse_numbers
from stream_scorer_training.tables import Table

from stream_scorer.errors import SettingsError


def test_closes_come_in_order_of_time_without_gaps(write):
    prices = data.read_prices(write("p.csv", "Date,Open,Close\n2001-01-03,9,3\n2001-01-02,9,\n2001-01-01,9,1.5\n"))
    assert prices.to_dict() == {pd.Timestamp("2001-01-01"): 1.5, pd.Timestamp("2001-01-03"): 3.0}
    assert prices.dtype == np.float64


def test_columns_may_have_other_names(write):
    prices = data.read_prices(write("p.csv", "day,px\n2001-01-01,1\n"), "px", "day")
    assert prices.to_dict() == {pd.Timestamp("2001-01-01"): 1.0}


YAHOO = "Date,Open,High,Low,Close,Adj Close,Volume\n2001-01-22,9,9,9,1283.27,1200,5\n2001-01-23,9,9,9,1347.5,1200,5\n"
VENDORS = {
    "Yahoo": YAHOO,
    "Yahoo by yfinance": "Price,Close,High,Low,Open,Volume\nTicker,^GSPC,^GSPC,^GSPC,^GSPC,^GSPC\nDate,,,,,\n"
    "2001-01-22,1283.27,9,9,9,5\n2001-01-23,1347.5,9,9,9,5\n",
    "yfinance with times": "Date,Open,Close\n2001-01-22 00:00:00-05:00,9,1283.27\n2001-01-23 00:00:00-05:00,9,1347.5\n",
    "Stooq": "Date,Open,High,Low,Close,Volume\n2001-01-22,9,9,9,1283.27,5\n2001-01-23,9,9,9,1347.5,5\n",
    "Stooq in Polish": "Data,Otwarcie,Zamkniecie,Wolumen\n2001-01-22,9,1283.27,5\n2001-01-23,9,1347.5,5\n",
    "Stooq's archive": "<TICKER>,<PER>,<DATE>,<TIME>,<OPEN>,<HIGH>,<LOW>,<CLOSE>,<VOL>\n^SPX,D,20010122,000000,9,9,9,1283.27,5\n"
    "^SPX,D,20010123,000000,9,9,9,1347.5,5\n",
    "FRED": "observation_date,SP500\n2001-01-22,1283.27\n2001-01-23,1347.5\n2001-01-24,\n",
    "FRED as it was": "DATE,SP500\n2001-01-22,1283.27\n2001-01-23,1347.5\n2001-01-24,.\n",
    "Investing.com": '\ufeff"Date","Price","Open","High","Low","Vol.","Change %"\n'
    '"01/23/2001","1,347.50","9","9","9","","5.01%"\n"01/22/2001","1,283.27","9","9","9","","-2.80%"\n',
    "Investing.com with months": '"Date","Price","Open"\n"Jan 23, 2001","1,347.50","9"\n"Jan 22, 2001","1,283.27","9"\n',
    "Investing.com in German": '"Datum","Zuletzt","Eröffn."\n"23.01.2001","1.347,50","9"\n"22.01.2001","1.283,27","9"\n',
    "semicolons, decimal commas": "Datum;Schlusskurs\n22.01.2001;1283,27\n23.01.2001;1347,5\n",
    "Nasdaq": "Date,Close/Last,Volume,Open,High,Low\n01/23/2001,$1347.50,--,9,9,9\n01/22/2001,$1283.27,--,9,9,9\n",
    "tabs, other case": "date\tclose\n2001/01/22\t1 283.27\n2001/01/23\t1 347.50\n",
}


@pytest.mark.parametrize("vendor", VENDORS)
def test_files_as_vendors_give_them(vendor, write):
    found = data.load_prices(write("p.csv", VENDORS[vendor]))
    assert {str(day.date()): close for day, close in found.series.items()} == {
        "2001-01-22": 1283.27,
        "2001-01-23": 1347.5,
    }
    assert found.newest_first == VENDORS[vendor].lstrip("\ufeff").startswith(('"Dat', "Date,Close/Last"))
    assert found.missing == vendor.startswith("FRED")


def test_what_was_read_is_told_with_its_checksum(write):
    found = data.load_prices(write("p.csv", YAHOO)).facts(max_gap_days=7)
    assert found == {
        "source": "p.csv",
        "sha256": hashlib.sha256(YAHOO.encode()).hexdigest(),
        "rows": 2,
        "without_a_value": 0,
        "first": "2001-01-22",
        "last": "2001-01-23",
        "gaps_longer_than_days": 7,
        "gaps": [],
    }


def test_long_gaps_are_told(write):
    """Trading stopped for a week in September 2001; a figure that was never published leaves a gap too."""
    closes = "Date,Close\n2001-09-10,1\n2001-09-17,2\n2001-09-26,3\n2001-09-27,\n2001-09-28,4\n"
    series = data.read_prices(write("p.csv", closes))
    assert data.gaps(series, 7) == [("2001-09-17", "2001-09-26", 9)]
    assert [gap.days for gap in data.gaps(series, 6)] == [7, 9]
    assert data.gaps(series[:1], 1) == []


def test_cpi_is_the_one_series_of_a_file_of_fred(write):
    text = "observation_date,CPIAUCNS\n2001-01-01,175.1\n2001-02-01,175.8\n"
    assert data.read_cpi(write("cpi.csv", text)).tolist() == [175.1, 175.8]


DAYS = "2001-01-01,1\n2001-01-02,2\n"
FAULTS = {
    "no such column": (
        "Date,Open\n2001-01-01,1\n",
        r"p\.csv: no column 'Close' \(nor .*'Price'.*It has 'Date', 'Open'\.",
    ),
    "no such date column": ("Day,Close\n2001-01-01,1\n", r"no column 'Date' .*It has 'Day', 'Close'"),
    "a number that is none": (
        f"Date,Close\n{DAYS}2001-01-03,one\n",
        r"p\.csv: line 4: expected a finite number in 'Close', found 'one'\.",
    ),
    "an infinite number": (
        f"Date,Close\n{DAYS}2001-01-03,inf\n",
        r"line 4: expected a finite number in 'Close', found 'inf'",
    ),
    "two styles of numbers": (
        "Date;Close\n2001-01-01;1.5\n2001-01-02;1,5\n",
        r"line [23]: .*found '1[.,]5'\. Write all numbers of a column in one way",
    ),
    "a thousand or a decimal": (
        "Date;Close\n2001-01-01;1.234\n",
        r"line 2: '1\.234' .*may be a number above 1,000 or a decimal",
    ),
    "a date that is none": (
        f"Date,Close\n{DAYS}\n2001-13-01,1\n",
        r"line 5: expected a date in 'Date', found '2001-13-01'\. The rows before look like '2001-01-01'",
    ),
    "no date alike": (
        "Date,Close\nfirst,1\n",
        r"line 2: .*found 'first'\. Write all dates in one way, best as 2007-06-01",
    ),
    "day or month first": ("Date,Close\n01/02/2001,1\n", r"'01/02/2001' in 'Date' may be day or month first"),
    "a date twice": (
        f"Date,Close\n{DAYS}2001-01-01,1\n",
        r"line 4: 2001-01-01 occurs twice, first in line 2 \(1 such rows\)",
    ),
    "in no order": (
        f"Date,Close\n{DAYS}2000-12-29,1\n",
        r"line 4: 2000-12-29 comes after 2001-01-02, .* go forward in time",
    ),
    "newest first, and then not": (
        "Date,Close\n2001-01-02,1\n2001-01-01,1\n2001-01-03,1\n",
        r"line 4: .* go back in time",
    ),
    "an empty date": (f"Date,Close\n{DAYS},2\n", r"line 4 has no date in 'Date'"),
    "a line cut off": (f"Date,Close\n{DAYS}2001-01\n", r"line 4 has 1 fields, the header has 2"),
    "a number without quotes": (
        "Date,Close\n2001-01-02,1,283.27\n",
        r"line 2 has 3 fields, .*',' in a number that needs quotes",
    ),
    "no number at all": ("Date,Close\n2001-01-01,\n", r"no number in 'Close'"),
    "a header alone": ("Date,Close\n", r"no rows below the header"),
    "an empty file": ("", r"p\.csv: cannot be read as CSV: it is empty"),
    "not text": (b"Date,Close\n\xff,1\n", r"p\.csv: cannot be read as CSV: byte 11 is not UTF-8"),
}


@pytest.mark.parametrize("case", FAULTS)
def test_faults_are_told_with_file_and_line(case, write):
    text, message = FAULTS[case]
    with pytest.raises(SettingsError, match=message):
        data.read_prices(write("p.csv", text))


def test_a_file_that_is_not_there_is_told(tmp_path):
    with pytest.raises(SettingsError, match=r"gone\.csv: cannot be read: No such file"):
        data.read_cpi(tmp_path / "gone.csv")


def test_the_order_of_rows_tells_day_from_month(write):
    """Each date of either way is one: only one way they are in order."""
    prices = data.read_prices(write("p.csv", "Date,Close\n11/12/2001,1\n12/12/2001,2\n03/01/2002,3\n02/02/2002,4\n"))
    assert [str(day.date()) for day in prices.index] == ["2001-12-11", "2001-12-12", "2002-01-03", "2002-02-02"]


@given(st.lists(st.floats(0.01, 1e9), min_size=1, max_size=30), st.sampled_from("pc"))
def test_numbers_come_back_whichever_way_they_are_written(values, style):
    """Thousands set apart, two decimals, point or comma."""
    written = [f"{value:,.2f}" for value in values]
    if style == "c":
        written = [text.translate(str.maketrans(",.", ".,")) for text in written]
    table = Table("x", ["v"], [[text] for text in written], range(len(values)), "")
    assert parse_numbers(table, "v").tolist() == [round(float(f"{value:.2f}"), 2) for value in values]


@pytest.mark.parametrize("index", [True, False])
def test_parquet(tmp_path, index):
    pytest.importorskip("pyarrow")
    prices, _ = data.synthetic_prices(50)
    frame = prices.to_frame() if index else prices.reset_index()
    frame.to_parquet(tmp_path / "p.parquet")
    found = data.load_prices(tmp_path / "p.parquet")
    assert found.series.tolist() == prices.tolist()
    assert list(found.series.index) == list(prices.index)
    with pytest.raises(SettingsError, match=r"p\.parquet: no column 'px' with closes\. It has 'Date', 'Close'"):
        data.read_prices(tmp_path / "p.parquet", "px")


def test_parquet_that_is_none(write):
    pytest.importorskip("pyarrow")
    with pytest.raises(SettingsError, match=r"p\.parquet: cannot be read as Parquet"):
        data.read_prices(write("p.parquet", YAHOO))


def test_parquet_without_pyarrow_is_told(write, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(
        SettingsError, match=r"p\.parquet: Parquet needs pyarrow: pip install 'stream-scorer\[parquet\]'"
    ):
        data.read_prices(write("p.parquet", b"PAR1"))


def test_made_up_prices_are_the_same_for_the_same_seed():
    (prices, cpi), again = data.synthetic_prices(100), data.synthetic_prices(100)
    pd.testing.assert_series_equal(prices, again[0], check_exact=True)
    pd.testing.assert_series_equal(cpi, again[1], check_exact=True)
    assert not prices.equals(data.synthetic_prices(100, seed=1)[0])
    assert prices.equals(data.synthetic_prices(200)[0][:100])


def test_made_up_prices_are_closes_on_business_days_with_a_cpi_around_them():
    prices, cpi = data.synthetic_prices(300)
    assert len(prices) == 300
    assert (prices.index.day_of_week < 5).all()
    assert (prices > 0).all()
    assert (cpi.index.day == 1).all()
    assert cpi.index[0] < prices.index[0]
    assert cpi.index[-1] > prices.index[-1] + pd.Timedelta(days=31)


def test_steady_cpi_meets_the_two_published_figures():
    cpi = data.steady_cpi(pd.DatetimeIndex(["1950-02-01", "2007-05-01"]))
    assert cpi["1950-01-01"] == pytest.approx(23.51)
    assert cpi["2007-06-01"] == pytest.approx(207.234)
    assert cpi.index[0] < pd.Timestamp("1950-02-01")


def test_a_long_synthetic_series_does_not_reach_into_the_future():
    """Brokers refuse records that are dated ahead of their clock."""
    prices, cpi = data.synthetic_prices(17_000)
    assert len(prices) == 17_000
    assert str(prices.index[-1].date()) == "2024-12-31"
    assert cpi.index[0] < prices.index[0]
