"""Prices and CPI: read, refused, or made up."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from stream_scorer.errors import SettingsError
from training import data


def test_closes_come_in_order_of_time_without_gaps(write):
    prices = data.read_prices(write("p.csv", "Date,Open,Close\n2001-01-03,9,3\n2001-01-01,9,1.5\n2001-01-02,9,\n"))
    assert prices.to_dict() == {pd.Timestamp("2001-01-01"): 1.5, pd.Timestamp("2001-01-03"): 3.0}
    assert prices.dtype == np.float64


def test_columns_may_have_other_names(write):
    prices = data.read_prices(write("p.csv", "day,px\n2001-01-01,1\n"), "px", "day")
    assert prices.to_dict() == {pd.Timestamp("2001-01-01"): 1.0}


FAULTS = {
    "no such column": ("Date,Open\n2001-01-01,1\n", r"p\.csv: no column 'Close'\. It has 'Date', 'Open'\."),
    "no such date column": ("Day,Close\n2001-01-01,1\n", r"no column 'Date'\. It has 'Day', 'Close'"),
    "a number that is none": ("Date,Close\n2001-01-01,one\n", r"p\.csv: .*one.*numbers with a decimal point"),
    "a date that is none": ("Date,Close\n2001-13-01,1\n", r"p\.csv: .*2001-13-01.*Dates as 2007-06-01"),
    "a date twice": ("Date,Close\n2001-01-01,1\n2001-01-01,2\n", r"2001-01-01 is there twice \(1 such dates\)"),
    "an empty file": ("", r"p\.csv: cannot be read as CSV"),
    "not text": (b"Date,Close\n\xff,1\n", r"p\.csv: cannot be read as CSV"),
}


@pytest.mark.parametrize("case", FAULTS)
def test_faults_are_told_with_the_file(case, write):
    text, message = FAULTS[case]
    with pytest.raises(SettingsError, match=message):
        data.read_prices(write("p.csv", text))


def test_an_empty_date_is_no_date(write):
    with pytest.raises(SettingsError, match="date"):
        data.read_prices(write("p.csv", "Date,Close\n2001-01-01,1\n,2\n"))


def test_a_file_that_is_not_there_is_told(tmp_path):
    with pytest.raises(SettingsError, match=r"gone\.csv: cannot be read as CSV"):
        data.read_cpi(tmp_path / "gone.csv")


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
