"""Random schemas with values: Avro and JSON agree with each other, and with fastavro where fastavro is right."""

from __future__ import annotations

import contextlib
import datetime
import decimal
import io
import itertools
import json
import struct
import uuid

import fastavro
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from stream_scorer.codec.avro import AvroCodec
from stream_scorer.codec.avro_resolution import resolved
from stream_scorer.codec.logical import LOGICAL
from stream_scorer.codec.plain_json import JsonCodec
from stream_scorer.codec.schema import make_schema
from stream_scorer.errors import DecodeError, EncodeError, SchemaError

_numbers = itertools.count()
_keys = st.text("xyzé", max_size=3)
_SIMPLE = {
    "null": st.none(),
    "boolean": st.booleans(),
    "int": st.integers(-(2**31), 2**31 - 1),
    "long": st.integers(-(2**63), 2**63 - 1),
    "float": st.floats(width=32, allow_nan=False, allow_infinity=False),
    "double": st.floats(allow_nan=False, allow_infinity=False),
    "string": st.text(max_size=4),
    "bytes": st.binary(max_size=4),
}


class Typed:
    """schema; bare: as Avro gives it to a model; tagged: as JSON writes it, bytes apart; branch: a union as fastavro takes it."""

    def __init__(self, schema, bare, tagged, branch):
        self.schema, self.bare, self.tagged, self.branch = schema, bare, tagged, branch

    def __repr__(self):
        return f"{json.dumps(self.schema)} {self.bare!r}"


def _name(schema):
    if not isinstance(schema, dict):
        return schema
    return schema["name"] if "name" in schema else schema["type"]


@st.composite
def typed(draw, depth=3):
    kinds = [*_SIMPLE, "enum", "fixed", *(["array", "map", "record", "union"] * 2 if depth else [])]
    kind = draw(st.sampled_from(kinds))
    if kind in _SIMPLE:
        value = draw(_SIMPLE[kind])
        return Typed(kind, value, value, value)
    name = f"N{next(_numbers)}"  # a named type may be defined once in a schema
    if kind == "enum":
        value = draw(st.sampled_from("ABC"))
        return Typed({"type": "enum", "name": name, "symbols": ["A", "B", "C"]}, value, value, value)
    if kind == "fixed":
        value = draw(st.binary(min_size=2, max_size=2))
        return Typed({"type": "fixed", "name": name, "size": 2}, value, value, value)
    inner = draw(st.lists(typed(depth=depth - 1), min_size=1, max_size=3))
    if kind == "record":
        parts = [
            {f"f{at}": getattr(one, part) for at, one in enumerate(inner)} for part in ("bare", "tagged", "branch")
        ]
        fields = [{"name": f"f{at}", "type": one.schema} for at, one in enumerate(inner)]
        return Typed({"type": "record", "name": name, "fields": fields}, *parts)
    if kind == "union":
        return draw(_union(inner))
    one = inner[0]
    if kind == "array":
        count = draw(st.integers(0, 3))
        return Typed(
            {"type": "array", "items": one.schema}, *([part] * count for part in (one.bare, one.tagged, one.branch))
        )
    keys = draw(st.lists(_keys, max_size=2, unique=True))
    parts = [dict.fromkeys(keys, part) for part in (one.bare, one.tagged, one.branch)]
    return Typed({"type": "map", "values": one.schema}, *parts)


@st.composite
def _union(draw, inner):
    branches = {_name(one.schema): one for one in inner if not isinstance(one.schema, list)}
    assume(branches)
    name = draw(st.sampled_from(sorted(branches)))
    one = branches[name]
    schema = [other.schema for other in branches.values()]
    tagged = None if name == "null" else {name: one.tagged}
    return Typed(schema, one.bare, tagged, (name, one.branch))


def fastavro_bytes(schema, value):
    out = io.BytesIO()
    fastavro.schemaless_writer(out, fastavro.parse_schema(schema), value)
    return out.getvalue()


def text(value):
    """Bytes as JSON has them."""
    if isinstance(value, bytes):
        return value.decode("latin-1")
    if isinstance(value, dict):
        return {key: text(item) for key, item in value.items()}
    return [text(item) for item in value] if isinstance(value, list) else value


@given(typed())
@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
def test_avro_and_json_say_the_same(one):
    schema = make_schema("s", one.schema)
    avro, plain = AvroCodec(schema), JsonCodec(schema)
    data = fastavro_bytes(one.schema, one.branch)
    assert avro.encode(one.tagged) == data
    assert avro.decode(data) == one.bare
    assert fastavro.schemaless_reader(io.BytesIO(data), schema.parsed, None) == one.bare
    assert json.loads(plain.encode(one.tagged)) == text(one.tagged)
    assert avro.encode(plain.decode(plain.encode(one.tagged))) == data
    assert avro.ends(data * 2, True) == (([len(data), 2 * len(data)], False) if data else ([], False))


