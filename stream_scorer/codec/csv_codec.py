"""CSV records <-> dicts: fields in the order of the schema, or without a schema in the order of the header."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from stream_scorer.codec.csv_dialect import Dialect
from stream_scorer.codec.forms import PlainForm
from stream_scorer.codec.schema import Schema
from stream_scorer.codec.value_codec import ValueCodec
from stream_scorer.errors import DecodeError

_COMPLEX = ("record", "error", "array", "map")


def dialect(options: Mapping[str, Any]) -> Dialect:
    return Dialect(options.get("QuoteCharacter", '"'), options.get("Delimiter", ","), options.get("Separator", "\r\n"))


class CsvCodec(ValueCodec):
    """CSV.

    Without a schema the inlet of the stream puts the header before each record (`with_header`), and nothing can be
    written.

    Args:
        options: of the stream's encoding, as its descriptor has them.
    """

    encoding = "CSV"

    def __init__(self, schema: Schema | None, options: Mapping[str, Any]) -> None:
        super().__init__(schema, PlainForm(text=True))
        self._dialect = dialect(options)
        self._schema = schema
        self._fields = [] if schema is None else [(field["name"], field) for field in schema.parsed["fields"]]
        self._header: tuple[bytes, list[str]] = b"", []  # of the last record: its bytes and names

    def load(self, data: bytes) -> dict[str, Any]:
        if self._schema is None:
            return self._by_header(data)
        row = self._parse(data)
        wanted = self._fields
        if len(row) < len(wanted) and all("default" in field for _, field in wanted[len(row) :]):
            wanted = wanted[: len(row)]
        if len(row) != len(wanted):
            raise self._wrong_number(row, len(wanted), "the schema names")
        named = self._schema.named
        return {
            name: _typed(text, quoted, field["type"], named)
            for (name, field), (text, quoted) in zip(wanted, row, strict=True)
        }

    def _by_header(self, data: bytes) -> dict[str, str]:
        length = int.from_bytes(data[:4], "big")
        header, record = data[4 : 4 + length], data[4 + length :]
        if header != self._header[0]:
            self._header = header, [name for name, _ in self._parse(header)]
        names, row = self._header[1], self._parse(record)
        if len(row) != len(names):
            raise self._wrong_number(row, len(names), "the header names")
        return dict(zip(names, (text for text, _ in row), strict=True))

    def _parse(self, data: bytes) -> list[tuple[str, bool]]:
        try:
            return self._dialect.parse(data.decode())
        except ValueError as error:
            raise DecodeError(f"expected CSV, got {data[:60]!r}: {error}") from error

    def _wrong_number(self, row: list[tuple[str, bool]], wanted: int, source: str) -> DecodeError:
        return DecodeError(
            f"expected {wanted} fields, as {source}, found {len(row)}. Is the delimiter {self._dialect.delimiter!r}?"
        )

    def dump(self, value: Any) -> bytes:
        if self._schema is None:
            raise ValueError("CSV needs a schema to write by")
        missing = [field for name, field in self._fields if name not in value]
        defaults = {field["name"]: field["default"] for field in missing}
        return self._dialect.write([_text(value.get(name, defaults.get(name))) for name, _ in self._fields]).encode()


def with_header(header: bytes, record: bytes) -> bytes:
    """A record with its header before it, for a reader that does not see the stream."""
    return len(header).to_bytes(4, "big") + header + record


def header_of(schema: Schema, options: Mapping[str, Any]) -> bytes:
    """The line of names above the records of a schema."""
    return dialect(options).write([field["name"] for field in schema.parsed["fields"]]).encode()


def _typed(text: str, quoted: bool, kind: Any, named: Mapping[str, Any]) -> Any:
    """The text of a field as a value of its type. Else the text itself, which the check by the schema then refuses."""
    if isinstance(kind, list):
        return _branch(text, quoted, kind, named)
    if isinstance(kind, str) and kind in named:
        kind = named[kind]
    if isinstance(kind, dict):
        if kind["type"] in _COMPLEX:
            return _json(text)
        kind = kind["type"]
    if kind in ("int", "long", "float", "double"):
        return _number(text, whole=kind in ("int", "long"))
    if kind == "boolean":
        return {"true": True, "false": False}.get(text.strip().lower(), text)
    return None if kind == "null" and text == "" and not quoted else text


def _number(text: str, *, whole: bool) -> Any:
    """The number; the text itself if it is none. Stricter than Python: 1_000, digits of other scripts and 1e400 are none."""
    try:
        if "_" in text or not text.isascii():
            return text
        value = int(text) if whole else float(text)
    except ValueError:
        return text
    return text if value in (math.inf, -math.inf) and "n" not in text.lower() else value


def _branch(text: str, quoted: bool, branches: list[Any], named: Mapping[str, Any]) -> Any:
    if "null" in branches and text == "" and not quoted:
        return None
    for branch in branches:
        value = _typed(text, quoted, branch, named)
        if branch != "null" and (not isinstance(value, str) or _of_text(branch, named)):
            return value
    return text


def _of_text(branch: Any, named: Mapping[str, Any]) -> bool:
    kind = named.get(branch, branch) if isinstance(branch, str) else branch
    return (kind["type"] if isinstance(kind, dict) else kind) in ("string", "bytes", "enum", "fixed")


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _text(value: Any) -> str:
    """The text of a field. The form has removed the tags of unions, so a dict is a record or a map."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, bytes | bytearray):
        return value.decode("latin-1")
    return json.dumps(value)
