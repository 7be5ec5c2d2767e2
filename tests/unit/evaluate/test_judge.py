"""What counts as a number, and which schemas can be judged."""

from __future__ import annotations

import datetime
import decimal
import math

import numpy as np
import pytest

from stream_scorer.codec import codec_for
from stream_scorer.codec.logical_fields import meaning_of
from stream_scorer.codec.schema import make_schema
from stream_scorer.errors import SettingsError
from stream_scorer.evaluate.judge import StreamJudge, check_fields, finite
from stream_scorer.records import PendingForecast


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
    assert judge.forecast({"close": 1, "p5": 0, "p95": 2}) == (1.0, 0.0, 2.0, None)
    assert judge.forecast({"close": 1, "p5": 0}) == (1.0, None, None, None)
    assert judge.forecast({"close": 1, "p5": 0, "p95": math.nan}) == (1.0, None, None, None)
    assert judge.forecast({"p5": 0, "p95": 1}) is None
    assert judge.forecast(2.5) == (2.5, None, None, None)


DAY = 86_400_000


def test_a_forecast_of_a_day_meets_the_record_of_that_day():
    judge = StreamJudge(None, None, field="close", date="date")
    assert judge.forecast({"close": 1, "date": "1970-01-04"}) == (1.0, None, None, 3 * DAY)
    assert judge.forecast({"close": 1}) is None, "of which day it is cannot be told"
    assert judge.forecast(2.5) is None
    note = PendingForecast(1.0, 1.0, None, None, 0, None, 3 * DAY)
    dates = "1970-01-03", 3, datetime.date(1970, 1, 4), "1970-01-05", None, "soon"
    assert [judge.met(note, {"date": date}) for date in dates] == [None, True, True, False, None, None]
    assert judge.met(note, 2.5) is None
    assert judge.met(note._replace(due=None), {"date": "1970-01-09"}), "made when forecasts were of the next record"
    assert StreamJudge(None, None, field="close").met(note, {"date": "1970-01-09"}), "no longer compared"


RECORD = make_schema(
    "quote", {"type": "record", "name": "Quote", "fields": [{"name": n, "type": "double"} for n in ("open", "close")]}
).parsed


@pytest.mark.parametrize(
    ("field", "schema"), [("close", RECORD), ("", "double"), ("", {"type": "long"}), ("x", ["null", "double"])]
)
def test_schemas_that_may_be_judged(field, schema):
    check_fields(field, "", 0, schema)


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
        check_fields(field, "", 0, schema)


def test_a_record_that_may_be_null_may_have_a_date():
    check_fields("close", "date", 0, ["null", RECORD])


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        (RECORD, r"--evaluate-date: the schema of slot 1 has no field 'date'\..*open, close"),
        ("double", r"--evaluate-date date: the values of slot 1 are not records"),
    ],
)
def test_a_date_that_a_schema_has_not_is_told(schema, text):
    with pytest.raises(SettingsError, match=text):
        check_fields("close", "date", 1, schema)


def _row(day, close):
    fields = [{"name": "close", "type": close}, {"name": "at", "type": day}]
    return make_schema("row", {"type": "record", "name": "row", "fields": fields})


MICROS = {"type": "long", "logicalType": "timestamp-micros"}
MONEY = {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}
THREE = datetime.date(1970, 1, 4)
MIDNIGHT = datetime.datetime(1970, 1, 4)


@pytest.mark.parametrize("encoding", ["avro-binary", "json"])
@pytest.mark.parametrize(
    ("day", "given"),
    [
        ({"type": "int", "logicalType": "date"}, THREE),
        ({"type": "long", "logicalType": "timestamp-millis"}, MIDNIGHT),
        (MICROS, MIDNIGHT),
        (["null", MICROS], MIDNIGHT),
        ("string", "1970-01-04"),
        ("long", 3 * DAY),
    ],
)
def test_times_and_decimals_are_judged_by_their_schema(encoding, day, given):
    """Models and the judge get the number underneath, in JSON perhaps within a tag: what it counts the schema says."""
    schema = _row(day, ["null", MONEY])
    codec = codec_for(encoding, schema)
    seen = codec.decode(codec.encode({"close": decimal.Decimal("12.50"), "at": given}))
    judge = StreamJudge(None, None, field="close", date="at", inputs=meaning_of(schema), outputs=meaning_of(schema))
    assert judge.actual(seen) == 12.5
    for datum in (seen, {"close": decimal.Decimal("12.50"), "at": given}):
        assert judge.forecast(datum) == (12.5, None, None, 3 * DAY)
    assert judge.met(PendingForecast(1.0, 1.0, None, None, 0, 0, 3 * DAY), seen) is True


def test_values_that_are_no_records_have_a_meaning_too():
    judge = StreamJudge(None, None, inputs=meaning_of(make_schema("money", MONEY)))
    assert judge.actual(b"\x04\xe2") == 12.5
    assert judge.actual(decimal.Decimal("12.5")) == 12.5


def test_a_time_beyond_what_python_knows_is_none():
    schema = _row(MICROS, "double")
    judge = StreamJudge(None, None, field="close", date="at", inputs=meaning_of(schema), outputs=meaning_of(schema))
    assert judge.forecast({"close": 1.0, "at": 2**62}) is None


def test_numbers_that_mean_themselves_cost_nothing():
    assert meaning_of(None) is meaning_of(make_schema("d", "double")) is meaning_of(_row("long", "double")) is None
