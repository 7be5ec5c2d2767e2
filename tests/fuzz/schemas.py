"""Schemas of every kind with values of each, and module sources with smart comments."""

from __future__ import annotations

import datetime
import decimal
import uuid
from typing import Any


def record(name: str, /, **fields: Any) -> dict[str, Any]:
    return {"type": "record", "name": name, "fields": [{"name": key, "type": kind} for key, kind in fields.items()]}


def _chain(links: int) -> dict[str, Any] | None:
    return None if links == 0 else {"x": links, "next": _chain(links - 1)}


def _tree(depth: int) -> dict[str, Any]:
    return {
        "name": "t",
        "inner": [_tree(depth - 1)] * 2 if depth else [],
        "by": {"a": _tree(depth - 1)} if depth else {},
    }


def _either(depth: int) -> dict[str, Any] | None:
    return None if depth == 0 else {"b": "text", "next": _either(depth - 1)}


_LOGICAL = {
    "d": {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2},
    "f": {"type": "fixed", "name": "F16", "size": 16, "logicalType": "decimal", "precision": 9, "scale": 2},
    "u": {"type": "string", "logicalType": "uuid"},
    "day": {"type": "int", "logicalType": "date"},
    "ms": {"type": "int", "logicalType": "time-millis"},
    "us": {"type": "long", "logicalType": "time-micros"},
    "at": {"type": "long", "logicalType": "timestamp-millis"},
    "at_us": {"type": "long", "logicalType": "timestamp-micros"},
    "local": {"type": "long", "logicalType": "local-timestamp-millis"},
}
_NOON = datetime.time(12, 0)
_LOGICAL_VALUE = {
    "d": decimal.Decimal("1.25"), "f": decimal.Decimal("-7.50"), "u": uuid.UUID(int=7), "day": datetime.date(2020, 1, 2),
    "ms": _NOON, "us": _NOON, "at": datetime.datetime(2020, 1, 2, tzinfo=datetime.UTC),
    "at_us": datetime.datetime(2020, 1, 2, tzinfo=datetime.UTC), "local": datetime.datetime(2020, 1, 2),
}  # fmt: skip
LOGICAL_AS_JSON = {"d": "\x01", "f": "\0" * 16, "u": "x", "day": 1, "ms": 2, "us": 3, "at": 4, "at_us": 5, "local": 6}
_ROW = record("row", n="int", x=["null", "double"], s="string", t=["null", "string", "long"])
_ROW_VALUES = [{"n": 1, "x": None, "s": "a", "t": "b"}, {"n": -9, "x": 1.5, "s": "é,\"'", "t": 7}]

_FIXED = {"type": "fixed", "name": "f", "size": 3}
SCHEMAS: dict[str, tuple[Any, list[Any]]] = {
    "int": ("int", [0, -70_000]),
    "bytes": ("bytes", [b"", b"abc" * 30]),
    "row": (_ROW, _ROW_VALUES),
    "record": (
        record("r", a="boolean", b="float", inner=record("i", c="long", row=["null", _ROW]), f=_FIXED),
        [{"a": True, "b": 1.5, "inner": {"c": 5, "row": _ROW_VALUES[0]}, "f": b"abc"}],
    ),
    "union": (["null", "int", "string", record("u", a="int"), {"type": "array", "items": "int"}], [None, 1, "a", {"a": 1}, [1]]),
    "enum": ({"type": "enum", "name": "e", "symbols": ["A", "B", "C"]}, ["A", "C"]),
    "map": ({"type": "map", "values": {"type": "map", "values": "int"}}, [{}, {"a": {"b": 1}, "c": {}}]),
    "array": ({"type": "array", "items": _ROW}, [[], _ROW_VALUES * 3]),
    "nulls": ({"type": "array", "items": "null"}, [[], [None] * 5]),
    "empties": ({"type": "map", "values": {"type": "array", "items": record("empty")}}, [{"a": [{}, {}]}]),
    "no size": (record("n0", f={"type": "array", "items": {"type": "fixed", "name": "f0", "size": 0}}), [{"f": [b""] * 3}]),
    "recursive": (record("node", x="int", next=["null", "node"]), [_chain(1), _chain(40)]),
    "tree": (
        record("tree", name="string", inner={"type": "array", "items": "tree"}, by={"type": "map", "values": "tree"}),
        [_tree(0), _tree(2)],
    ),
    "either": (
        record("p", a="int", next=["null", "p", record("q", b="string", next=["null", "p", "q"])]),
        [{"a": 1, "next": _either(3)}],
    ),
    "logical": (record("logical", **_LOGICAL), [_LOGICAL_VALUE]),
}  # fmt: skip
EVOLVED: dict[str, list[Any]] = {
    "row": [record("row", s="string", n="double"), "int", ["null", record("row", n="long")]],
    "record": [record("r", b="double", f=_FIXED), record("r", inner=record("i", row=["null", _ROW]))],
    "union": ["long", ["null", "double", "bytes"]],
    "enum": [{"type": "enum", "name": "e", "symbols": ["A"]}, "string"],
    "map": [{"type": "map", "values": {"type": "map", "values": "double"}}],
    "nulls": [{"type": "array", "items": ["null", "int"]}],
    "empties": [{"type": "map", "values": {"type": "array", "items": record("empty")}}],
    "recursive": [
        record("node", x="double", next=["null", "node"]),
        record("node", x="int"),
        record("node", next=["null", "node"]),
    ],
    "tree": [record("tree", name="bytes"), record("tree", by={"type": "map", "values": "tree"})],
    "either": [record("p", next=["null", "p", record("q", next=["null", "p", "q"])]), record("p", a="float")],
    "logical": [
        record("logical", d="bytes", at="long"),
        record("logical", u={"type": "string", "logicalType": "uuid"}),
    ],
}
"""By name of the schema that wrote: others that read it, as far as they can."""

SOURCES = (
    """# fastscore.schema.0: double
# fastscore.schema.1: double
# fastscore.action.0: score
# fastscore.slot.2: in-use
# fastscore.slot.$out: unused
# fastscore.recordsets.$in: true
# fastscore.module-attached: a, b
# fastscore.snapshots: eof
# stream-scorer.state: past, last
# stream-scorer.window: 30
# stream-scorer.batch: push, predict
def score(x):
    yield x
""",
    """# ModelOp.init
def begin():
    pass

# modelop center.score
async def action(x):
    pass
#fastscore.input: a
#fastscore.output : b
##  odg.recordsets: both
#fastscore.action: unused
# stream-scorer.compat: tf1
""",
)
