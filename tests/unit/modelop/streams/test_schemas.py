"""Schemas as a client verifies them, with the texts it prints."""

from __future__ import annotations

import pytest

from stream_scorer.errors import DescriptorError
from stream_scorer.modelop.streams.schemas import data_problem, verified

POINT = {"type": "record", "name": "P", "fields": [{"name": "x", "type": ["null", "double"]}]}


def test_a_schema_that_is_none():
    with pytest.raises(DescriptorError, match=r'^Type "foobar" is undefined$'):
        verified({"type": "foobar"})


@pytest.mark.parametrize(
    ("schema", "value", "text"),
    [
        ("int", "fastscore", 'Int expected, not "fastscore"'),
        ("int", 3, None),
        ("double", 3, None),
        ("int", 2**31, "Int expected, not 2147483648"),
        (POINT, {"x": 1}, None),
        (POINT, {"x": {"double": 1}}, None),
        (POINT, {"x": "a\nb, not c"}, r'At x: one of null, double expected, not "a\nb, not c"'),
        (POINT, {}, "Field 'x' is missing"),
    ],
)
def test_a_value_that_does_not_fit(schema, value, text):
    assert data_problem(verified(schema), value) == text
