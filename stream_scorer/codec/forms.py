"""What becomes of values that fit: bytes of Avro, or values as JSON, msgpack and CSV write them. `Form`s of `fitting`."""

from __future__ import annotations

import functools
import struct
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from stream_scorer.avro_long import avro_long, avro_sized
from stream_scorer.codec.plain import plain
from stream_scorer.codec.walk import Fit, Misfit, Walk

_DOUBLE, _FLOAT = struct.Struct("<d"), struct.Struct("<f")
_END = b"\0"


class AvroForm:
    """Bytes of each part; a record without a field has the field's default."""

    _LEAVES: Mapping[str, Callable[[Any], bytes]] = {
        "null": lambda _: b"",
        "boolean": lambda value: b"\1" if value else b"\0",
        "int": avro_long,
        "long": avro_long,
        "float": _FLOAT.pack,
        "double": _DOUBLE.pack,
        "string": lambda text: avro_sized(text.encode()),
        "bytes": avro_sized,
    }

    def leaf(self, kind: str, schema: Any) -> Callable[[Any], Any] | None:
        if kind == "enum":
            return {symbol: avro_long(at) for at, symbol in enumerate(schema["symbols"])}.__getitem__
        return self._LEAVES.get(kind)  # fixed is what it is

    def array(self, items: list[Any]) -> Any:
        return b"".join((avro_long(len(items)), *items, _END)) if items else _END

    def map(self, keys: Sequence[str], items: list[Any]) -> Any:
        pairs = [part for key, item in zip(keys, items, strict=True) for part in (avro_sized(key.encode()), item)]
        return b"".join((avro_long(len(items)), *pairs, _END)) if items else _END

    def record(self, names: Sequence[str], values: list[Any], given: Mapping[str, Any]) -> Any:
        return b"".join(values)

    def union(self, index: int, name: str, value: Any) -> Any:
        return avro_long(index) + value

    def default(self, fit: Fit, default: Any) -> Callable[[], Any]:
        return functools.cache(lambda: fit_default(fit, default))


class PlainForm:
    """Values of Python: bytes as they are, or as a string of their code points.

    Args:
        text: whether bytes are written as such a string. JSON has no bytes.
        tagged: unions as Avro's JSON has them, {"int": 3}; else bare.
        filled: a field that is left out has its default; else it stays away, as in what clients sent.
    """

    def __init__(self, *, text: bool = False, tagged: bool = False, filled: bool = False) -> None:
        self._text, self._tagged, self._filled = text, tagged, filled

    def leaf(self, kind: str, schema: Any) -> Callable[[Any], Any] | None:
        return _latin if self._text and kind in ("bytes", "fixed") else None

    def array(self, items: list[Any]) -> Any:
        return items

    def map(self, keys: Sequence[str], items: list[Any]) -> Any:
        return dict(zip(keys, items, strict=True))

    def record(self, names: Sequence[str], values: list[Any], given: Mapping[str, Any]) -> Any:
        """In the order of what was given, with what more there was."""
        found = {name: value for name, value in zip(names, values, strict=True) if value is not LEFT_OUT}
        if list(given) == list(found):
            return found
        more = {key: found.pop(key) if key in found else plain(item) for key, item in given.items()}
        return more | found

    def union(self, index: int, name: str, value: Any) -> Any:
        return value if value is None or not self._tagged else {name: value}

    def default(self, fit: Fit, default: Any) -> Callable[[], Any]:
        return (lambda: fit_default(fit, default)) if self._filled else lambda: LEFT_OUT


class CheckForm(PlainForm):
    """Makes nothing: whether values fit is all that is asked."""

    def record(self, names: Sequence[str], values: list[Any], given: Mapping[str, Any]) -> Any:
        return None

    def map(self, keys: Sequence[str], items: list[Any]) -> Any:
        return None


LEFT_OUT = object()
"""Stands for a field that stays away."""


def fit_default(fit: Fit, default: Any) -> Any:
    """Of a default in a schema, which is JSON. Raises Misfit.

    A union's is of its first branch by Avro's rules; another that fits will do. Numbers may be NaN and the like as text.
    """
    try:
        return fit(default, Walk())
    except Misfit:
        if isinstance(default, str):
            return fit(float(default), Walk())
        raise


def _latin(data: bytes) -> str:
    return data.decode("latin-1")
