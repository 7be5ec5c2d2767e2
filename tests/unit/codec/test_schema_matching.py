"""The compatibility table: may data of the writer go where the reader is asked for?"""

from __future__ import annotations

import pytest

from stream_scorer.codec.schema import PRIMITIVES, make_schema
from stream_scorer.codec.schema_matching import mismatch

NUMBERS = ["int", "long", "float", "double"]


def record(*fields, name="R"):
    return {"type": "record", "name": name, "fields": list(fields)}


def field(name, kind, **more):
    return {"name": name, "type": kind, **more}


def array(items):
    return {"type": "array", "items": items}


def mapping(values):
    return {"type": "map", "values": values}


def enum(*symbols, name="E"):
    return {"type": "enum", "name": name, "symbols": list(symbols)}


def fixed(size, name="F"):
    return {"type": "fixed", "name": name, "size": size}


def why(reader, writer):
    return mismatch(make_schema("reader", reader), make_schema("writer", writer))


@pytest.mark.parametrize("writer", PRIMITIVES)
@pytest.mark.parametrize("reader", PRIMITIVES)
def test_primitives(reader, writer):
    narrow = reader in NUMBERS and writer in NUMBERS and NUMBERS.index(writer) <= NUMBERS.index(reader)
    assert (why(reader, writer) is None) == (reader == writer or narrow)


FIT = {
    "a primitive as an object": ({"type": "double"}, "double"),
    "a name on a primitive": ({"name": "Output", "type": "double"}, "int"),
    "attributes that nobody knows": ({"type": "double", "role": "score"}, "float"),
    "a logical type is its number": ({"type": "long", "logicalType": "timestamp-millis"}, "long"),
    "an array": (array("double"), array("int")),
    "a map": (mapping("long"), mapping("int")),
    "deep": (array(mapping(array("double"))), array(mapping(array("float")))),
    "records of other names": (record(field("a", "double")), record(field("a", "int"), name="other.Name")),
    "fields in another order": (
        record(field("a", "int"), field("b", "string")),
        record(field("b", "string"), field("a", "int")),
    ),
    "extra fields": (record(field("a", "int")), record(field("a", "int"), field("b", "string"))),
    "a default": (record(field("a", "int", default=0)), record()),
    "an alias": (record(field("a", "int", aliases=["old"])), record(field("old", "int"))),
    "fewer symbols": (enum("A", "B"), enum("B", name="Other")),
    "the same size": (fixed(4), fixed(4, name="Other")),
    "a branch of the reader": (["null", "double"], "int"),
    "all branches of the writer": ("double", ["int", "float"]),
    "unions": (["null", "double"], ["null", "int"]),
    "a record that names itself": (
        record(field("v", "double"), field("next", ["null", "R"])),
        record(field("v", "int"), field("next", ["null", "Node"]), name="Node"),
    ),
    "a type named twice": (
        record(field("a", fixed(2)), field("b", "F")),
        record(field("a", fixed(2, "G")), field("b", "G")),
    ),
}
MISFIT = {
    "bytes and string": ("bytes", "string", "bytes is asked for, string is given"),
    "enum and string": (enum("A"), "string", "enum E is asked for, string is given"),
    "string and enum": ("string", enum("A"), "string is asked for, enum E is given"),
    "deep": (array(mapping("int")), array(mapping("long")), r"^at \[\]\{\}: int is asked for, long is given"),
    "a field that is missing": (record(field("a", "int")), record(), "field 'a' is asked for and not there"),
    "a field of the writer for two of the reader": (
        record(field("a", "int"), field("b", "int", aliases=["a"])),
        record(field("a", "int")),
        "field 'b' is asked for and not there",
    ),
    "a field's type": (record(field("a", "int")), record(field("a", "double")), "^at a: int is asked for, double"),
    "more symbols": (enum("A"), enum("A", "B"), "one that has B too"),
    "another size": (fixed(4), fixed(5), "fixed of 4 bytes is asked for, fixed of 5"),
    "one branch too many": ("double", ["null", "double"], "double is asked for, null is given"),
    "no branch": (["null", "int"], "string", "null or int is asked for, string is given"),
    "array and map": (array("int"), mapping("int"), "array is asked for, map is given"),
    "record and map": (record(), mapping("int"), "record R is asked for, map is given"),
    "deep in a record that names itself": (
        record(field("next", ["null", "R"]), field("v", "int")),
        record(field("next", ["null", "Node"]), field("v", "string"), name="Node"),
        "at v: int is asked for, string is given",
    ),
}


@pytest.mark.parametrize("case", FIT)
def test_what_fits(case):
    assert why(*FIT[case]) is None


@pytest.mark.parametrize("case", MISFIT)
def test_what_does_not_fit_is_told(case):
    import re

    reader, writer, text = MISFIT[case]
    assert re.search(text, why(reader, writer) or "nothing")
