"""Schemas by name, and values checked against them with the place of the fault."""

from __future__ import annotations

import itertools
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_scorer.codec.avro import AvroCodec
from stream_scorer.codec.schema import PRIMITIVES, make_schema
from stream_scorer.codec.schema_files import load_schema
from stream_scorer.errors import ModelError, SchemaError

QUOTE = {
    "type": "record",
    "name": "Quote",
    "namespace": "market",
    "fields": [
        {"name": "symbol", "type": "string"},
        {"name": "levels", "type": {"type": "array", "items": {"type": "map", "values": "double"}}},
        {"name": "side", "type": {"type": "enum", "name": "Side", "symbols": ["BUY", "SELL"]}},
        {"name": "note", "type": ["null", "string"], "default": None},
        {"name": "next", "type": ["null", "Quote"], "default": None},
    ],
}
GOOD = {"symbol": "SPX", "levels": [{"bid": 1}], "side": "BUY"}


def test_a_file_given_by_name_comes_first(write, tmp_path):
    given_file = write("else/where.avsc", '"int"')
    write("price.avsc", '"long"')
    assert load_schema("price", {"price": given_file}, tmp_path).primitive == "int"
    assert load_schema("price", {}, tmp_path).primitive == "long"


def test_a_name_may_be_a_file_name(write, tmp_path):
    write("price.json", '{"type": "double"}')
    assert load_schema("price.json", {}, tmp_path).primitive == "double"


def test_a_file_beside_the_model_wins_over_the_primitive_of_its_name(write, tmp_path):
    write("double.avsc", '{"type": "float"}')
    assert load_schema("double", {}, tmp_path).primitive == "float"


@pytest.mark.parametrize("name", PRIMITIVES)
def test_primitives_need_no_file(name, tmp_path):
    schema = load_schema(name, {}, tmp_path)
    assert schema.primitive == name
    assert json.loads(schema.as_file()) == {"type": name}


def test_a_schema_that_is_nowhere_is_told_with_the_places(tmp_path):
    with pytest.raises(ModelError, match=r"schema 'price': no file .*price\.avsc or .*--schema price=FILE\.avsc"):
        load_schema("price", {}, tmp_path)


def test_a_file_given_and_not_there_is_no_primitive(tmp_path):
    with pytest.raises(ModelError, match=r"schema 'double': no file .*gone\.avsc"):
        load_schema("double", {"double": tmp_path / "gone.avsc"}, tmp_path)


@pytest.mark.parametrize(
    "text",
    ["{", '{"type": "nonsense"}', "[]x", '{"name": "x"}', "3", '"record"', "{}", '{"type": "record", "name": "r"}'],
)
def test_a_file_that_is_no_schema_is_told_with_its_path(text, write, tmp_path):
    write("bad.avsc", text)
    with pytest.raises(ModelError, match=r"schema 'bad': .*bad\.avsc is not an Avro schema"):
        load_schema("bad", {}, tmp_path)


def test_a_logical_type_is_no_primitive():
    assert make_schema("when", {"type": "long", "logicalType": "timestamp-millis"}).primitive is None


def _without(key):
    return {name: value for name, value in GOOD.items() if name != key}


FAULTS = {
    "not a record": ([], r"^expected record, not \[\] \(list\)"),
    "a missing field": (_without("side"), r"^field 'side' is missing"),
    "deep in a list and a map": (GOOD | {"levels": [{}, {"bid": "x"}]}, r"^at levels\[1\]\.bid: expected double"),
    "a map's key": (GOOD | {"levels": [{1: 1.0}]}, r"^at levels\[0\]: expected string key, not 1 \(int\)"),
    "an enum": (GOOD | {"side": "HOLD"}, r"^at side: expected one of BUY, SELL, not \"HOLD\""),
    "a union": (GOOD | {"note": 3}, r"^at note: expected one of null, string, not 3 \(int\)"),
    "in a schema that names itself": (GOOD | {"next": {"Quote": {}}}, r"^at next: expected one of null, market\.Quote"),
}


@pytest.mark.parametrize("case", FAULTS)
def test_a_fault_is_told_with_its_place(case):
    value, text = FAULTS[case]
    with pytest.raises(SchemaError, match=text):
        make_schema("quote", QUOTE).check(value)


