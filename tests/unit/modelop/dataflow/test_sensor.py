"""Sensor descriptors, and what a sensor makes of values."""

from __future__ import annotations

import pytest

from stream_scorer.errors import DescriptorError
from stream_scorer.modelop.dataflow.sensor_spec import Collected, Filter, SensorSpec, parse


def test_defaults():
    assert parse({"Tap": "sys.memory"}) == SensorSpec("sys.memory", "permanent", report_s=1.0, aggregate="accumulate")


def test_the_documented_example():
    found = parse(
        {
            "Tap": "sys.memory",
            "Activate": {"Type": "regular", "Interval": 0.5},
            "Report": {"Interval": 3.0},
            "Filter": {"Type": ">=", "Threshold": "1G"},
        }
    )
    assert (found.activation, found.interval_s, found.report_s) == ("regular", 0.5, 3.0)
    assert found.filter == Filter(">=", 2.0**30, 2.0**30)


def test_what_the_vendors_client_sends_for_debugging():
    found = parse({"Tap": "manifold.debug", "Activate": "permanent", "Aggregate": None, "Report": {"Interval": 0.0}})
    assert found.at_once


@pytest.mark.parametrize(
    ("aggregate", "kind", "size"),
    [("sum", "sum", None), ({"Type": "accumulate", "SampleSize": 5}, "accumulate", 5), ("count", "count", None)],
)
def test_aggregates(aggregate, kind, size):
    found = parse({"Tap": "t", "Aggregate": aggregate})
    assert (found.aggregate, found.sample_size) == (kind, size)


@pytest.mark.parametrize(("text", "value"), [("1G", 2**30), ("1.5k", 1536), ("2 MB", 2 << 20), (7, 7), ("-3", -3)])
def test_quantities_as_people_write_them(text, value):
    assert parse({"Tap": "t", "Filter": {"Type": ">", "Threshold": text}}).filter.low == value


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ([], "must be an object"),
        ({}, "Tap"),
        ({"Tap": 5}, "Tap"),
        ({"Tap": "t", "Colour": 1}, "Colour"),
        ({"Tap": "t", "Activate": "sometimes"}, "sometimes"),
        ({"Tap": "t", "Activate": {"Type": "regular"}}, "Interval"),
        ({"Tap": "t", "Activate": {"Type": "random", "Interval": 1, "Intensity": 1}}, "Intensity"),
        ({"Tap": "t", "Activate": {"Type": "regular", "Interval": 0}}, "Interval"),
        ({"Tap": "t", "Activate": {"MaxReads": 0}}, "MaxReads"),
        ({"Tap": "t", "Report": {"Interval": -1}}, "Report.Interval"),
        ({"Tap": "t", "Report": 5}, "Report"),
        ({"Tap": "t", "Filter": {"Type": "~"}}, "Filter.Type"),
        ({"Tap": "t", "Filter": {"Type": ">", "Threshold": "much"}}, "Threshold"),
        ({"Tap": "t", "Filter": {"Type": "within-range", "MinValue": 1}}, "MaxValue"),
        ({"Tap": "t", "Aggregate": "median"}, "median"),
        ({"Tap": "t", "Sink": {"Type": "Kafka"}}, "Sink"),
    ],
)
def test_what_is_wrong_is_named(wrong, named):
    with pytest.raises(DescriptorError, match=named):
        parse(wrong)


@pytest.mark.parametrize(
    ("kind", "passes"),
    [
        (">", [6, 9]),
        (">=", [5, 6, 9]),
        ("<", [1]),
        ("<=", [1, 5]),
        ("within-range", [5, 6]),
        ("outside-range", [1, 9]),
    ],
)
def test_filters(kind, passes):
    chosen = Filter(kind, 5, 8 if "range" in kind else 5)
    assert [value for value in (1, 5, 6, 9) if chosen.passes(value)] == passes
    assert chosen.passes("text")
    assert chosen.passes({"kernel": 3, "user": 3}) == chosen.passes(6)


def _collected(values, **spec):
    collected = Collected(SensorSpec("t", **spec))
    for value in values:
        collected.add(value, None)
    return collected


def test_accumulate_sum_and_count():
    assert _collected([1, 2, 3], aggregate="accumulate").take() == [1, 2, 3]
    assert _collected([1, 2, 3], aggregate="accumulate", sample_size=2).take() == [2, 3]
    assert _collected([1, 2, 3], aggregate="sum").take() == 6
    assert _collected([1, 2, 3], aggregate="count").take() == 3
    assert _collected([{"a": 1}, {"a": 2}], aggregate="sum").take() == {"a": 3}
    assert _collected([1, 5], aggregate="sum", filter=Filter(">", 2, 2)).take() == 5


def test_a_report_begins_anew():
    collected = _collected([1, 2], aggregate="sum")
    collected.take()
    assert collected.take() == 0
    assert _collected([], aggregate="accumulate").take() is None


def test_single_values_are_told_where_they_are_known():
    collected = Collected(SensorSpec("t"))
    collected.add(2, ["a", "b"])
    assert collected.take() == ["a", "b"]
