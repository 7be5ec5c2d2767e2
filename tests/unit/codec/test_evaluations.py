"""Evaluations on the wire: what is written by hand is what any Avro reader reads."""

from __future__ import annotations

import io
import json
import struct

import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_scorer.codec.evaluations import AnyEvaluation, EvaluationJson, evaluation_codec, evaluation_schema
from stream_scorer.errors import DecodeError
from stream_scorer.records import Evaluation, Partition, PendingForecast, Record

NUMBERS = st.floats(-1e300, 1e300)
OFFSETS = st.integers(0, 2**62)
TIMES = st.none() | st.integers(-(2**62), 2**62)
NOTES = st.builds(PendingForecast, NUMBERS, NUMBERS, st.none() | NUMBERS, st.none() | NUMBERS, OFFSETS, TIMES)
SOURCE = Record(Partition("in", 3), 17, b"k", b"", 5, None)
ONE = Evaluation(PendingForecast(2.0, 1.0, 0.5, 3.0, 16, 4), SOURCE, 1.5)
FIELDS = {
    "forecast": 2.0,
    "actual": 1.5,
    "naive": 1.0,
    "error": 0.5,
    "naive_error": -0.5,
    "low": 0.5,
    "high": 3.0,
    "forecast_offset": 16,
    "forecast_timestamp": 4,
    "actual_offset": 17,
}


@given(note=NOTES, actual=NUMBERS, offset=OFFSETS)
def test_any_reader_of_the_schema_reads_it(note, actual, offset):
    evaluation = Evaluation(note, SOURCE._replace(offset=offset), actual)
    data = evaluation_codec("avro-binary").encode(evaluation)
    stream = io.BytesIO(data)
    found = fastavro.schemaless_reader(stream, evaluation_schema().parsed, None)
    assert stream.read() == b""
    expected = {
        "forecast": note.forecast,
        "actual": actual,
        "naive": note.naive,
        "error": note.forecast - actual,
        "naive_error": note.naive - actual,
        "low": note.low,
        "high": note.high,
        "forecast_offset": note.offset,
        "forecast_timestamp": note.timestamp,
        "actual_offset": offset,
    }
    assert found == expected
    assert json.loads(EvaluationJson().encode(evaluation)) == expected
    for codec in (evaluation_codec("avro-binary"), evaluation_codec("json")):
        assert AnyEvaluation().decode(codec.encode(evaluation)) == expected


class Registry:
    def register(self, subject, schema):
        assert (subject, json.loads(schema)["name"]) == ("out-evaluation-value", "Evaluation")
        return 9


def test_with_a_registry_it_is_framed_as_scores_are():
    (data,) = evaluation_codec("avro-binary", Registry(), "out-evaluation-value").encode_many([ONE])
    assert data == b"\0\0\0\0\x09" + evaluation_codec("avro-binary").encode(ONE)
    assert AnyEvaluation().decode(data) == FIELDS


def test_a_first_byte_that_is_a_brace_makes_no_json_of_it():
    brace = Evaluation(ONE.pending._replace(forecast=struct.unpack("<d", b"{234567?")[0]), SOURCE, 1.0)
    assert AnyEvaluation().decode(evaluation_codec("avro-binary").encode(brace))["actual"] == 1.0


def test_json_has_no_infinity():
    far = Evaluation(ONE.pending._replace(forecast=1.7e308), SOURCE, -1.7e308)
    assert json.loads(EvaluationJson().encode(far))["error"] is None


@pytest.mark.parametrize("data", [None, b"", b"{", b"[]", b'{"forecast": 1}', b"\0" * 7, struct.pack("<d", 1.0)])
def test_what_is_no_evaluation_is_refused(data):
    with pytest.raises(DecodeError):
        AnyEvaluation().decode(data)


@pytest.mark.parametrize(
    "text",
    [
        b"[" * 5000,
        b'{"forecast": ' * 5000,
        b'{"forecast": "1", "actual": 1, "naive": 1}',
        b'{"forecast": 1, "actual": null, "naive": 1}',
        b'{"forecast": 1, "actual": [1], "naive": 1}',
        b'{"forecast": 1, "actual": NaN, "naive": 1}',
        b'{"forecast": 1' + b"0" * 400 + b', "actual": 1, "naive": 1}',
        b'{"forecast": 1, "actual": 1, "naive": 1, "forecast_offset": "x"}',
        b'{"forecast": 1, "actual": 1, "naive": 1, "forecast_offset": 1' + b"0" * 400 + b"}",
    ],
)
def test_json_that_is_no_evaluation_is_told(text):
    for codec in (EvaluationJson(), AnyEvaluation()):
        with pytest.raises(DecodeError):
            codec.decode(text)


@pytest.mark.parametrize("data", [b"{", b'{"forecast": NaN}', b'{"forecast": 1}'])
def test_what_looks_like_json_is_refused_as_json(data):
    with pytest.raises(DecodeError, match="JSON"):
        AnyEvaluation().decode(data)