def test_a_good_value_passes_with_defaults_left_out():
    make_schema("quote", QUOTE).check(GOOD | {"next": GOOD | {"note": "x"}})


BOUNDS = {
    "int": ([-(2**31), 2**31 - 1], [-(2**31) - 1, 2**31, 1.0, True, "1"]),
    "long": ([-(2**63), 2**63 - 1], [-(2**63) - 1, 2**63, False]),
    "double": ([1, 1.5, math.nan], ["1", None, True]),
    "boolean": ([True], [1, None]),
    "string": (["x"], [b"x", 1]),
    "bytes": ([b"x", "\xff"], ["\u0100", 1]),
    "null": ([None], [0, ""]),
}


@pytest.mark.parametrize("kind", BOUNDS)
def test_primitives_have_their_bounds(kind):
    schema = make_schema(kind, kind)
    good, bad = BOUNDS[kind]
    for value in good:
        schema.check(value)
    for value in bad:
        with pytest.raises(SchemaError, match=f"expected {kind}, not "):
            schema.check(value)


def test_fixed_has_its_size():
    schema = make_schema("hash", {"type": "fixed", "name": "Hash", "size": 2})
    schema.check(b"ab")
    with pytest.raises(SchemaError, match="fixed of 2 bytes"):
        schema.check(b"abc")


@pytest.mark.parametrize("value", [3, "x", None, {"int": 3}, {"string": "x"}])
def test_union_values_may_be_tagged_as_avros_json_has_them(value):
    make_schema("u", ["null", "int", "string"]).check(value)


def test_a_tag_commits_to_its_branch():
    with pytest.raises(SchemaError, match="expected int"):
        make_schema("u", ["null", "int", "string"]).check({"int": "x"})


_numbers = itertools.count()


@st.composite
def _typed(draw, depth=2):
    """A schema and a value that fits it exactly."""
    simple = {
        "null": st.none(),
        "boolean": st.booleans(),
        "int": st.integers(-(2**31), 2**31 - 1),
        "long": st.integers(-(2**63), 2**63 - 1),
        "double": st.floats(allow_nan=False),
        "bytes": st.binary(max_size=5),
        "string": st.text(max_size=5),
    }
    kind = draw(st.sampled_from([*simple, *(["array", "map", "record", "union"] if depth else [])]))
    if kind in simple:
        return kind, draw(simple[kind])
    if kind == "union":
        branch, value = draw(_typed(0))
        return (["null", branch] if branch != "null" else ["null", "int"]), draw(st.sampled_from([None, value]))
    if kind == "record":
        fields = draw(st.lists(_typed(depth - 1), max_size=3))
        name = f"R{next(_numbers)}"  # a named type may be defined once in a schema
        described = [{"name": f"f{at}", "type": schema} for at, (schema, _) in enumerate(fields)]
        return {"type": "record", "name": name, "fields": described}, {
            f"f{at}": value for at, (_, value) in enumerate(fields)
        }
    schema, value = draw(_typed(depth - 1))
    if kind == "array":
        return {"type": "array", "items": schema}, [value] * draw(st.integers(0, 3))
    return {"type": "map", "values": schema}, dict.fromkeys(draw(st.lists(st.text(max_size=3), max_size=2)), value)


@given(_typed())
def test_what_fits_a_schema_is_encoded_and_comes_back(typed):
    definition, value = typed
    codec = AvroCodec(make_schema("any", definition))
    assert codec.decode(codec.encode(value)) == value


@pytest.mark.parametrize("text", ["[" * 100_000, '{"type":' * 100_000, "\xff", "", '{"type": {"type": {}}}', "nul"])
def test_a_file_that_is_no_schema_is_told_in_one_line(text, write, tmp_path):
    write("price.avsc", text)
    with pytest.raises(ModelError, match=r"^schema 'price': .*price.avsc is not an Avro schema: [^\n]*$"):
        load_schema("price", {}, tmp_path)


def test_an_error_shows_neither_a_whole_value_nor_a_whole_place():
    schema = make_schema("m", {"type": "map", "values": {"type": "map", "values": "int"}})
    with pytest.raises(SchemaError) as error:
        schema.check({"x" * 100_000: {"y" * 100_000: {"z" * 100_000: "z" * 100_000}}})
    assert len(str(error.value)) < 400
