"""Few bytes never become much: neither deep enough to end the process, nor values without end."""

from __future__ import annotations

import io
import json
import tracemalloc

import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_scorer.codec.avro import AvroCodec
from stream_scorer.codec.avro_bounds import MAX_DEPTH, MAX_VALUES, guard_of
from stream_scorer.codec.avro_long import avro_long
from stream_scorer.codec.framing import FramedCodec
from stream_scorer.codec.plain_json import JsonCodec
from stream_scorer.codec.schema import make_schema
from stream_scorer.codec.schema_matching import mismatch
from stream_scorer.codec.stream_codec import StreamCodec
from stream_scorer.errors import DecodeError, EncodeError, SchemaError
from tests.fuzz.schemas import SCHEMAS, record

LIST = record("Node", x="int", next=["null", "Node"])
HOLLOW = record("Hollow", a="null", b={"type": "fixed", "name": "none", "size": 0})
TREE = record("Tree", inner={"type": "array", "items": "Tree"})
ITSELF = record("Itself", itself="Itself")
_twice = "null"
for _level in range(60):
    _twice = record(f"T{_level}", a=_twice, b=_twice if isinstance(_twice, str) else _twice["name"])
TWICE = _twice
CHAIN = [record("C0"), *(record(f"C{number}", c=f"C{number - 1}") for number in range(1, 3000))]


def _array(items):
    return {"type": "array", "items": items}


def _linked(count):
    return b"\2\2" * (count - 1) + b"\2\0"