@given(typed())
@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
def test_what_a_model_hands_on_bare_comes_out_the_same(one):
    schema = make_schema("s", one.schema)
    avro, plain = AvroCodec(schema), JsonCodec(schema)
    data = avro.encode(one.bare)
    assert avro.decode(data) == one.bare
    assert plain.encode(avro.decode(data)) == plain.encode(one.bare)
    assert avro.encode(plain.decode(plain.encode(one.bare))) == data
    assert resolved(schema.parsed, schema)(data, 0) == (one.bare, len(data))


@given(typed(depth=2), st.data())
@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
def test_bytes_that_are_read_are_read_as_fastavro_reads_them(one, data):
    """It reads more, so what we refuse is no matter; ours is what a writer may have meant."""
    codec = AvroCodec(make_schema("s", one.schema))
    good = bytearray(fastavro_bytes(one.schema, one.branch))
    for _ in range(data.draw(st.integers(0, 3))):
        good.insert(data.draw(st.integers(0, len(good))), data.draw(st.integers(0, 255)))
    with contextlib.suppress(DecodeError):
        value = codec.decode(bytes(good))
        assert repr(value) == repr(
            fastavro.schemaless_reader(io.BytesIO(good), fastavro.parse_schema(one.schema), None)
        )


_TIMES = st.datetimes(datetime.datetime(1900, 1, 1), datetime.datetime(2100, 1, 1))
_OF = {
    datetime.date: st.dates(),
    datetime.time: st.times(),
    datetime.datetime: _TIMES.map(lambda when: when.replace(tzinfo=datetime.UTC)),
    decimal.Decimal: st.decimals(-999, 999, places=2),
    uuid.UUID: st.uuids(),
}
_MORE = {"decimal": {"precision": 9, "scale": 2}}


@pytest.mark.parametrize(("kind", "name"), [one for one in LOGICAL if one != ("fixed", "uuid")])  # new in fastavro
@given(data=st.data())
def test_logical_types_are_written_as_fastavro_writes_them(kind, name, data):
    definition = {"type": kind, "logicalType": name, **_MORE.get(name, {})}
    if kind == "fixed":
        definition |= {"name": "F", "size": 16}
    schema, value = make_schema("s", definition), data.draw(_OF[LOGICAL[kind, name].type])
    avro, plain = AvroCodec(schema), JsonCodec(schema)
    written = avro.encode(value)
    if kind != "bytes":  # of -1.28 it writes a byte more than it takes
        assert written == fastavro_bytes(definition, value)
    read = fastavro.schemaless_reader(io.BytesIO(written), schema.parsed, None)
    assert read == fastavro.schemaless_reader(io.BytesIO(fastavro_bytes(definition, value)), schema.parsed, None)
    under = avro.decode(written)
    assert avro.encode(under) == written
    assert json.loads(plain.encode(value)) == text(under)
    over = LOGICAL[kind, name].over(under, schema.parsed)
    assert avro.encode(over) == written


@given(st.floats(allow_nan=False))
def test_a_float_is_rounded_or_refused(value):
    codec = AvroCodec(make_schema("s", "float"))
    try:
        expected = struct.pack("<f", value)
    except OverflowError:
        with pytest.raises(EncodeError, match=r"expected float \(32 bits\)"):
            codec.encode(value)
    else:
        assert codec.encode(value) == expected


NODE = {
    "type": "record",
    "name": "Node",
    "fields": [
        {"name": "Node", "type": ["null", "Node", {"type": "map", "values": ["null", "Node"]}]},
        {"name": "x", "type": "int", "default": 0},
    ],
}


@pytest.mark.parametrize("wrong", [False, True])
def test_a_value_that_may_be_a_tag_or_a_record_is_walked_once_at_each_depth(wrong):
    """{"Node": ...} is a tag, a record without x, and a map. Tried one after the other at each of 60 levels: for ever."""
    value = "no int" if wrong else None
    for _ in range(60):
        value = {"Node": value}
    schema = make_schema("node", NODE)
    if wrong:
        with pytest.raises(SchemaError):
            schema.check(value)
        with pytest.raises(EncodeError):
            AvroCodec(schema).encode(value)
    else:
        data = JsonCodec(schema).encode(value)
        AvroCodec(schema).encode(json.loads(data))
