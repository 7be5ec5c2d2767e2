"""What a model gets and gives through each encoding, and who rejects what."""

from __future__ import annotations

import datetime
import json
import math

import msgpack
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_scorer.codec.bert import read_integer, write_integer
from stream_scorer.codec.csv_codec import with_header
from stream_scorer.codec.schema import make_schema
from stream_scorer.codec.stream_codec import StreamCodec
from stream_scorer.errors import DecodeError, EncodeError, SchemaError
from stream_scorer.records import Control

PERSON = {
    "type": "record",
    "name": "Person",
    "fields": [
        {"name": "id", "type": "int"},
        {"name": "name", "type": "string"},
        {"name": "age", "type": ["null", "double"]},
    ],
}


def codec(encoding, schema=None, model=None, **options):
    made = None if schema is None else make_schema("s", schema)
    also = None if model is None else make_schema("m", model)
    return StreamCodec(encoding, options, made, also)


DECODED = {
    "json": ("json", None, b'{"foo": "bar"}', {"foo": "bar"}),
    "json keeps an int for a double": ("json", "double", b"5", 5),
    "json keeps tags": ("json", ["null", "int"], b'{"int": 3}', {"int": 3}),
    "json takes bare union values": ("json", ["null", "int"], b"3", 3),
    "json passes extra fields": ("json", PERSON, b'{"id":1,"name":"x","age":null,"z":[]}', None),
    "json with blanks around": ("json", None, b" 1\r", 1),
    "utf-8": ("utf-8", None, b"\xe7\xa6\x8f", "\u798f"),
    "null": (None, None, b"\x01\x02\x03", b"\x01\x02\x03"),
    "null, typed": (None, "bytes", b"\xff", b"\xff"),
    "msgpack": ("msgpack", None, b"\xc2", False),
    "msgpack, bytes and keys that are numbers": ("msgpack", None, b"\x81\x01\xc4\x01\xff", {1: b"\xff"}),
    "avro-binary": ("avro-binary", {"type": "array", "items": "int"}, bytes([8, 2, 4, 6, 8, 0]), [1, 2, 3, 4]),
    "avro-binary unions are bare": ("avro-binary", ["null", "int"], b"\x02\x06", 3),
    "avro-binary bytes are bytes": ("avro-binary", "bytes", b"\x04ab", b"ab"),
    "avro-binary times are numbers": (
        "avro-binary",
        {"type": "long", "logicalType": "timestamp-millis"},
        b"\x02",
        1,
    ),
    "csv by schema": ("csv", PERSON, b"1,Joe,30", {"id": 1, "name": "Joe", "age": 30.0}),
    "csv, null for nothing": ("csv", PERSON, b'2,"",', {"id": 2, "name": "", "age": None}),
    "csv by header": ("csv", None, with_header(b'id,"the name"', b"1,Joe"), {"id": "1", "the name": "Joe"}),
    "bert": ("bert", None, write_integer(1519819200123), 1519819200123),
}


@pytest.mark.parametrize("case", DECODED)
def test_decoded(case):
    encoding, schema, data, value = DECODED[case]
    found = codec(encoding, schema).decode(data)
    assert found == (json.loads(data) if value is None else value)
    assert type(found) is (dict if value is None else type(value))


NOT_DECODED = {
    "json": ("json", "int", b"{", DecodeError),
    "json, by schema": ("json", "int", b'"x"', SchemaError),
    "json, not UTF-8": ("json", None, b'"\xff"', DecodeError),
    "json, too deep": ("json", None, b"[" * 100_000, DecodeError),
    "utf-8": ("utf-8", None, b"\xff", DecodeError),
    "msgpack": ("msgpack", None, b"\xc1", DecodeError),
    "msgpack, cut short": ("msgpack", None, b"\x92\x01", DecodeError),
    "msgpack, more behind": ("msgpack", None, b"\x01\x02", DecodeError),
    "avro-binary": ("avro-binary", "string", b"\x08ab", DecodeError),
    "avro-binary, more behind": ("avro-binary", "int", b"\x02\x02", DecodeError),
    "csv, a quote that stays open": ("csv", PERSON, b'1,"Joe,30', DecodeError),
    "csv, too few": ("csv", PERSON, b"1,Joe", DecodeError),
    "csv, too many": ("csv", PERSON, b"1,Joe,30,4", DecodeError),
    "csv, no number": ("csv", PERSON, b"one,Joe,30", SchemaError),
    "csv, too large": ("csv", PERSON, b"2147483648,Joe,30", SchemaError),
    "bert": ("bert", None, b"\x83", DecodeError),
}


