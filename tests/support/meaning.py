"""The meaning of values by a schema, whoever wrote them: a reference that shares no code with stream_scorer.codec.

Bare and tagged unions, bytes and text of code points below 256, logical types as numbers and as Python objects: values of
equal meaning have an equal form here. fastavro reads and writes Avro, as a producer and a consumer would.
"""

from __future__ import annotations

import datetime
import decimal
import io
import json
import struct
import uuid
from typing import Any

import fastavro

PRIMITIVES = ("null", "boolean", "int", "long", "float", "double", "bytes", "string")
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_UNITS = {"millis": datetime.timedelta(milliseconds=1), "micros": datetime.timedelta(microseconds=1)}
_FLOAT = struct.Struct("<f")


class Misfit(Exception):
    """The value does not fit the schema."""


class Typed:
    """A schema, as parsed JSON."""

    def __init__(self, definition: Any) -> None:
        self._schema = definition
        self._named: dict[str, Any] = {}
        _collect(definition, "", self._named)
        self._plain = fastavro.parse_schema(json.loads(json.dumps(_without_logical(definition))))

    def form(self, value: Any) -> str:
        """A text that is equal for all values of equal meaning. Raises Misfit."""
        return repr(self._of(natural(value), self._schema, True))

    def to_avro(self, value: Any) -> bytes:
        """The Avro that a producer writes. Raises Misfit."""
        out = io.BytesIO()
        fastavro.schemaless_writer(out, self._plain, self._of(natural(value), self._schema, False))
        return out.getvalue()

    def seen(self, data: bytes) -> Any:
        """The value that a model gets: unions bare, the type underneath a logical type."""
        return fastavro.schemaless_reader(io.BytesIO(data), self._plain, None)

    def consumed(self, data: bytes) -> Any:
        """The value that a consumer reads: records of unions with their names."""
        stream = io.BytesIO(data)
        value = fastavro.schemaless_reader(stream, self._plain, None, return_record_name=True)
        assert stream.tell() == len(data), f"{len(data) - stream.tell()} bytes too many"
        return _tagged(value)

    def fits(self, value: Any) -> bool:
        try:
            self.form(value)
        except Misfit:
            return False
        return True

    def _of(self, value: Any, schema: Any, shown: bool) -> Any:
        """`shown`: in a form to be compared, else as fastavro takes it."""
        if isinstance(schema, str):
            if schema not in PRIMITIVES:
                return self._of(value, self._named[schema], shown)
            schema = {"type": schema}
        if isinstance(schema, list):
            return self._union(value, schema, shown)
        kind = schema["type"]
        if not isinstance(kind, str) or (kind not in PRIMITIVES and kind in self._named):
            return self._of(value, kind, shown)
        logical = _LOGICAL.get((kind, schema.get("logicalType", "")))
        if logical is not None:
            value = logical(value, schema)
            if shown and schema["logicalType"] == "decimal":
                return "decimal", int.from_bytes(_bytes(value), "big", signed=True)
        return getattr(self, f"_{kind}")(value, schema, shown)

    def _union(self, value: Any, branches: list[Any], shown: bool) -> Any:
        branch, inner = self._branch(value, branches)
        found = self._of(inner, branch, shown)
        name = _name(branch)
        if shown:
            kind = self._kind(branch)
            return (name, found) if kind == "record" else found
        return None if name == "null" else (name, found)

    def _branch(self, value: Any, branches: list[Any]) -> tuple[Any, Any]:
        if isinstance(value, dict) and len(value) == 1:
            ((tag, inner),) = value.items()
            for branch in branches:
                if _name(branch) == tag and self._takes(inner, branch):
                    return branch, inner
        able = [branch for branch in branches if self._takes(value, branch)]
        exact = [branch for branch in able if self._exact(value, branch)]
        for branch in exact + able:
            return branch, value
        raise Misfit(f"{value!r} fits none of {[_name(branch) for branch in branches]}")

    def _takes(self, value: Any, schema: Any) -> bool:
        try:
            self._of(value, schema, True)
        except Misfit:
            return False
        return True

    def _kind(self, schema: Any) -> str:
        while not isinstance(schema, str) or schema not in (*PRIMITIVES, "record", "enum", "array", "map", "fixed"):
            schema = self._named[schema] if isinstance(schema, str) else schema["type"]
        return schema

    def _exact(self, value: Any, schema: Any) -> bool:
        """Whether the value is kept whole, without a change of type."""
        if not isinstance(schema, str) or schema not in PRIMITIVES:
            definition = self._named.get(schema, schema) if isinstance(schema, str) else schema
            if definition["type"] == "record":
                return set(value) <= {field["name"] for field in definition["fields"]}
            logical = definition.get("logicalType", "")
            if not isinstance(value, int | float | str | bytes | dict | list | None):
                return bool(logical)
        kind = self._kind(schema)
        if isinstance(value, float):
            return kind == "double" or (kind == "float" and _FLOAT.unpack(_FLOAT.pack(value))[0] == value)
        if isinstance(value, bool) or value is None:
            return True
        if isinstance(value, int):
            return kind in ("int", "long")
        if isinstance(value, str):
            return kind in ("string", "enum")
        return True

    def _null(self, value: Any, _: Any, __: bool) -> None:
        _need(value is None, value, "null")

    def _boolean(self, value: Any, _: Any, __: bool) -> bool:
        _need(isinstance(value, bool), value, "boolean")
        return bool(value)

    def _int(self, value: Any, _: Any, __: bool) -> int:
        return _integer(value, 31)

    def _long(self, value: Any, _: Any, __: bool) -> int:
        return _integer(value, 63)

    def _float(self, value: Any, _: Any, __: bool) -> float:
        number = _number(value)
        try:
            found: float = _FLOAT.unpack(_FLOAT.pack(number))[0]
        except OverflowError:
            raise Misfit(f"{value!r} is beyond a float") from None
        return found

    def _double(self, value: Any, _: Any, __: bool) -> float:
        return _number(value)

    def _bytes(self, value: Any, _: Any, __: bool) -> bytes:
        return _bytes(value)

    def _string(self, value: Any, _: Any, __: bool) -> str:
        _need(isinstance(value, str), value, "string")
        return str(value)

    def _fixed(self, value: Any, schema: Any, _: bool) -> bytes:
        found = _bytes(value)
        _need(len(found) == schema["size"], value, f"{schema['size']} bytes")
        return found

    def _enum(self, value: Any, schema: Any, _: bool) -> str:
        _need(isinstance(value, str) and value in schema["symbols"], value, "a symbol")
        return str(value)

    def _array(self, value: Any, schema: Any, shown: bool) -> list[Any]:
        _need(isinstance(value, list | tuple), value, "array")
        return [self._of(one, schema["items"], shown) for one in value]

    def _map(self, value: Any, schema: Any, shown: bool) -> Any:
        _need(isinstance(value, dict) and all(isinstance(key, str) for key in value), value, "map")
        found = {key: self._of(one, schema["values"], shown) for key, one in value.items()}
        return dict(sorted(found.items())) if shown else found

    def _record(self, value: Any, schema: Any, shown: bool) -> dict[str, Any]:
        _need(isinstance(value, dict), value, "record")
        found = {}
        for field in schema["fields"]:
            _need(field["name"] in value or "default" in field, value, f"a field {field['name']}")
            found[field["name"]] = self._of(value.get(field["name"], field.get("default")), field["type"], shown)
        return found


