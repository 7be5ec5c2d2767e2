"""JSON from outside: what is refused, and that the text names the field."""

from __future__ import annotations

import json
import math

import pytest

from stream_scorer.errors import SettingsError
from stream_scorer.parsing import strict_json


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('{"Transport": {"Period": 1e400}}', "thing: Transport.Period: 1e400 is too large"),
        ('{"a": [1, -1e999]}', "thing: a[1]: -1e999 is too large"),
        ('{"a": %s}' % ("9" * 5000), "thing: a: a number of 5,000 digits"),
        ("-" + "9" * 400, "thing: a number of 400 digits"),
        ('{"a": {"b": NaN}}', "thing: a.b: NaN is not a number"),
        ("[-Infinity]", "thing: [0]: -Infinity is not a number"),
        ('{"a": "x\\ud800"}', "thing: a: 'x\\ud800' has half"),
        ('{"a": {"\\udfff": 1}}', "thing: a: the name '\\udfff' has half"),
        ('{"a": "\\ud800", "b": 1e400}', "thing: a: '\\ud800' has half"),
        ("[" * 100_000, "thing is not JSON that can be read: it is nested too deeply"),
        ("{", "thing is not JSON"),
        ("", "thing is not JSON"),
    ],
)
def test_what_is_refused_is_named(text, place):
    with pytest.raises(SettingsError) as error:
        strict_json.load(text.encode(), "thing")
    assert str(error.value).startswith(place)


@pytest.mark.parametrize("text", [b'"\xed\xa0\x80"', b'"\xff"', b"\xff\xfe\x00\xd8"])
def test_bytes_that_are_no_text_are_refused(text):
    with pytest.raises(SettingsError, match="thing is not JSON"):
        strict_json.load(text, "thing")


@pytest.mark.parametrize("value", [{"a": [1, -2.5, 1e308, "é\U0001f600", None, True, {}]}, "x", 10**299, []])
def test_json_is_what_it_is(value):
    assert strict_json.load(json.dumps(value).encode(), "thing") == value
    assert strict_json.load(json.dumps(value, ensure_ascii=False).encode("utf-16"), "thing") == value


def test_nan_is_taken_where_it_is_allowed():
    assert math.isnan(strict_json.load(b"[NaN]", "thing", nan=True)[0])
