"""How values are read and written: rows that a test checks and that are the tables of docs/values.md."""

from __future__ import annotations

import datetime
import decimal
import json
import math
import uuid
from typing import Any, NamedTuple

import numpy as np

REFUSED = "refused"


def record(name: str, *fields: Any) -> dict[str, Any]:
    """Fields: (name, type), or (name, type, default)."""
    return {
        "type": "record",
        "name": name,
        "fields": [
            {"name": field[0], "type": field[1]} | ({"default": field[2]} if len(field) > 2 else {}) for field in fields
        ],
    }


def logical(kind: str, name: str, **more: Any) -> dict[str, Any]:
    return {"type": kind, "logicalType": name, **more}


def fixed(size: int, name: str = "F", **more: Any) -> dict[str, Any]:
    return {"type": "fixed", "name": name, "size": size, **more}


def array(items: Any) -> dict[str, Any]:
    return {"type": "array", "items": items}


def mapping(values: Any) -> dict[str, Any]:
    return {"type": "map", "values": values}


def enum(*symbols: str, name: str = "E", **more: Any) -> dict[str, Any]:
    return {"type": "enum", "name": name, "symbols": list(symbols), **more}


class Out(NamedTuple):
    """json: the text written, or REFUSED. avro: the bytes in hex, or REFUSED. msgpack writes what JSON does, but bytes."""

    schema: Any
    given: Any
    json: str
    avro: str
    shown: str = ""


class In(NamedTuple):
    """wire: text of JSON, or hex of Avro."""

    schema: Any
    encoding: str
    wire: str
    seen: Any


class Evolved(NamedTuple):
    """Written by one schema and read by another, with a registry. seen: REFUSED where that cannot be."""

    writer: Any
    reader: Any
    written: Any
    seen: Any


class Match(NamedTuple):
    asked: Any
    given: Any
    goes: bool


UTC = datetime.UTC
_BERLIN = datetime.timezone(datetime.timedelta(hours=1))
MONEY = logical("bytes", "decimal", precision=6, scale=2)
A, B = record("A", ("a", "int")), record("B", ("a", "int"), ("b", "int"))
FULL = record("D", ("x", "int"), ("y", "int", 7))