def natural(value: Any) -> Any:
    """The value with Python numbers and lists for those of NumPy and pandas, at any depth."""
    if isinstance(value, dict):
        return {natural(key): natural(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        kind = list if isinstance(value, list) else tuple
        return kind(natural(one) for one in value)
    if hasattr(value, "dtype") and hasattr(value, "tolist"):
        return natural(value.tolist())
    return None if type(value).__name__ == "NAType" else value


def untyped(value: Any) -> str:
    """The form of a value without a schema: its JSON. Raises Misfit."""
    try:
        return json.dumps(json.loads(json.dumps(natural(value), default=_more)), sort_keys=True)
    except (TypeError, ValueError, RecursionError) as error:
        raise Misfit(str(error)) from None


def read_json(data: bytes, *, strict: bool) -> Any:
    """Raises ValueError: no JSON, a number that no double holds, or NaN and the like where `strict`."""
    return json.loads(data.decode(), parse_float=_finite, parse_constant=_no_constant if strict else None)


def _finite(text: str) -> float:
    if float(text) in (float("inf"), float("-inf")):
        raise ValueError(f"{text} is beyond a double")
    return float(text)


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _more(value: Any) -> Any:
    if isinstance(value, bytes | bytearray):
        return value.decode("latin-1")
    raise TypeError(f"JSON has no {type(value).__name__}")


def _need(holds: bool, value: Any, expected: str) -> None:
    if not holds:
        raise Misfit(f"{value!r} is not {expected}")


def _integer(value: Any, bits: int) -> int:
    _need(isinstance(value, int) and not isinstance(value, bool), value, "an integer")
    _need(-(2**bits) <= value < 2**bits, value, f"of {bits + 1} bits")
    return int(value)


def _number(value: Any) -> float:
    _need(isinstance(value, int | float) and not isinstance(value, bool), value, "a number")
    try:
        return float(value)
    except OverflowError:
        raise Misfit(f"{value!r} is beyond a double") from None


def _bytes(value: Any) -> bytes:
    if isinstance(value, str):
        _need(all(ord(one) < 256 for one in value), value, "bytes")
        return value.encode("latin-1")
    _need(isinstance(value, bytes | bytearray), value, "bytes")
    return bytes(value)


def _instant(unit: str) -> Any:
    def convert(value: Any, _: Any) -> Any:
        if not isinstance(value, datetime.datetime):
            return value
        aware = value if value.tzinfo else value.replace(tzinfo=datetime.UTC)
        return (aware - _EPOCH) // _UNITS[unit]

    return convert


def _local(unit: str) -> Any:
    def convert(value: Any, _: Any) -> Any:
        if not isinstance(value, datetime.datetime):
            return value
        return (value.replace(tzinfo=datetime.UTC) - _EPOCH) // _UNITS[unit]

    return convert


def _time(unit: str) -> Any:
    def convert(value: Any, _: Any) -> Any:
        if not isinstance(value, datetime.time):
            return value
        since = datetime.datetime.combine(_EPOCH.date(), value, datetime.UTC) - _EPOCH
        return since // _UNITS[unit]

    return convert


def _date(value: Any, _: Any) -> Any:
    if isinstance(value, datetime.date) and not isinstance(value, datetime.datetime):
        return (value - _EPOCH.date()).days
    return value


def _decimal(value: Any, schema: Any) -> Any:
    if not isinstance(value, decimal.Decimal):
        return value
    _need(value.is_finite(), value, "a finite decimal")
    unscaled = value.scaleb(schema.get("scale", 0), decimal.Context(prec=100))
    _need(unscaled == unscaled.to_integral_value(), value, f"of scale {schema.get('scale', 0)}")
    whole = int(unscaled)
    _need(abs(whole) < 10 ** schema["precision"], value, f"of precision {schema['precision']}")
    size = schema["size"] if schema["type"] == "fixed" else whole.bit_length() // 8 + 1
    return whole.to_bytes(size, "big", signed=True)


def _uuid(value: Any, schema: Any) -> Any:
    if not isinstance(value, uuid.UUID):
        return value
    return value.bytes if schema["type"] == "fixed" else str(value)


_LOGICAL: dict[tuple[str, str], Any] = {
    ("int", "date"): _date,
    ("int", "time-millis"): _time("millis"),
    ("long", "time-micros"): _time("micros"),
    ("bytes", "decimal"): _decimal,
    ("fixed", "decimal"): _decimal,
    ("string", "uuid"): _uuid,
    ("fixed", "uuid"): _uuid,
    **{("long", f"timestamp-{unit}"): _instant(unit) for unit in _UNITS},
    **{("long", f"local-timestamp-{unit}"): _local(unit) for unit in _UNITS},
}


def _name(branch: Any) -> str:
    if not isinstance(branch, dict):
        return str(branch)
    name = branch.get("name") if branch["type"] in ("record", "enum", "fixed") else None
    if name is None:
        return str(branch["type"])
    return f"{branch['namespace']}.{name}" if "namespace" in branch and "." not in name else str(name)


def _collect(schema: Any, namespace: str, named: dict[str, Any]) -> None:
    """Named types by their names, with and without namespace."""
    if isinstance(schema, list):
        for branch in schema:
            _collect(branch, namespace, named)
    elif isinstance(schema, dict):
        kind = schema["type"]
        if kind in ("record", "enum", "fixed"):
            namespace = schema.get("namespace", namespace)
            name = schema["name"]
            named[name] = named[name if "." in name or not namespace else f"{namespace}.{name}"] = schema
        parts = [field["type"] for field in schema.get("fields", ())]
        parts += [schema[key] for key in ("items", "values") if key in schema]
        for part in parts if isinstance(kind, str) else [kind]:
            _collect(part, namespace, named)


def _without_logical(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_without_logical(one) for one in schema]
    if isinstance(schema, dict):
        return {key: _without_logical(one) for key, one in schema.items() if key != "logicalType"}
    return schema


def _tagged(value: Any) -> Any:
    """{name: record}, as in Avro's JSON, for fastavro's (name, record)."""
    if isinstance(value, tuple):
        name, inner = value
        return {name: _tagged(inner)}
    if isinstance(value, dict):
        return {key: _tagged(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_tagged(one) for one in value]
    return value
