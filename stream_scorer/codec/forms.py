"""The `Form`s of `fitting`: Avro's bytes, and the values that JSON, msgpack and CSV write."""

from __future__ import annotations

import functools
import struct
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from stream_scorer.codec.avro_long import avro_long, avro_sized
from stream_scorer.codec.plain import plain
from stream_scorer.codec.walk import Fit, Misfit, Walk

_DOUBLE, _FLOAT = struct.Struct("<d"), struct.Struct("<f")
_END = b"\0"


class AvroForm:
    """Avro's bytes of each part. A field that is left out is written with its default."""

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
        return self._LEAVES.get(kind)  # None for fixed: its bytes are written as they are

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
    """Python values, for encodings that write those.

    Args:
        text: bytes become a string of code points below 256, because JSON has no bytes.
        tagged: a value of a union gets a tag, as in Avro's JSON: {"int": 3}.
        filled: a field that is left out gets its default; else it stays left out.
    """

    def __init__(self, *, text: bool = False, tagged: bool = False, filled: bool = False) -> None:
        self._text, self._tagged, self._filled = text, tagged, filled

    def leaf(self, kind: str, schema: Any) -> Callable[[Any], Any] | None:
        return _latin_1 if self._text and kind in ("bytes", "fixed") else None

    def array(self, items: list[Any]) -> Any:
        return items

    def map(self, keys: Sequence[str], items: list[Any]) -> Any:
        return dict(zip(keys, items, strict=True))

    def record(self, names: Sequence[str], values: list[Any], given: Mapping[str, Any]) -> Any:
        """Fields are in the order of `given`, and those that only `given` has are kept."""
        fields = {name: value for name, value in zip(names, values, strict=True) if value is not LEFT_OUT}
        if list(given) == list(fields):
            return fields
        in_order = {key: fields.pop(key) if key in fields else plain(item) for key, item in given.items()}
        return in_order | fields

    def union(self, index: int, name: str, value: Any) -> Any:
        return value if value is None or not self._tagged else {name: value}

    def default(self, fit: Fit, default: Any) -> Callable[[], Any]:
        return (lambda: fit_default(fit, default)) if self._filled else lambda: LEFT_OUT


class CheckForm(PlainForm):
    """Makes nothing of records and maps: for a check whose result is not used."""

    def record(self, names: Sequence[str], values: list[Any], given: Mapping[str, Any]) -> Any:
        return None

    def map(self, keys: Sequence[str], items: list[Any]) -> Any:
        return None


LEFT_OUT = object()
"""Stands for a field that is left out."""


def fit_default(fit: Fit, default: Any) -> Any:
    """What is written for the default of a field. Raises Misfit.

    Accepts more than Avro: the default of a union may be of any branch, and a number may be the text "NaN" or "Infinity".
    """
    try:
        return fit(default, Walk())
    except Misfit:
        if isinstance(default, str):
            return fit(float(default), Walk())
        raise


def _latin_1(data: bytes) -> str:
    return data.decode("latin-1")