NUMBERS_OUT = [
    Out("int", 3, "3", "06"),
    Out("int", -(2**31), "-2147483648", "ffffffff0f"),
    Out("int", 2**31, REFUSED, REFUSED),
    Out("int", np.int64(3), "3", "06"),
    Out("int", 2.0, REFUSED, REFUSED),
    Out("int", True, REFUSED, REFUSED),
    Out("int", "3", REFUSED, REFUSED),
    Out("long", 2**63 - 1, "9223372036854775807", "feffffffffffffffff01"),
    Out("long", 2**63, REFUSED, REFUSED),
    Out("double", 0.1, "0.1", "9a9999999999b93f"),
    Out("double", 1, "1", "000000000000f03f"),
    Out("double", np.float32(0.5), "0.5", "000000000000e03f"),
    Out("double", np.array(0.5), "0.5", "000000000000e03f"),
    Out("double", decimal.Decimal("0.5"), "0.5", "000000000000e03f"),
    Out("double", 10**400, REFUSED, REFUSED, "10**400"),
    Out("double", decimal.Decimal("1e400"), REFUSED, REFUSED),
    Out("double", True, REFUSED, REFUSED),
    Out("double", "0.1", REFUSED, REFUSED),
    Out("float", 0.1, "0.1", "cdcccc3d"),
    Out("float", 1e39, REFUSED, REFUSED),
    Out("float", -(10**39), REFUSED, REFUSED, "-(10**39)"),
    Out("boolean", np.bool_(True), "true", "01"),
    Out("boolean", 1, REFUSED, REFUSED),
]
TEXT_OUT = [
    Out("string", "é", '"\\u00e9"', "04c3a9"),
    Out("string", b"x", REFUSED, REFUSED),
    Out("bytes", b"\xff", '"\\u00ff"', "02ff"),
    Out("bytes", "ÿ", '"\\u00ff"', "02ff"),
    Out("bytes", bytearray(b"x"), '"x"', "0278"),
    Out("bytes", "Ā", REFUSED, REFUSED),
    Out(fixed(2), b"ab", '"ab"', "6162"),
    Out(fixed(2), b"abc", REFUSED, REFUSED),
    Out(enum("UP", "DOWN"), "DOWN", '"DOWN"', "02"),
    Out(enum("UP", "DOWN"), "down", REFUSED, REFUSED),
    Out(array("int"), (1, 2), "[1, 2]", "04020400"),
    Out(array("int"), np.arange(2), "[0, 1]", "04000200"),
    Out(mapping("int"), {"a": 1}, '{"a": 1}', "0202610200"),
    Out(mapping("int"), {1: 1}, REFUSED, REFUSED),
    Out(A, {"a": 1, "more": 2}, '{"a": 1, "more": 2}', "02"),
    Out(A, {}, REFUSED, REFUSED),
    Out(FULL, {"x": 1}, '{"x": 1}', "020e"),
]
UNIONS_OUT = [
    Out(["null", "double"], None, "null", "00"),
    Out(["null", "double"], 0.5, '{"double": 0.5}', "02000000000000e03f"),
    Out(["null", "double"], {"double": 0.5}, '{"double": 0.5}', "02000000000000e03f"),
    Out(["null", "double"], 1, '{"double": 1}', "02000000000000f03f"),
    Out(["null", "double"], np.float64(0.5), '{"double": 0.5}', "02000000000000e03f"),
    Out(["null", "double"], "x", REFUSED, REFUSED),
    Out(["null", "double"], {"int": 1}, REFUSED, REFUSED),
    Out(["double", "int"], 3, '{"int": 3}', "0206"),
    Out(["int", "long"], 2**31, '{"long": 2147483648}', "028080808010"),
    Out(["float", "double"], 0.1, '{"double": 0.1}', "029a9999999999b93f"),
    Out(["float", "double"], 1, '{"double": 1}', "02000000000000f03f"),
    Out(["null", "float"], 1e39, REFUSED, REFUSED),
    Out(["bytes", "string"], "x", '{"string": "x"}', "020278"),
    Out(["null", "bytes"], "x", '{"bytes": "x"}', "020278"),
    Out([A, B], {"a": 1, "b": 2}, '{"B": {"a": 1, "b": 2}}', "020204"),
    Out([B, A], {"a": 1}, '{"A": {"a": 1}}', "0202"),
    Out([A, B], {"a": 1, "c": 3}, '{"A": {"a": 1, "c": 3}}', "0002"),
    Out([FULL, record("X", ("x", "int"))], {"x": 1}, '{"X": {"x": 1}}', "0202"),
    Out([FULL, "null"], {"x": 1}, '{"D": {"x": 1}}', "00020e"),
    Out([A, mapping("int")], {"a": 1, "z": 2}, '{"map": {"a": 1, "z": 2}}', "0204026102027a0400"),
    Out(["int", mapping("string")], {"int": "x"}, '{"map": {"int": "x"}}', "020206696e74027800"),
    Out(
        ["null", logical("long", "timestamp-millis")],
        datetime.datetime(1970, 1, 1, 0, 0, 1),
        '{"long": 1000}',
        "02d00f",
    ),
    Out(["null", MONEY], {"bytes": decimal.Decimal("1.5")}, '{"bytes": "\\u0000\\u0096"}', "02040096"),
]
LOGICAL_OUT = [
    Out(logical("int", "date"), datetime.date(1970, 1, 11), "10", "14"),
    Out(logical("int", "date"), 10, "10", "14"),
    Out(logical("int", "date"), datetime.datetime(1970, 1, 11), "10", "14"),
    Out(logical("int", "date"), datetime.datetime(1970, 1, 11, 12), REFUSED, REFUSED),
    Out(logical("int", "time-millis"), datetime.time(0, 0, 1), "1000", "d00f"),
    Out(logical("long", "time-micros"), datetime.time(0, 0, 1), "1000000", "80897a"),
    Out(logical("int", "time-millis"), datetime.time(0, 0, 1, tzinfo=UTC), REFUSED, REFUSED),
    Out(logical("long", "timestamp-millis"), datetime.datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC), "1000", "d00f"),
    Out(logical("long", "timestamp-millis"), datetime.datetime(1970, 1, 1, 0, 0, 1), "1000", "d00f"),
    Out(logical("long", "timestamp-millis"), datetime.datetime(1970, 1, 1, 1, 0, 1, tzinfo=_BERLIN), "1000", "d00f"),
    Out(logical("long", "timestamp-millis"), datetime.datetime(1970, 1, 1, 0, 0, 0, 1999), "1", "02"),
    Out(logical("long", "timestamp-millis"), np.datetime64(1_000_000_000, "ns"), "1000", "d00f"),
    Out(logical("long", "timestamp-micros"), datetime.datetime(1970, 1, 1, 0, 0, 1), "1000000", "80897a"),
    Out(logical("long", "timestamp-micros"), 5, "5", "0a"),
    Out(logical("long", "timestamp-millis"), datetime.date(1970, 1, 2), REFUSED, REFUSED),
    Out(logical("long", "local-timestamp-millis"), datetime.datetime(1970, 1, 1, 0, 0, 1), "1000", "d00f"),
    Out(
        logical("long", "local-timestamp-millis"),
        datetime.datetime(1970, 1, 1, 0, 0, 1, tzinfo=_BERLIN),
        "1000",
        "d00f",
    ),
    Out(logical("long", "local-timestamp-micros"), datetime.datetime(1970, 1, 1, 0, 0, 1), "1000000", "80897a"),
    Out("long", datetime.datetime(1970, 1, 1), REFUSED, REFUSED),
    Out(MONEY, decimal.Decimal("1.5"), '"\\u0000\\u0096"', "040096"),
    Out(MONEY, decimal.Decimal("-1"), '"\\u009c"', "029c"),
    Out(MONEY, b"\x01", '"\\u0001"', "0201"),
    Out(MONEY, decimal.Decimal("1.005"), REFUSED, REFUSED),
    Out(MONEY, decimal.Decimal("12345.67"), REFUSED, REFUSED),
    Out(MONEY, 1.5, REFUSED, REFUSED),
    Out(
        fixed(3, logicalType="decimal", precision=6, scale=2),
        decimal.Decimal("-1"),
        '"\\u00ff\\u00ff\\u009c"',
        "ffff9c",
    ),
    Out(
        logical("string", "uuid"),
        uuid.UUID(int=7),
        '"00000000-0000-0000-0000-000000000007"',
        "48" + b"00000000-0000-0000-0000-000000000007".hex(),
    ),
    Out(fixed(16, "U", logicalType="uuid"), uuid.UUID(int=7), '"' + "\\u0000" * 15 + '\\u0007"', "00" * 15 + "07"),
]
OUT = {
    "Numbers": NUMBERS_OUT,
    "Text, bytes, lists and records": TEXT_OUT,
    "Unions": UNIONS_OUT,
    "Logical types": LOGICAL_OUT,
}
IN = [
    In("double", "json", "5", 5),
    In("double", "json", "1e400", REFUSED),
    In("double", "json", "1" + "0" * 400, REFUSED),
    In("float", "json", "1e39", REFUSED),
    In("int", "json", "2147483648", REFUSED),
    In("int", "json", "2.0", REFUSED),
    In(["null", "int"], "json", '{"int": 3}', {"int": 3}),
    In(["null", "int"], "json", "3", 3),
    In(A, "json", '{"a": 1, "more": 2}', {"a": 1, "more": 2}),
    In(FULL, "json", '{"x": 1}', {"x": 1}),
    In("bytes", "json", '"\\u00ff"', "ÿ"),
    In(logical("long", "timestamp-micros"), "json", "5", 5),
    In(logical("int", "date"), "json", '"1970-01-11"', REFUSED),
    In("double", "avro", "000000000000f03f", 1.0),
    In("double", "avro", "000000000000f07f", math.inf),
    In("int", "avro", "feffffff0f", 2**31 - 1),
    In("int", "avro", "808080808040", REFUSED),
    In("long", "avro", "ffffffffffffffffff01", -(2**63)),
    In("long", "avro", "ffffffffffffffffff03", REFUSED),
    In("long", "avro", "80808080808080808080808001", REFUSED),
    In("boolean", "avro", "01", True),
    In("boolean", "avro", "07", REFUSED),
    In("boolean", "avro", "8000", REFUSED),
    In(enum("UP", "DOWN"), "avro", "02", "DOWN"),
    In(enum("UP", "DOWN"), "avro", "01", REFUSED),
    In(enum("UP", "DOWN"), "avro", "04", REFUSED),
    In(["null", "int"], "avro", "0206", 3),
    In(["null", "int"], "avro", "0106", REFUSED),
    In(["null", "int"], "avro", "0406", REFUSED),
    In("bytes", "avro", "02ff", b"\xff"),
    In("string", "avro", "02ff", REFUSED),
    In("string", "avro", "01", REFUSED),
    In(logical("int", "date"), "avro", "14", 10),
    In(logical("int", "time-millis"), "avro", "d00f", 1000),
    In(logical("long", "timestamp-millis"), "avro", "d00f", 1000),
    In(MONEY, "avro", "040096", b"\x00\x96"),
    In(logical("string", "uuid"), "avro", "0278", "x"),
]
EVOLVED = [
    Evolved("int", "double", 1, 1.0),
    Evolved("long", "int", 1, REFUSED),
    Evolved("float", "double", 0.5, 0.5),
    Evolved("string", "bytes", "é", "é".encode()),
    Evolved("bytes", "string", b"x", "x"),
    Evolved("int", ["null", "long"], 1, 1),
    Evolved("int", ["double", "int"], 1, 1),
    Evolved(["null", "int"], "int", 1, 1),
    Evolved(["null", "int"], "int", None, REFUSED),
    Evolved(A, record("Renamed", ("a", "double")), {"a": 1}, {"a": 1.0}),
    Evolved(B, A, {"a": 1, "b": 2}, {"a": 1}),
    Evolved(A, B, {"a": 1}, REFUSED),
    Evolved(A, FULL | {"fields": [*A["fields"], *FULL["fields"][1:]]}, {"a": 1}, {"a": 1, "y": 7}),
    Evolved(A, {**A, "fields": [{"name": "new", "aliases": ["a"], "type": "long"}]}, {"a": 1}, {"new": 1}),
    Evolved(A, record("A", ("b", "bytes", "ÿ")), {"a": 1}, {"b": b"\xff"}),
    Evolved(A, record("A", ("m", MONEY, "\0")), {"a": 1}, {"m": b"\0"}),
    Evolved(A, record("A", ("t", logical("long", "timestamp-millis"), 0)), {"a": 1}, {"t": 0}),
    Evolved(A, record("A", ("l", array("bytes"), ["x"])), {"a": 1}, {"l": [b"x"]}),
    Evolved(A, record("A", ("u", ["null", "int"], None)), {"a": 1}, {"u": None}),
    Evolved(A, record("A", ("d", FULL, {"x": 1})), {"a": 1}, {"d": {"x": 1, "y": 7}}),
    Evolved(enum("UP", "DOWN"), enum("UP", name="Other"), "UP", "UP"),
    Evolved(enum("UP", "DOWN"), enum("UP"), "DOWN", REFUSED),
    Evolved(enum("UP", "DOWN"), enum("UP", default="UP"), "DOWN", "UP"),
    Evolved(fixed(2), fixed(2, "Other"), b"ab", b"ab"),
    Evolved(fixed(2), fixed(3), b"ab", REFUSED),
    Evolved(logical("long", "timestamp-micros"), logical("long", "timestamp-millis"), 1999, 1),
    Evolved(logical("long", "timestamp-millis"), logical("long", "timestamp-micros"), 1, 1000),
    Evolved(logical("long", "timestamp-micros"), "long", 1999, 1999),
    Evolved(logical("int", "date"), logical("long", "timestamp-millis"), 1, REFUSED),
    Evolved(MONEY, logical("bytes", "decimal", precision=6, scale=3), b"\1", REFUSED),
]
MATCH = [
    Match("double", "int", True),
    Match("int", "long", False),
    Match("float", "double", False),
    Match("bytes", "string", False),
    Match("string", enum("A"), False),
    Match(["null", "double"], "int", True),
    Match("double", ["int", "float"], True),
    Match("double", ["null", "double"], False),
    Match(A, record("Other", ("a", "int")), True),
    Match(A, B, True),
    Match(B, A, False),
    Match(FULL, record("X", ("x", "int")), True),
    Match(enum("A", "B"), enum("B", name="Other"), True),
    Match(enum("A"), enum("A", "B"), False),
    Match(fixed(2), fixed(2, "Other"), True),
    Match(fixed(2), fixed(3), False),
    Match(array("double"), array("int"), True),
    Match(logical("long", "timestamp-millis"), "long", True),
    Match("long", logical("long", "timestamp-millis"), True),
    Match(logical("long", "timestamp-millis"), logical("long", "timestamp-micros"), False),
    Match(logical("int", "date"), logical("int", "time-millis"), False),
    Match(MONEY, logical("bytes", "decimal", precision=6, scale=3), False),
]


def described(schema: Any) -> str:
    """A schema in few words."""
    if isinstance(schema, list):
        return f"[{', '.join(map(described, schema))}]"
    if not isinstance(schema, dict):
        return str(schema)
    kind = schema["type"]
    if kind == "record":
        return f"{schema['name']} {{{', '.join(map(_field, schema['fields']))}}}"
    if kind in ("array", "map"):
        return f"{kind} of {described(schema.get('items', schema.get('values')))}"
    if kind == "enum":
        default = f", default {schema['default']}" if "default" in schema else ""
        return f"enum {schema['name']} ({', '.join(schema['symbols'])}{default})"
    size = f" of {schema['size']}" if kind == "fixed" else ""
    scale = f", scale {schema['scale']}" if "scale" in schema else ""
    return f"{kind}{size}" + (f" as {schema['logicalType']}{scale}" if "logicalType" in schema else "")


def _field(field: Any) -> str:
    default = f" = {json.dumps(field['default'])}" if "default" in field else ""
    alias = f" (alias {', '.join(field['aliases'])})" if "aliases" in field else ""
    return f"{field['name']}: {described(field['type'])}{default}{alias}"
