"""Random models, of a small grammar, with random schemas and values: what `test_models` compares in every column."""

from __future__ import annotations

import datetime
import decimal
import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from tests.support.meaning import PRIMITIVES

Schema = Any
Draw = Callable[[st.SearchStrategy[Any]], Any]
UTC = datetime.UTC
_EPOCH = datetime.datetime(1970, 1, 1)
_MILLI = datetime.timedelta(milliseconds=1)
_MICRO = datetime.timedelta(microseconds=1)
_FAR = (datetime.datetime(9999, 12, 31) - _EPOCH) // _MICRO
_NEAR = (datetime.datetime(1, 1, 2) - _EPOCH) // _MICRO
_DAY = 24 * 3600 * 1000
_INT, _LONG = (-(2**31), 2**31 - 1), (-(2**63), 2**63 - 1)
_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=4)
_CENTS = decimal.Decimal("0.01")


@dataclass(frozen=True)
class Logical:
    """values: what is under it. shown: the same as Python has it."""

    definition: dict[str, Any]
    values: st.SearchStrategy[Any]
    shown: Callable[[Any], Any]


def _decimal(value: bytes) -> decimal.Decimal:
    return int.from_bytes(value, "big", signed=True) * _CENTS


def _at(unit: datetime.timedelta, zone: datetime.tzinfo | None) -> Callable[[int], datetime.datetime]:
    return lambda value: (_EPOCH + value * unit).replace(tzinfo=zone)


def _time(unit: datetime.timedelta) -> Callable[[int], datetime.time]:
    return lambda value: (_EPOCH + value * unit).time()


