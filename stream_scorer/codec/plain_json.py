"""JSON, one value."""

from __future__ import annotations

import json
import math
import re
from typing import Any, NoReturn

from stream_scorer.codec.base import ValueCodec
from stream_scorer.codec.forms import PlainForm
from stream_scorer.codec.schema import Schema
from stream_scorer.errors import DecodeError

_BOM = b"\xef\xbb\xbf"
_LARGE = re.compile(rb"[eE]\+?\d{3}")
_LONG = 309
"""Digits. Only a number with so many, or with an exponent of three digits, may be more than a double holds."""


class JsonCodec(ValueCodec):
    """JSON in UTF-8, checked against a schema if there is one; what came is what the model sees.

    Args:
        strict: NaN and Infinity are no JSON, and are refused by name; else they are read and written as Python has them.
        tagged: unions, which may be bare or tagged, are written tagged; else bare. Bytes are a string of their code points.
    """

    said = "JSON"

    def __init__(self, schema: Schema | None, *, strict: bool = True, tagged: bool = True) -> None:
        super().__init__(schema, PlainForm(text=True, tagged=tagged))
        self._refuse = _refuse if strict else None
        # Made once: `json.loads` and `json.dumps` with options of their own would make them for every value.
        self._value = json.JSONDecoder(parse_constant=self._refuse).decode
        self._text = json.JSONEncoder(allow_nan=not strict, default=_more).encode

    def load(self, data: bytes) -> Any:
        try:
            text = (data[len(_BOM) :] if data.startswith(_BOM) else data).decode()
            if _LARGE.search(data) or len(data) >= _LONG:
                return json.JSONDecoder(parse_constant=self._refuse, parse_float=_finite).decode(text)
            return self._value(text)
        except (ValueError, RecursionError) as error:
            raise DecodeError(f"expected JSON, got {data[:60]!r}: {error}") from error

    def dump(self, value: Any) -> bytes:
        return self._text(value).encode()


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"{text[:60]} is more than a double holds")
    return number


def _more(value: Any) -> Any:
    if isinstance(value, bytes | bytearray):
        return value.decode("latin-1")
    raise TypeError(f"JSON has no {type(value).__name__}")