HOSTILE = {
    "a list of 5,000 links": (LIST, _linked(5000)),
    "a tree 20,000 deep": (TREE, b"\2" * 20_000),
    "a record that is itself": (ITSELF, b""),
    "a chain of 3,000 records": (CHAIN, avro_long(2999)),
    "nulls, 2^60": (_array("null"), avro_long(2**60)),
    "nulls, 2^60, with the bytes of the block": (_array("null"), avro_long(-(2**60)) + b"\0"),
    "nulls, in 5,000 blocks": (_array("null"), avro_long(1000) * 5000 + b"\0"),
    "empty records, 2^60": (_array(record("Empty")), avro_long(2**60)),
    "records with nothing in them, 2^60": (_array(HOLLOW), avro_long(2**60)),
    "arrays of nulls in a map": ({"type": "map", "values": _array("null")}, b"\2\2a" + avro_long(2**60)),
    "arrays of nulls in arrays": (_array(_array("null")), avro_long(500) + avro_long(2**40) * 500),
    "2^60 nulls in no bytes": (TWICE, b""),
    "a byte with 1,000 nulls, often": (
        _array(record("Wide", x="int", **{f"n{number}": "null" for number in range(1000)})),
        avro_long(100_000) + bytes(100_000),
    ),
    "a number without end": (LIST, b"\xff" * 40 + b"\1"),
    "a branch that is none": (LIST, b"\2" + avro_long(2**40)),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_few_bytes_do_not_become_much(what):
    definition, data = HOSTILE[what]
    schema = make_schema("s", definition)
    codec = AvroCodec(schema)
    tracemalloc.start()
    with pytest.raises(DecodeError):
        codec.decode(data)
    assert codec.ends(data, True)[0] == []
    assert tracemalloc.get_traced_memory()[1] < 10_000_000
    tracemalloc.stop()


class _Registry:
    def __init__(self, schema):
        self._schema = fastavro.parse_schema(schema)

    def schema(self, number):
        return self._schema


@pytest.mark.parametrize("what", HOSTILE)
def test_nor_by_the_schema_of_another_writer(what):
    definition, data = HOSTILE[what]
    schema = make_schema("s", LIST)
    codec = FramedCodec(AvroCodec(schema), schema, registry=_Registry(definition), schema_id=1, subject="s")
    with pytest.raises(DecodeError):
        codec.decode(b"\0\0\0\0\1" + data)


def _written(definition, value):
    out = io.BytesIO()
    fastavro.schemaless_writer(out, fastavro.parse_schema(definition), value)
    return out.getvalue()


def test_what_is_deep_and_long_within_bounds_is_read():
    codec = AvroCodec(make_schema("s", LIST))
    value = codec.decode(_linked(MAX_DEPTH))
    for _ in range(MAX_DEPTH - 1):
        value = value["next"]
    assert value == {"x": 1, "next": None}
    with pytest.raises(DecodeError, match=f"nested more than {MAX_DEPTH} deep"):
        codec.decode(_linked(MAX_DEPTH + 1))
    nulls = AvroCodec(make_schema("s", _array("null")))
    assert nulls.decode(avro_long(MAX_VALUES) + b"\0") == [None] * MAX_VALUES
    with pytest.raises(DecodeError, match="more values than they can"):
        nulls.decode(avro_long(MAX_VALUES * 2) + b"\0")


ORDINARY = ("int", "bytes", "row", "record", "union", "enum", "map", "array", "logical")


@pytest.mark.parametrize("name", SCHEMAS)
def test_ordinary_schemas_are_not_looked_through(name):
    definition, samples = SCHEMAS[name]
    guard = guard_of(make_schema(name, definition).parsed)
    assert (guard is None) == (name in ORDINARY)
    for sample in samples if guard else ():
        guard(_written(definition, sample), 0)


_trees = st.recursive(
    st.builds(dict, name=st.text(max_size=3), inner=st.just([]), by=st.just({})),
    lambda inner: st.builds(
        dict, name=st.text(max_size=3), inner=st.lists(inner), by=st.dictionaries(st.text(max_size=3), inner)
    ),
    max_leaves=30,
)


@given(_trees)
def test_every_value_of_a_recursive_schema_goes_both_ways(tree):
    schema = make_schema("tree", SCHEMAS["tree"][0])
    data = _written(SCHEMAS["tree"][0], tree)
    for codec in (AvroCodec(schema), StreamCodec("avro-binary", {}, schema)):
        assert codec.decode(data) == tree
        assert codec.encode(tree) == data


def _either(depth):
    return None if depth == 0 else {"b": "text", "next": _either(depth - 1)}


def test_unions_in_unions_are_tried_once_at_each_depth():
    """Each level fits the second branch only, and shows it last: tried in turn, 40 levels are 2^40 tries."""
    schema = make_schema("either", SCHEMAS["either"][0])
    value = {"a": 1, "next": _either(40)}
    text = json.dumps(value).encode()
    decoded = JsonCodec(schema).decode(text)
    assert decoded == value
    assert JsonCodec(schema).decode(JsonCodec(schema).encode(value))["next"]["q"]["b"] == "text"
    assert AvroCodec(schema).decode(AvroCodec(schema).encode(value)) == value
    wrong = json.loads(text.replace(b'{"b": "text", "next": null}', b'{"b": 1, "next": null}'))
    with pytest.raises(SchemaError, match=r"^at next: expected one of null, p, q, not"):
        schema.check(wrong)


def test_schemas_that_double_at_each_level_are_compared_once():
    one, other = make_schema("one", TWICE), make_schema("other", TWICE)
    assert mismatch(one, other) is None
    changed = json.loads(json.dumps(TWICE).replace('"null"', '"int"', 1))
    assert "null is asked for, int is given" in mismatch(one, make_schema("changed", changed))
    JsonCodec(one)


def _loop():
    loop = []
    loop.append(loop)
    return loop


class _Untold(Exception):
    def __str__(self):
        raise ValueError("an exception that cannot be told")


class _Hostile:
    def __float__(self):
        raise _Untold

    __repr__ = __float__


def _deep(levels):
    value = None
    for _ in range(levels):
        value = {"x": 1, "next": value}
    return value


UNWRITABLE = {
    "a list in itself": _loop(),
    "100,000 dicts in each other": _deep(100_000),
    "an object whose methods raise": _Hostile(),
    "such an object in a dict": {"x": _Hostile()},
    "a number of 5,000 digits": 10**5000,
    "half of a pair of surrogates": "\ud800",
}


@pytest.mark.parametrize("what", UNWRITABLE)
@pytest.mark.parametrize(
    "definition", [LIST, "double", "string", _array("null")], ids=["list", "double", "string", "nulls"]
)
def test_what_a_model_gives_that_cannot_be_written_costs_one_record(definition, what):
    schema, value = make_schema("s", definition), UNWRITABLE[what]
    for codec in (
        AvroCodec(schema),
        JsonCodec(schema),
        StreamCodec("json", {}, schema),
        StreamCodec("avro-binary", {}, schema),
        StreamCodec("msgpack", {}, schema),
    ):
        try:
            assert isinstance(codec.encode(value), bytes)
        except EncodeError as error:
            assert len(str(error)) < 1000  # noqa: PT017 - some of the values can be written
