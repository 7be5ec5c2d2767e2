"""Bare Avro: the bytes of one value, and texts that say what else the bytes may be."""

from __future__ import annotations

import contextlib
import math
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_scorer.codec import codec_for
from stream_scorer.codec.avro import AvroCodec, DoubleCodec
from stream_scorer.codec.schema import make_schema
from stream_scorer.errors import DecodeError, EncodeError, ModelError, SettingsError

DOUBLE = codec_for("avro-binary", make_schema("double", "double"))
PAIR = {
    "type": "record",
    "name": "Pair",
    "fields": [{"name": "a", "type": "int"}, {"name": "b", "type": "string"}],
}
CODECS = {
    "double": DOUBLE,
    "any": codec_for("avro-binary", make_schema("pair", PAIR)),
    "json": codec_for("json", None),
}
GOLDEN = {
    1.0: "000000000000f03f",
    -0.1: "9a9999999999b9bf",
    -0.0: "0000000000000080",
    math.inf: "000000000000f07f",
}


@pytest.mark.parametrize(("value", "wire"), GOLDEN.items())
def test_a_double_is_eight_bytes_little_endian(value, wire):
    assert DOUBLE.encode(value).hex() == wire
    assert struct.pack("<d", DOUBLE.decode(bytes.fromhex(wire))) == struct.pack("<d", value)


def test_a_record_is_its_fields_one_after_the_other():
    codec = AvroCodec(make_schema("pair", PAIR))
    assert codec.encode({"a": -3, "b": "hé"}).hex() == "05" + "06" + "68c3a9"
    assert codec.decode(bytes.fromhex("050668c3a9")) == {"a": -3, "b": "hé"}


def test_nan_keeps_its_bits():
    odd = struct.pack("<Q", 0x7FF8_0000_0000_0001)
    assert DOUBLE.encode(DOUBLE.decode(odd)) == odd


WRONG = {
    "registry prefix": (b"\0\0\0\0\7" + b"x" * 8, r"got 13 bytes starting 00 00 00 00 07 .*--framing registry"),
    "text": (b"17.5", r"got 4 bytes starting 31 37 2e 35\. That looks like text: give --input-encoding json"),
    "nothing": (b"", r"got 0 bytes\. Does the producer use another schema"),
    "a float": (b"\1\2\3\4", r"expected an Avro double \(8 bytes\), got 4 bytes starting 01 02 03 04\."),
    "a tombstone": (None, "null .a tombstone"),
}


@pytest.mark.parametrize("case", WRONG)
def test_bytes_that_are_no_double_are_told_with_the_likely_cause(case):
    data, text = WRONG[case]
    with pytest.raises(DecodeError, match=text):
        DOUBLE.decode(data)
    with pytest.raises(DecodeError, match=text):
        DOUBLE.decode_many([b"\0" * 8, data])


@given(st.lists(st.floats(width=64).map(lambda value: struct.pack("<d", value)), max_size=50))
def test_many_at_once_are_each_alone(batch):
    many = DOUBLE.decode_many(batch)
    assert [struct.pack("<d", value) for value in many] == batch
    assert {type(value) for value in many} <= {float}


@pytest.mark.parametrize("value", [np.float64(1.5), np.float32(1.5), np.array(1.5), np.float16(1.5)])
def test_numpy_scalars_are_numbers(value):
    assert DOUBLE.encode(value) == struct.pack("<d", 1.5)
    assert DOUBLE.encode(np.int64(2)) == struct.pack("<d", 2.0)


@pytest.mark.parametrize("value", ["1.5", None, [1.5], np.array([1.5]), object()])
def test_what_is_no_number_does_not_fit(value):
    with pytest.raises(EncodeError, match="output: expected double, not "):
        DOUBLE.encode(value)


def test_an_integer_past_the_range_of_a_double_does_not_fit():
    """As a model may echo a JSON number of 400 digits: one record's fault, not the service's."""
    with pytest.raises(EncodeError):
        DOUBLE.encode(10**400)


def test_a_boolean_is_no_double():
    with pytest.raises(EncodeError, match="expected double"):
        DOUBLE.encode(True)


def test_what_is_a_number_of_another_library_is_one():
    """As a tensor of TensorFlow's."""

    class Tensor:
        def __float__(self):
            return 1.5

    assert DOUBLE.encode(Tensor()) == struct.pack("<d", 1.5)


_loop: list[object] = []
_loop.append(_loop)


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("value", [{(1, 2): 3.0}, _loop], ids=["tuple key", "contains itself"])
def test_a_value_no_codec_can_write_is_one_records_fault(codec, value):
    with pytest.raises(EncodeError):
        CODECS[codec].encode(value)


BROKEN = {
    "left over": (b"\x02\x02ab", "1 bytes are left over"),
    "ends early": (b"\x02\x08ab", r"EOFError"),
    "not UTF-8": (b"\x02\x02\xff", r"UnicodeDecodeError"),
    "negative length": (b"\x02\x01a", r"schema 'pair'"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_bytes_of_another_schema_are_refused(case):
    data, text = BROKEN[case]
    with pytest.raises(DecodeError, match=text):
        CODECS["any"].decode(data)


@given(st.binary(max_size=30))
def test_any_bytes_decode_or_raise_decode_error(data):
    with contextlib.suppress(DecodeError):
        CODECS["any"].decode(data)


def test_the_encoding_chooses_the_codec():
    assert isinstance(DOUBLE, DoubleCodec)
    assert isinstance(codec_for("avro-binary", make_schema("d", {"type": "double"})), DoubleCodec)
    assert isinstance(codec_for("avro-binary", make_schema("i", "int")), AvroCodec)
    with pytest.raises(ModelError, match="avro-binary needs a schema"):
        codec_for("avro-binary", None)
    with pytest.raises(SettingsError, match="There are avro-binary, json"):
        codec_for("protobuf", None)
    with pytest.raises(SettingsError, match="not with json"):
        codec_for("json", None, framing="registry")
