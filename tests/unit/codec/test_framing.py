"""The schema registry's five bytes, with and without a registry to ask."""

from __future__ import annotations

import json

import fastavro
import pytest

from stream_scorer.codec import codec_for
from stream_scorer.codec.registry import open_registry
from stream_scorer.codec.schema import make_schema
from stream_scorer.errors import DecodeError, EncodeError
from tests.support.registry import registry

DOUBLE = make_schema("double", "double")
ONE = "000000000000f03f"


@pytest.fixture
def schemas():
    with registry() as server:
        yield server


def _framed(schema=DOUBLE, **how):
    return codec_for("avro-binary", schema, framing="registry", subject="scores-value", **how)


def test_the_frame_is_a_zero_byte_and_the_id_big_endian():
    codec = _framed(schema_id=258)
    assert codec.encode(1.0).hex() == "00" + "00000102" + ONE
    assert codec.decode(bytes.fromhex("0000000102" + ONE)) == 1.0
    assert codec.decode_many([bytes.fromhex("00ffffffff" + ONE)] * 2) == [1.0, 1.0]


@pytest.mark.parametrize("data", [bytes.fromhex("9a9999999999b9bf"), b"\1\0\0\0\7" + b"x" * 8, b"\0\0", b""])
def test_bytes_without_the_frame_are_refused(data):
    with pytest.raises(DecodeError, match=r"a zero byte and a 4-byte schema id.*leave --framing at none"):
        _framed(schema_id=1).decode(data)


def test_null_is_no_frame():
    with pytest.raises(DecodeError, match="tombstone"):
        _framed(schema_id=1).decode(None)


def test_without_id_or_registry_outputs_have_no_frame():
    with pytest.raises(EncodeError, match="give --output-schema-id or --schema-registry"):
        _framed().encode(1.0)


def test_a_writers_schema_is_read_as_the_models_own_and_asked_for_once(schemas):
    codec = _framed(registry=open_registry(schemas.url, {}))
    value = b"\0\0\0\0\7" + bytes.fromhex("0000c03f")  # 1.5 as an Avro float
    assert codec.decode_many([value, value]) == [1.5, 1.5]
    assert schemas.asked == [("GET", "/schemas/ids/7", None)]


def test_a_record_is_read_by_avros_rules_of_evolution(schemas):
    old = {"type": "record", "name": "P", "fields": [{"name": "x", "type": "int"}, {"name": "gone", "type": "string"}]}
    fields = [{"name": "x", "type": "long"}, {"name": "new", "type": "double", "default": 0.5}]
    schemas.texts[3] = json.dumps(old)
    codec = _framed(
        make_schema("P", {"type": "record", "name": "P", "fields": fields}), registry=open_registry(schemas.url, {})
    )
    assert codec.decode(b"\0\0\0\0\3" + b"\x08" + b"\x02a") == {"x": 4, "new": 0.5}


def test_a_writers_schema_that_cannot_be_read_so_costs_one_record(schemas):
    with pytest.raises(DecodeError, match="double"):
        _framed(registry=open_registry(schemas.url, {})).decode(b"\0\0\0\0\x08" + b"\x02a")


def test_an_id_the_registry_does_not_know_costs_one_record(schemas):
    with pytest.raises(DecodeError, match=r"knows no schema 55.*Schema not found"):
        _framed(registry=open_registry(schemas.url, {})).decode(b"\0\0\0\0\x37" + bytes.fromhex(ONE))


@pytest.mark.parametrize(
    "text",
    [
        '{"type": "object"}',
        'syntax = "proto3";',
        "[" * 5000,
        '{"type":[' * 300 + '"int"' + "]}" * 300,
        '{"__fastavro_parsed": true, "type": "array", "items": "no such type"}',
    ],
)
def test_an_id_of_a_schema_that_is_no_avro_costs_one_record(schemas, text):
    schemas.texts[5] = text
    with pytest.raises(DecodeError, match="schema 5"):
        _framed(registry=open_registry(schemas.url, {})).decode(b"\0\0\0\0\5" + bytes.fromhex(ONE))


def test_outputs_are_registered_once_under_their_subject(schemas):
    codec = _framed(registry=open_registry(schemas.url + "/", {}))
    assert codec.encode(1.0).hex() == codec.encode(1.0).hex() == "0000000063" + ONE
    assert schemas.asked == [("POST", "/subjects/scores-value/versions", None)]
    assert fastavro.parse_schema(json.loads(schemas.registered["scores-value"])) == "double"
