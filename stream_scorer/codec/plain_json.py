"""JSON values."""

from __future__ import annotations

import json
import math
import re
from typing import Any, NoReturn

from stream_scorer.codec.forms import PlainForm
from stream_scorer.codec.schema import Schema
from stream_scorer.codec.value_codec import ValueCodec
from stream_scorer.errors import DecodeError

_BOM = b"\xef\xbb\xbf"
_LARGE = re.compile(rb"[eE]\+?\d{3}")
_LONG = 309
"""A number that is too large for a double has this many digits, or an exponent of three digits."""


class JsonCodec(ValueCodec):
    """JSON in UTF-8, checked against a schema if there is one. The model gets the parsed value unchanged.

    Bytes are written as a string of code points below 256.

    Args:
        strict: refuse NaN and Infinity, which are not JSON; else read and write them as Python does.
        tagged: write a value of a union with a tag. Models may return it with or without one.
    """

    encoding = "JSON"

    def __init__(self, schema: Schema | None, *, strict: bool = True, tagged: bool = True) -> None:
        super().__init__(schema, PlainForm(text=True, tagged=tagged))
        self._refuse = _refuse if strict else None
        # Made once, because `json.loads` and `json.dumps` with options make a new decoder or encoder at every call.
        self._value = json.JSONDecoder(parse_constant=self._refuse).decode
        self._text = json.JSONEncoder(allow_nan=not strict, default=_encode_bytes).encode

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


def _encode_bytes(value: Any) -> Any:
    if isinstance(value, bytes | bytearray):
        return value.decode("latin-1")
    kind = type(value).__name__
    raise TypeError(f"JSON has no {kind}: give the slot a schema that has one, or yield numbers and texts instead")
