"""JSON values on the wire."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_scorer.codec import codec_for
from stream_scorer.codec.schema import make_schema
from stream_scorer.errors import DecodeError, EncodeError, SchemaError

ANY = codec_for("json", None)
DOUBLE = codec_for("json", make_schema("double", "double"))

_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(_json)
def test_values_come_back(value):
    assert ANY.decode(ANY.encode(value)) == value


def test_text_is_ascii_whoever_reads_it():
    """As the original's. Half of a pair of surrogates, which JSON can say and UTF-8 cannot, comes back too."""
    assert ANY.encode({"a": "é"}) == b'{"a": "\\u00e9"}'
    assert ANY.encode(ANY.decode(b'"\\ud800"')) == b'"\\ud800"'


def test_bytes_are_their_code_points_with_a_schema_and_without():
    assert ANY.encode({"a": [b"\xff", bytearray(b"x")]}) == b'{"a": ["\\u00ff", "x"]}'


@pytest.mark.parametrize("text", [b"1e400", b"[-1E+999]", b'{"a": 1e0400}', b"1" + b"0" * 400 + b".0"])
def test_a_number_that_a_double_cannot_hold_is_refused(text):
    for codec in (ANY, codec_for("json", None, strict=False)):
        with pytest.raises(DecodeError, match="is more than a double holds"):
            codec.decode(text)


@pytest.mark.parametrize("text", [b"1e-400", b"1e300", b"1e+05", b'"1e400"', b"1" + b"0" * 400, b"0." + b"1" * 400])
def test_a_number_that_a_double_can_hold_is_not(text):
    assert ANY.decode(text) == json.loads(text)


def test_numpy_is_numbers_and_lists_at_any_depth():
    value = {"a": np.arange(2), "b": (np.float32(0.5), np.bool_(True)), np.str_("c"): np.array(3)}
    assert json.loads(ANY.encode(value)) == {"a": [0, 1], "b": [0.5, True], "c": 3}


@pytest.mark.parametrize("text", [b"NaN", b"[1, Infinity]", b"-Infinity"])
def test_names_that_are_no_json_are_refused_by_name(text):
    with pytest.raises(DecodeError, match=r"(NaN|Infinity) is not JSON"):
        ANY.decode(text)


def test_they_pass_where_it_is_not_strict():
    lenient = codec_for("json", None, strict=False)
    assert lenient.encode(lenient.decode(b"[NaN, -Infinity]")) == b"[NaN, -Infinity]"


@pytest.mark.parametrize("text", [b"", b"{", b"1 2", b"\xff", b"[" * 100_000, b"1" * 5000])
def test_what_is_no_json_is_told(text):
    with pytest.raises(DecodeError, match="expected JSON, got b'"):
        ANY.decode(text)


def test_null_bytes_are_a_tombstone_and_null_text_is_a_value():
    with pytest.raises(DecodeError, match="tombstone"):
        ANY.decode(None)
    assert ANY.decode(b"null") is None


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {1, 2}, object()])
def test_what_json_cannot_write_is_refused(value):
    with pytest.raises(EncodeError, match="output: cannot be written as JSON"):
        ANY.encode(value)


def test_values_are_checked_both_ways():
    assert DOUBLE.decode_many([b"1.5", b"2"]) == [1.5, 2]
    with pytest.raises(SchemaError, match=r'expected double, not "1.5" \(str\)'):
        DOUBLE.decode(b'"1.5"')
    with pytest.raises(EncodeError, match="output: expected double, not true"):
        DOUBLE.encode(True)


def test_unions_are_written_tagged_and_bytes_as_their_code_points():
    fields = [{"name": "score", "type": ["null", "double"]}, {"name": "raw", "type": "bytes"}]
    codec = codec_for("json", make_schema("row", {"type": "record", "name": "row", "fields": fields}))
    assert json.loads(codec.encode({"score": 0.5, "raw": b"\xff"})) == {"score": {"double": 0.5}, "raw": "\xff"}
    assert json.loads(codec.encode({"score": {"double": 1}, "raw": ""})) == {"score": {"double": 1}, "raw": ""}
    assert json.loads(codec.encode({"score": None, "raw": ""})) == {"score": None, "raw": ""}
