"""Numbers of CSV: what JSON or RFC 4180 would not take for one stays a text, for the schema to refuse."""

from __future__ import annotations

import math

import pytest

from stream_scorer.codec.csv_codec import CsvCodec
from stream_scorer.codec.schema import make_schema

ROW = {"type": "record", "name": "r", "fields": [{"name": "n", "type": "long"}, {"name": "x", "type": "double"}]}
READ = {
    "plain": ("1,2.5", (1, 2.5)),
    "signs and blanks": (" -1 ,+2e3", (-1, 2000.0)),
    "no number": ("one,two", ("one", "two")),
    "underscores": ("1_000,1_0.5", ("1_000", "1_0.5")),
    "digits of another script": ("\u0663,\u0663", ("\u0663", "\u0663")),
    "too large for a double": ("1,1e400", (1, "1e400")),
    "too large, negative": ("1,-1" + "0" * 400, (1, "-1" + "0" * 400)),
    "infinite, and says so": ("1,-Infinity", (1, -math.inf)),
}


@pytest.mark.parametrize("case", READ)
def test_numbers(case):
    text, expected = READ[case]
    assert tuple(CsvCodec(make_schema("r", ROW), {}).load(text.encode()).values()) == expected


def test_not_a_number_is_read_where_it_says_so():
    assert math.isnan(CsvCodec(make_schema("r", ROW), {}).load(b"1,NaN")["x"])
