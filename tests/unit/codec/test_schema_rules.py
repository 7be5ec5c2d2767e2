"""What is an Avro schema, and the one line for what is none."""

from __future__ import annotations

import pytest

from stream_scorer.codec.schema_rules import BadSchema, checked_schema

GOOD = {
    "a word": "double",
    "an object": {"type": "int"},
    "a name on a primitive": {"name": "Output", "type": "double"},
    "an object in an object": {"type": {"type": "array", "items": "int"}},
    "a union in an object": {"type": ["null", "int"]},
    "what nobody knows": {"type": "record", "name": "R", "fields": [{"name": "a", "type": "int", "role": "score"}]},
    "a namespace": {
        "type": "record",
        "name": "R",
        "namespace": "a.b",
        "fields": [{"name": "x", "type": ["null", "R"]}, {"name": "y", "type": ["null", "a.b.R"]}],
    },
    "two fields of a field's type": {
        "type": "record",
        "name": "R",
        "fields": [
            {"name": "a", "type": {"type": "record", "name": "S", "fields": []}},
            {"name": "b", "type": {"type": "array", "items": "S"}},
        ],
    },
    "an array and a map in a union": [{"type": "array", "items": "int"}, {"type": "map", "values": "int"}],
    "two records in a union": [
        {"type": "record", "name": "A", "fields": []},
        {"type": "record", "name": "B", "fields": []},
    ],
    "timestamps": {"type": "long", "logicalType": "timestamp-millis"},
    "a dash in a name": {"type": "record", "name": "input-1", "fields": []},
}
BAD = {
    'Type "foobar" is undefined': [
        "foobar",
        {"type": "foobar"},
        {"type": "array", "items": "foobar"},
        ["null", "foobar"],
    ],
    "A schema is a string, an object or an array": [3, None, True, {"type": "map", "values": 3}],
    'has no "type"': [{}, {"name": "x"}],
    'needs a "name"': [{"type": "record", "fields": []}, {"type": "fixed", "name": "3", "size": 1}],
    'needs an array of "fields"': [{"type": "record", "name": "R"}],
    'has no "name"': [{"type": "record", "name": "R", "fields": ["a"]}],
    'Field "a" of record "R" has no "type"': [{"type": "record", "name": "R", "fields": [{"name": "a"}]}],
    'two fields "a"': [{"type": "record", "name": "R", "fields": [{"name": "a", "type": "int"}] * 2}],
    'has no "items"': [{"type": "array"}],
    'has no "values"': [{"type": "map"}],
    'needs an array of "symbols"': [{"type": "enum", "name": "E"}, {"type": "enum", "name": "E", "symbols": []}],
    "a symbol is of letters": [{"type": "enum", "name": "E", "symbols": ["a b"]}],
    "has a symbol twice": [{"type": "enum", "name": "E", "symbols": ["A", "A"]}],
    'needs a "size"': [{"type": "fixed", "name": "F"}, {"type": "fixed", "name": "F", "size": "4"}],
    "may not contain a union": [["null", ["int"]]],
    'may contain "int" only once': [["int", "int"]],
    'may contain "array" only once': [[{"type": "array", "items": "int"}, {"type": "array", "items": "long"}]],
    "is defined twice": [[{"type": "record", "name": "R", "fields": []}, {"type": "fixed", "name": "R", "size": 1}]],
}


@pytest.mark.parametrize("case", GOOD)
def test_schemas(case):
    assert checked_schema("s", GOOD[case]).name == "s"


@pytest.mark.parametrize(("text", "definition"), [(text, one) for text, them in BAD.items() for one in them])
def test_what_is_no_schema_is_told_in_one_line(text, definition):
    with pytest.raises(BadSchema) as caught:
        checked_schema("s", definition)
    assert text in str(caught.value)
    assert "\n" not in str(caught.value)


def _nested(levels, wrap):
    definition = "int"
    for _ in range(levels):
        definition = wrap(definition)
    return definition


@pytest.mark.parametrize(
    "definition",
    [
        _nested(100_000, lambda inner: {"type": "array", "items": inner}),
        _nested(100_000, lambda inner: [inner]),
        _nested(100_000, lambda inner: {"type": inner}),
        _nested(90, lambda inner: {"type": "record", "name": "R", "fields": [{"name": "a", "type": inner}]}),
        {"type": {"type": "record"}, "fields": []},
        {"type": [], "fields": [], "name": "x"},
        {"type": "record", "name": "R", "fields": [], "namespace": {}},
        {"type": "fixed", "name": "F", "size": 10**400},
        {"type": "x" * 100_000},
        {"type": "record", "name": "R", "fields": [], "__fastavro_parsed": True},
        {"__fastavro_parsed": True, "type": "array", "items": "no such type"},
    ],
    ids=range(11),
)
def test_what_is_no_schema_is_told_in_one_short_line(definition):
    told = ""
    try:
        checked_schema("x", definition)
    except BadSchema as error:  # a size of 10^400 is one, for all that Avro says
        told = str(error)
    assert len(told) < 500
    assert "\n" not in told


def test_schemas_are_taken_as_deep_as_people_write_them():
    definition = "int"
    for level in range(60):
        definition = {"type": "record", "name": f"R{level}", "fields": [{"name": "a", "type": ["null", definition]}]}
    assert checked_schema("x", definition).named.keys() >= {"R0", "R59"}