@pytest.mark.parametrize("case", NOT_DECODED)
def test_rejected_by_encoding_or_by_schema(case):
    encoding, schema, data, error = NOT_DECODED[case]
    with pytest.raises(error):
        codec(encoding, schema).decode(data)


ENCODED = {
    "json": ("json", None, {"a": [1, 2.5, None, True, "\u798f"]}),
    "json of numpy": ("json", None, {"a": np.float64(2.5), "b": np.arange(3), "c": np.int64(4)}),
    "json, floats as short as can be": ("json", "double", 0.1),
    "json, integers stay so": ("json", "double", 5),
    "json, bytes are code points": ("json", "bytes", b"\xff\x00"),
    "utf-8": ("utf-8", "string", "\u798f"),
    "null": (None, None, b"\x00"),
    "msgpack": ("msgpack", None, {"a": [1, b"\xff"]}),
    "avro-binary": ("avro-binary", PERSON, {"id": 1, "name": "x", "age": {"double": 2}, "more": 1}),
    "csv": ("csv", PERSON, {"id": 1, "name": 'x,"y"', "age": 0.1, "more": 1}),
}
WRITTEN = {
    "json": b'{"a": [1, 2.5, null, true, "\\u798f"]}',
    "json of numpy": b'{"a": 2.5, "b": [0, 1, 2], "c": 4}',
    "json, floats as short as can be": b"0.1",
    "json, integers stay so": b"5",
    "json, bytes are code points": b'"\\u00ff\\u0000"',
    "utf-8": "\u798f".encode(),
    "null": b"\x00",
    "msgpack": msgpack.packb({"a": [1, b"\xff"]}),
    "avro-binary": b"\x02\x02x\x02" + b"\0\0\0\0\0\0\0\x40",
    "csv": b'1,"x,""y""",0.1',
}


@pytest.mark.parametrize("case", ENCODED)
def test_encoded(case):
    assert codec(*ENCODED[case][:2]).encode(ENCODED[case][2]) == WRITTEN[case]


@pytest.mark.parametrize(("value", "written"), [("x\u798f", "x\u798f".encode()), (1.5, b"1.5"), ([1], b"[1]")])
def test_null_takes_text_and_shows_the_rest(value, written):
    assert codec(None).encode(value) == written


BY_SCHEMA = {
    "json": ("json", "int", "x"),
    "json null": ("json", "double", None),
    "utf-8, typed": ("utf-8", "string", 1),
    "avro-binary": ("avro-binary", PERSON, {"id": 1}),
    "csv": ("csv", PERSON, [1]),
}
BY_ENCODING = {
    "json": ("json", None, {1, 2}),
    "json of an object": ("json", None, object()),
    "utf-8": ("utf-8", None, 1),
    "utf-8, half a pair": ("utf-8", None, "\ud800"),
    "msgpack": ("msgpack", None, 2**70),
    "msgpack of an object": ("msgpack", None, object()),
    "csv without a schema": ("csv", None, {"a": 1}),
}


@pytest.mark.parametrize("case", BY_SCHEMA)
def test_outputs_rejected_by_schema(case):
    with pytest.raises(EncodeError) as caught:
        codec(*BY_SCHEMA[case][:2]).encode(BY_SCHEMA[case][2])
    assert isinstance(caught.value.__cause__, SchemaError)


@pytest.mark.parametrize("case", BY_ENCODING)
def test_outputs_rejected_by_encoding(case):
    with pytest.raises(EncodeError) as caught:
        codec(*BY_ENCODING[case][:2]).encode(BY_ENCODING[case][2])
    assert not isinstance(caught.value.__cause__, SchemaError)


