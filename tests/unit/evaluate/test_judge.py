"""What counts as a number, and which schemas can be judged."""

from __future__ import annotations

import decimal
import math

import numpy as np
import pytest

from stream_scorer.codec.schema import make_schema
from stream_scorer.errors import SettingsError
from stream_scorer.evaluate.judge import StreamJudge, check_field, finite


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (1.5, 1.5),
        (2, 2.0),
        (np.float32(0.5), 0.5),
        (np.int64(3), 3.0),
        (decimal.Decimal("1.25"), 1.25),
        (None, None),
        (True, None),
        ("1.5", None),
        (b"1", None),
        (math.nan, None),
        (-math.inf, None),
        (10**400, None),
        ([1.0], None),
        ({}, None),
    ],
)
def test_numbers(value, number):
    assert finite(value) == number
    judge = StreamJudge(None, None, field="close")
    assert judge.actual(value) == (None if value == {} else number)
    assert judge.actual({"close": value}) == number


def test_an_interval_needs_both_bounds():
    judge = StreamJudge(None, None, field="close", low="p5", high="p95")
    assert judge.forecast({"close": 1, "p5": 0, "p95": 2}) == (1.0, 0.0, 2.0)
    assert judge.forecast({"close": 1, "p5": 0}) == (1.0, None, None)
    assert judge.forecast({"close": 1, "p5": 0, "p95": math.nan}) == (1.0, None, None)
    assert judge.forecast({"p5": 0, "p95": 1}) is None
    assert judge.forecast(2.5) == (2.5, None, None)


RECORD = make_schema(
    "quote", {"type": "record", "name": "Quote", "fields": [{"name": n, "type": "double"} for n in ("open", "close")]}
).parsed


@pytest.mark.parametrize(
    ("field", "schema"), [("close", RECORD), ("", "double"), ("", {"type": "long"}), ("x", ["null", "double"])]
)
def test_schemas_that_may_be_judged(field, schema):
    check_field(field, 0, schema)


@pytest.mark.parametrize(
    ("field", "schema", "text"),
    [
        ("", RECORD, r"slot 0 is a record\. Name the field that is forecast: open, close\."),
        ("clsoe", RECORD, r"slot 0 has no field 'clsoe'\..*open, close"),
        ("", "string", r"--evaluate: the values of slot 0 are of type string"),
    ],
)
def test_schemas_that_cannot_are_told_with_what_there_is(field, schema, text):
    with pytest.raises(SettingsError, match=text):
        check_field(field, 0, schema)
