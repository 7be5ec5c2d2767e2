"""Whether a single value (number, text, bytes, symbol, logical type) fits a type of Avro, and what is written for it."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from typing import Any

from stream_scorer.codec.logical import Logical, logical_of
from stream_scorer.codec.plain import NUMPY, plain
from stream_scorer.codec.walk import LOOSE, WHOLE, Fit, Misfit, Walk

RANGES = {"int": (-(2**31), 2**31 - 1), "long": (-(2**63), 2**63 - 1)}
_FLOAT = struct.Struct("<f")
Check = Callable[[Any, int], Any]
"""Takes a value and a level of `walk`, how well it has to fit; returns what is written for it. Raises Misfit."""


def leaf(kind: str, schema: Any, write: Callable[[Any], Any] | None) -> Fit:
    """Checks values of one type that has no parts.

    Args:
        write: makes the result from a value that fits; None: the value is the result.
    """
    check, logical = CHECKS[kind](schema), logical_of(schema)

    def fit(value: Any, walk: Walk) -> Any:
        if isinstance(value, NUMPY):
            value = plain(value)
        if logical is not None and isinstance(value, logical.type):
            value = _underlying(value, logical, schema, walk.level)
        value = check(value, walk.level)
        return value if write is None else write(value)

    return fit


def _underlying(value: Any, logical: Logical, schema: Any, level: int) -> Any:
    if level == WHOLE and type(value) is not logical.type and schema["logicalType"] == "date":
        raise Misfit("date", value)
    try:
        return logical.under(value, schema)
    except (ValueError, OverflowError, ArithmeticError) as error:
        raise Misfit(f"{schema['logicalType']} ({error})", value) from None


def _null(_: Any) -> Check:
    def check(value: Any, _: int) -> None:
        if value is not None:
            raise Misfit("null", value)

    return check


def _of_type(expected: str, kind: type) -> Callable[[Any], Check]:
    def check(value: Any, _: int) -> Any:
        if not isinstance(value, kind):
            raise Misfit(expected, value)
        return value

    return lambda _: check


def _integer(kind: str) -> Callable[[Any], Check]:
    low, high = RANGES[kind]

    def check(value: Any, _: int) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise Misfit(kind, value)
        return value

    return lambda _: check


def _number(kind: str) -> Callable[[Any], Check]:
    """Takes all that has __float__, such as a tensor of one number, but not booleans and NumPy's strings, which have it too."""

    def check(value: Any, level: int) -> Any:
        if type(value) is not float:
            if level < LOOSE and not isinstance(value, float):
                raise Misfit(kind, value)
            value = _as_number(value, kind)
        if kind == "float":
            if level == WHOLE:
                raise Misfit(kind, value)  # a union then prefers a double, which rounds nothing
            try:
                _FLOAT.pack(value)
            except (OverflowError, struct.error):
                raise Misfit("float (32 bits)", value) from None
        return value

    return lambda _: check


def _as_number(value: Any, kind: str) -> Any:
    if isinstance(value, int) and not isinstance(value, bool):
        try:
            float(value)
        except OverflowError:
            raise Misfit(f"{kind} (64 bits)" if kind == "double" else "float (32 bits)", value) from None
        return value
    if isinstance(value, bool | str | bytes | list) or not hasattr(value, "__float__"):
        raise Misfit(kind, value)
    number = float(value)
    if math.isinf(number) and not value == number:
        raise Misfit(f"{kind} (64 bits)", value)
    return number


def _bytes(expected: str, size: int | None) -> Check:
    """LOOSE also takes a string of code points up to 255, as JSON writes bytes."""

    def check(value: Any, level: int) -> bytes:
        data = value
        if isinstance(value, bytearray):
            data = bytes(value)
        elif isinstance(value, str) and level == LOOSE:
            try:
                data = value.encode("latin-1")
            except UnicodeEncodeError:
                raise Misfit(expected, value) from None
        if not isinstance(data, bytes) or size not in (None, len(data)):
            raise Misfit(expected, value)
        return data

    return check


def _symbol(schema: Any) -> Check:
    symbols = frozenset(schema["symbols"])

    def check(value: Any, _: int) -> str:
        if not isinstance(value, str) or value not in symbols:
            raise Misfit(f"one of {', '.join(schema['symbols'])}", value)
        return value

    return check


CHECKS: dict[str, Callable[[Any], Check]] = {
    "null": _null,
    "boolean": _of_type("boolean", bool),
    "int": _integer("int"),
    "long": _integer("long"),
    "float": _number("float"),
    "double": _number("double"),
    "string": _of_type("string", str),
    "bytes": lambda _: _bytes("bytes", None),
    "fixed": lambda schema: _bytes(f"fixed of {schema['size']} bytes", schema["size"]),
    "enum": _symbol,
}