def test_a_list_within_itself_is_rejected():
    value = []
    value.append(value)
    for encoding in ("json", "msgpack"):
        with pytest.raises(EncodeError):
            codec(encoding).encode(value)


UNION = ["null", "int", "double", "string", {"type": "map", "values": ["null", "bytes"]}]


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (None, None),
        (3, {"int": 3}),
        ({"int": 3}, {"int": 3}),
        ({"double": 3}, {"double": 3}),
        (2.5, {"double": 2.5}),
        ("x", {"string": "x"}),
        ({"a": None, "b": b"\xff"}, {"map": {"a": None, "b": {"bytes": "\xff"}}}),
    ],
)
def test_json_unions_are_written_tagged(value, written):
    assert json.loads(codec("json", UNION).encode(value)) == written


def test_json_unions_may_be_written_bare():
    assert codec("json", UNION, Unions="untagged").encode({"int": 3}) == b"3"


def test_unions_within_records_and_records_that_name_themselves():
    node = {
        "type": "record",
        "name": "a.Node",
        "fields": [{"name": "v", "type": ["null", "int"]}, {"name": "next", "type": ["null", "Node"]}],
    }
    value = {"v": 1, "next": {"v": None, "next": None}}
    assert json.loads(codec("json", node).encode(value)) == {
        "v": {"int": 1},
        "next": {"a.Node": {"v": None, "next": None}},
    }
    binary = codec("avro-binary", node)
    assert binary.decode(binary.encode(value)) == value
    assert binary.encode({"v": {"int": 1}, "next": {"a.Node": value["next"]}}) == binary.encode(value)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_json_forbids_passes_unless_it_is_strict(value):
    data = codec("json", "double").encode(value)
    assert data in (b"NaN", b"Infinity", b"-Infinity")
    assert repr(codec("json", "double").decode(data)) == repr(value)
    with pytest.raises(EncodeError):
        codec("json", "double", Strict=True).encode(value)
    with pytest.raises(DecodeError):
        codec("json", "double", Strict=True).decode(data)


def test_times_may_be_given_as_times():
    schema = {"type": "long", "logicalType": "timestamp-millis"}
    when = datetime.datetime(2018, 2, 28, 12, tzinfo=datetime.UTC)
    assert codec("json", schema).encode(when) == b"1519819200000"
    assert codec("avro-binary", schema).decode(codec("avro-binary", schema).encode(when)) == 1519819200000


def test_a_record_has_to_fit_the_schema_of_the_stream_and_of_the_model():
    both = codec("json", "double", "int")
    assert both.decode(b"3") == 3
    with pytest.raises(SchemaError):
        both.decode(b"2.5")
    with pytest.raises(EncodeError):
        both.encode(2.5)


def test_control_records_of_an_encoding_that_has_them_and_of_one_that_has_none():
    assert codec("json").control(b'{"$fastscore": "set"}') == Control("set")
    assert codec("json").control(b"1") is None
    assert codec("csv", PERSON).control(b'{"$fastscore": "set"}') is None
    assert codec("csv", PERSON).write_control(Control("set")) is None


def test_csv_fields_at_the_end_that_have_defaults_may_be_left_out():
    schema = {**PERSON, "fields": [*PERSON["fields"], {"name": "extra", "type": "string", "default": "-"}]}
    assert codec("csv", schema).decode(b"1,Joe,30") == {"id": 1, "name": "Joe", "age": 30.0}
    assert codec("csv", schema).encode({"id": 1, "name": "Joe", "age": None}) == b"1,Joe,,-"


row = st.fixed_dictionaries(
    {"id": st.integers(-(2**31), 2**31 - 1), "name": st.text(max_size=8), "age": st.none() | st.floats(allow_nan=False)}
)


@given(row, st.sampled_from([{}, {"Delimiter": "::", "QuoteCharacter": "'"}]))
def test_csv_records_come_back(value, options):
    one = codec("csv", PERSON, **options)
    assert one.decode(one.encode(value)) == value


@given(st.integers(-(2**80), 2**80))
def test_integers_of_time_streams_come_back(number):
    assert read_integer(write_integer(number)) == number
