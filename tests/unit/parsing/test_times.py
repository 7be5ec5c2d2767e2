"""Times as they stand in text and in records."""

from __future__ import annotations

import datetime

import pytest

from stream_scorer.parsing.times import moment_ms

DAY = 86_400_000


@pytest.mark.parametrize(
    ("value", "moment"),
    [
        ("1970-01-03", 2 * DAY),
        (" 1970-01-03T01:00:00+01:00", 2 * DAY),
        (datetime.date(1970, 1, 3), 2 * DAY),
        (datetime.datetime(1970, 1, 3), 2 * DAY),
        (datetime.datetime(1970, 1, 3, tzinfo=datetime.UTC), 2 * DAY),
        (2, 2 * DAY),
        (-1, -DAY),
        (1_180_656_000_000, 1_180_656_000_000),
        ("3 January", None),
        ("", None),
        (None, None),
        (True, None),
        (2.0, None),
        (2**63, None),
    ],
)
def test_a_moment_in_a_record(value, moment):
    assert moment_ms(value) == moment