_CENT_BYTES = st.integers(-99_999, 99_999).map(lambda cents: cents.to_bytes(3, "big", signed=True))
_MILLIS, _MICROS = st.integers(_NEAR // 1000, _FAR // 1000), st.integers(_NEAR, _FAR)
LOGICAL = {
    "date": Logical({"type": "int"}, st.integers(-700_000, 2_900_000), lambda day: (_EPOCH + datetime.timedelta(day)).date()),
    "time-millis": Logical({"type": "int"}, st.integers(0, _DAY - 1), _time(_MILLI)),
    "time-micros": Logical({"type": "long"}, st.integers(0, _DAY * 1000 - 1), _time(_MICRO)),
    "timestamp-millis": Logical({"type": "long"}, _MILLIS, _at(_MILLI, UTC)),
    "timestamp-micros": Logical({"type": "long"}, _MICROS, _at(_MICRO, None)),
    "local-timestamp-millis": Logical({"type": "long"}, _MILLIS, _at(_MILLI, None)),
    "local-timestamp-micros": Logical({"type": "long"}, _MICROS, _at(_MICRO, None)),
    "decimal": Logical({"type": "bytes", "precision": 7, "scale": 2}, _CENT_BYTES, _decimal),
    "uuid": Logical({"type": "string"}, st.uuids().map(str), uuid.UUID),
}  # fmt: skip
_VALUES: dict[str, st.SearchStrategy[Any]] = {
    "null": st.none(),
    "boolean": st.booleans(),
    "int": st.integers(*_INT),
    "long": st.integers(*_LONG),
    "float": st.floats(width=32, allow_nan=False, allow_infinity=False),
    "double": st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from([-0.0, 5e-324, 1.7976931348623157e308]),
    "bytes": st.binary(max_size=4),
    "string": _TEXT,
}


class Types:
    """Draws schemas; every named type has a name, and every field a name, that no other has."""

    def __init__(self, draw: Draw, prefix: str) -> None:
        self._draw, self._prefix, self._count = draw, prefix, 0
        self._named: dict[str, Schema] = {}

    def schema(self, depth: int = 2) -> Schema:
        kinds = ["primitive", "primitive", "logical", "fixed", "enum"]
        kinds += ["array", "map", "record", "record", "chain", "union", "union"] if depth else []
        kinds += ["again", "again"] if self._named else []
        return getattr(self, f"_{self._draw(st.sampled_from(kinds))}")(depth)

    def _name(self, kind: str) -> str:
        self._count += 1
        return f"{self._prefix}{kind}{self._count}"

    def _primitive(self, _: int) -> Schema:
        return self._draw(st.sampled_from([kind for kind in PRIMITIVES if kind != "null"]))

    def _logical(self, _: int) -> Schema:
        name = self._draw(st.sampled_from(sorted(LOGICAL)))
        return {**LOGICAL[name].definition, "logicalType": name}

    def _again(self, _: int) -> Schema:
        """A type by its name."""
        return self._draw(st.sampled_from(sorted(self._named)))

    def _keep(self, definition: Schema) -> Schema:
        self._named[definition["name"]] = definition
        return definition

    def _fixed(self, _: int) -> Schema:
        return self._keep({"type": "fixed", "name": self._name("fixed"), "size": 3})

    def _enum(self, _: int) -> Schema:
        return self._keep({"type": "enum", "name": self._name("enum"), "symbols": ["A", "B", "C"]})

    def _chain(self, depth: int) -> Schema:
        """A record that may hold another of its kind."""
        name, first, rest = self._name("chain"), self._name("field"), self._name("field")
        fields = [{"name": first, "type": self.schema(depth - 1)}, {"name": rest, "type": ["null", name]}]
        return self._keep({"type": "record", "name": name, "fields": fields})

    def _array(self, depth: int) -> Schema:
        return {"type": "array", "items": self.schema(depth - 1)}

    def _map(self, depth: int) -> Schema:
        return {"type": "map", "values": self.schema(depth - 1)}

    def _record(self, depth: int) -> Schema:
        count = self._draw(st.integers(1, 3))
        fields = [{"name": self._name("field"), "type": self.schema(depth - 1)} for _ in range(count)]
        for field in fields:
            default = _DEFAULTS.get(field["type"]) if isinstance(field["type"], str) else None
            if default is not None and self._draw(st.booleans()):
                field["default"] = default
        return self._keep({"type": "record", "name": self._name("record"), "fields": fields})

    def _union(self, depth: int) -> Schema:
        """Of types that no value of Python can be two of."""
        families: list[Callable[[], list[Schema]]] = [
            lambda: ["boolean"],
            lambda: [self._draw(st.sampled_from(["int", "long", "float", "double"]))],
            lambda: ["int", "double"],
            lambda: [self._enum(depth)] if self._draw(st.booleans()) else ["string"],
            lambda: [self._fixed(depth)] if self._draw(st.booleans()) else ["bytes"],
            lambda: [self._array(depth)],
            lambda: [self._record(depth), self._record(depth)],
        ]
        chosen = self._draw(st.lists(st.sampled_from(range(len(families))), min_size=1, max_size=3, unique=True))
        branches = [branch for one in chosen if one != 1 or 2 not in chosen for branch in families[one]()]
        branches.insert(self._draw(st.integers(0, len(branches))), "null")
        return branches

    def value(self, schema: Schema) -> Any:
        """What is under logical types; a Branch where a union is."""
        draw, schema = self._draw, self._defined(schema)
        if isinstance(schema, list):
            branch = draw(st.sampled_from(schema))
            return Branch(name_of(branch), branch, self.value(branch))
        if isinstance(schema, str):
            return draw(_VALUES[schema])
        kind = schema["type"]
        if "logicalType" in schema:
            return draw(LOGICAL[schema["logicalType"]].values)
        if kind == "array":
            return [self.value(schema["items"]) for _ in range(draw(st.integers(0, 2)))]
        if kind == "map":
            return {key: self.value(schema["values"]) for key in draw(st.lists(_TEXT, max_size=2, unique=True))}
        if kind == "record":
            there = [one for one in schema["fields"] if "default" not in one or draw(st.booleans())]
            return {field["name"]: self.value(field["type"]) for field in there}
        return draw(st.binary(min_size=3, max_size=3) if kind == "fixed" else st.sampled_from(schema["symbols"]))

    def literal(self, given: Any, schema: Schema) -> str:
        """Source of Python that says this value, in one of the ways a model may."""
        draw, schema = self._draw, self._defined(schema)
        if isinstance(given, Branch):
            inner = self.literal(given.value, given.schema)
            tag = given.name != "null" and (given.value == {} or draw(st.booleans()))
            return f"{{{given.name!r}: {inner}}}" if tag else inner
        kind = schema if isinstance(schema, str) else schema["type"]
        if kind == "array":
            items = "".join(f"{self.literal(one, schema['items'])}, " for one in given)
            return f"({items})" if draw(st.booleans()) else f"[{items}]"
        if kind in ("map", "record"):
            kinds = {field["name"]: field["type"] for field in schema.get("fields", ())}
            parts = (f"{key!r}: {self.literal(one, kinds.get(key) or schema['values'])}" for key, one in given.items())
            return f"{{{', '.join(parts)}}}"
        if isinstance(schema, dict) and "logicalType" in schema and draw(st.booleans()):
            shown = LOGICAL[schema["logicalType"]].shown(given)
            return f"{_MADE_BY[type(shown)]}({str(shown)!r})" if type(shown) in _MADE_BY else repr(shown)
        return draw(st.sampled_from([repr(given), *(f"{form}({given!r})" for form in _NUMPY.get(kind, ()))]))

    def _defined(self, schema: Schema) -> Schema:
        return self._named.get(schema, schema) if isinstance(schema, str) else schema


_DEFAULTS = {"int": 7, "long": 7, "double": 0.5, "float": 0.5, "string": "text", "bytes": "\u00ff", "boolean": True}


@dataclass(frozen=True)
class Branch:
    """A value for a union, of the branch of a name."""

    name: str
    schema: Schema
    value: Any


def name_of(branch: Schema) -> str:
    return branch if isinstance(branch, str) else branch.get("name", branch["type"])


def tagged(given: Any) -> Any:
    """As Avro's JSON has it, bytes as they are."""
    if isinstance(given, Branch):
        return None if given.name == "null" else {given.name: tagged(given.value)}
    if isinstance(given, list):
        return [tagged(one) for one in given]
    return {key: tagged(one) for key, one in given.items()} if isinstance(given, dict) else given


def as_json(given: Any) -> bytes:
    return json.dumps(tagged(given), default=lambda raw: raw.decode("latin-1")).encode()


_MADE_BY = {decimal.Decimal: "decimal.Decimal", uuid.UUID: "uuid.UUID"}
_NUMPY = {"double": ["numpy.float64"], "float": ["numpy.float32"], "int": ["numpy.int32"], "boolean": ["numpy.bool_"]}
_STATE = [
    ("0", "{s} += w", "{s}"),
    ("2 ** 70", "{s} = {s} * 3 + w", "{s} % 1009"),
    ("0.5", "{s} = {s} * 0.1 + w", "{s}"),
    ("True", "{s} = not {s}", "int({s})"),
    ("''", "{s} += str(w)", "len({s})"),
    ("b''", "{s} += bytes([w % 256])", "sum({s})"),
    ("None", "{s} = w if {s} is None else {s} + 1", "{s} or 0"),
    ("[]", "{s}.append(w)", "sum({s})"),
    ("[[]]", "{s}[0].append(w)", "len({s}[0])"),
    ("()", "{s} += (w,)", "len({s})"),
    ("{{}}", "{s}[w % 3] = {s}.get(w % 3, 0) + 1", "max({s}.values(), default=0)"),
    ("set()", "{s}.add(w % 5)", "len({s})"),
    ("collections.deque(maxlen=3)", "{s}.append(w)", "sum({s})"),
    ("numpy.zeros(2)", "{s}[w % 2] += w", "float({s}.sum())"),
    ("numpy.int64(0)", "{s} = numpy.int64({s} + w)", "int({s})"),
]
"""A global's first value, a step by the weight of an input, and a number that shows it."""
_HEAD = """\
import collections, datetime, decimal, uuid
import numpy

def weight(x):
    if isinstance(x, dict):
        return 1 + sum(weight(one) for one in x.values())
    if isinstance(x, list | tuple):
        return 2 + sum(map(weight, x))
    return len(x) if isinstance(x, str | bytes) else 3 if x is None else int(abs(x)) % 97

"""


@dataclass(frozen=True)
class Made:
    """A model with its schemas by name, its output slots, inputs, (key, value) each, and which of them are spoiled."""

    source: str
    schemas: dict[str, Schema]
    slots: list[int]
    inputs: list[tuple[bytes | None, Any]]
    spoiled: frozenset[int]


@st.composite
def models(draw: Draw) -> Made:
    given, made = Types(draw, "i"), Types(draw, "o")
    schemas = {"given": given.schema(), "made": made.schema(), "number": "double"}
    slots = draw(st.sampled_from([[1], [1], [3], [1, 3], [1, 3, 5]]))
    typed = {slots[0]: draw(st.sampled_from(["made", "given"])), **dict.fromkeys(slots[1:], "number")}
    lines = ["# fastscore.schema.0: given", *([] if 1 in slots else ["# fastscore.slot.1: unused"])]
    lines += [f"# fastscore.schema.{slot}: {name}" for slot, name in typed.items()]
    states = [(f"s{at}", one) for at, one in enumerate(draw(st.lists(st.sampled_from(_STATE), max_size=3)))]
    texts = [made.literal(made.value(schemas["made"]), schemas["made"]) for _ in range(2)]
    lines += [_HEAD, f"GIVEN = [{', '.join(texts)}]", *(f"{s} = {one[0].format(s=s)}" for s, one in states)]
    lines += _begin(draw, states)
    lines += _action(draw, states, slots, typed)
    lines += draw(st.sampled_from([[], ["def end():", "    print('the end')"]]))
    keys = st.sampled_from(draw(st.sampled_from([[None], [b"a", b"b"]])))
    count = draw(st.integers(1, 9))
    inputs = [(draw(keys), given.value(schemas["given"])) for _ in range(count)]
    spoiled = draw(st.sets(st.sampled_from(range(count)))) if draw(st.booleans()) else set()
    return Made("\n".join(lines) + "\n", schemas, slots, inputs, frozenset(spoiled))


def _begin(draw: Draw, states: list[Any]) -> list[str]:
    arguments = draw(st.sampled_from([None, "", "definition", "more=1"]))
    if arguments is None or not states:
        return []
    name, (first, *_) = states[0]
    return [f"def begin({arguments}):", f"    global {name}", f"    {name} = {first.format(s=name)}"]


def _action(draw: Draw, states: list[Any], slots: list[int], typed: dict[int, str]) -> list[str]:
    count = draw(st.integers(1, 3))
    body = ["w = weight(x)", *(step.format(s=s) for s, (_, step, _) in states)]
    at = draw(st.integers(1, len(body)))
    odd = draw(st.sampled_from([[], [], [f"if w % 4 == {draw(st.integers(0, 3))}: raise ValueError('odd')"]]))
    body[at:at] = odd
    numbers = [f"float({shown.format(s=s)})" for s, (_, _, shown) in states] + ["float(w)"]
    numbers += ["float(seqno)"] if count == 3 else []

    def output() -> str:
        slot = draw(st.sampled_from(slots))
        of_type = {"given": ["x"], "number": numbers}.get(typed[slot], ["GIVEN[w % 2]"])
        made = draw(st.sampled_from([draw(st.sampled_from(of_type))] * 9 + ["object"]))
        shown = draw(st.sampled_from([str(slot), f"numpy.int64({slot})"]))
        bare = slot == (slots[0] if len(slots) == 1 else 1)
        return f"({made})" if bare and draw(st.booleans()) else f"({shown}, {made})"

    outputs = [output() for _ in range(draw(st.integers(0, 3)))]
    way = draw(st.sampled_from(["generator", "generator", "iterator", "value", "nothing"]))
    if way == "generator":
        body += [f"yield {one}" for one in outputs] or ["yield from ()"]
    elif way == "iterator":
        body.append(f"return iter([{', '.join(outputs)}])")
    elif way == "value" and outputs:
        body.append(f"return {outputs[0]}")
    lines = [f"global {', '.join(s for s, _ in states)}"] if states else []
    return [f"def action({', '.join(['x', 'slot', 'seqno'][:count])}):", *(f"    {one}" for one in lines + body)]
