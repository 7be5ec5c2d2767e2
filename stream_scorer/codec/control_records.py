"""Control records (end, set, pig) between the data of a ModelOp stream, in each encoding. docs/glossary.md explains them.

If output and input have the same encoding, the bytes of a control record are passed on unchanged: published clients wait
for the bytes of the pig that they have sent. In another encoding it keeps its properties and gets no others.
"""

from __future__ import annotations

import io
import json
import struct
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import fastavro
import msgpack

from stream_scorer.records import Control

KINDS = ("end", "set", "pig")
_KEY = "$fastscore"
_KEY_BYTES = _KEY.encode()
_NAMES = ("id", "timestamp", "misc")
_PEACE = "\u262efastscore."
_PEACE_BYTES = _PEACE.encode()
# The vendor's documentation prints a literal of Python 2, where \xfa is one byte: 12 bytes with the kind.
_RAW = b"\xfastscore."
_RAW_LENGTH = len(_RAW) + 3
_RAW_PROPERTIES = struct.Struct("!IQ")
_AVRO = tuple(b"\x1c$fastscore." + kind.encode() for kind in KINDS)
AVRO_SCHEMA = fastavro.parse_schema(
    {
        "type": "record",
        "name": "control",
        "fields": [
            {"name": _KEY[1:], "type": "string"},
            {"name": "id", "type": "int"},
            {"name": "timestamp", "type": "long"},
            {"name": "misc", "type": "string"},
        ],
    }
)


class ControlForm(NamedTuple):
    """Control records of one encoding.

    read: the control record that the bytes are; None if they are data.
    write: the bytes of a control record that was read in this or another encoding.
    """

    read: Callable[[bytes], Control | None]
    write: Callable[[Control], bytes]


def _of_map(value: Any, record: bytes, encoding: str) -> Control | None:
    if not isinstance(value, dict) or value.get(_KEY) not in KINDS:
        return None
    given = [value.get(name) for name in _NAMES]
    try:
        properties: Any = [
            None if value is None else kind(value) for kind, value in zip((int, int, str), given, strict=True)
        ]
    except (ValueError, TypeError, OverflowError):
        properties = ()  # not of the documented types; an output in the same encoding still gets them
    return Control(value[_KEY], *properties, record=record, encoding=encoding)


def _as_map(control: Control) -> dict[str, Any]:
    given = {name: getattr(control, name) for name in _NAMES}
    return {_KEY: control.kind, **{name: value for name, value in given.items() if value is not None}}


def _read_json(data: bytes) -> Control | None:
    if _KEY_BYTES not in data:
        return None
    try:
        return _of_map(json.loads(data), data.strip(), "json")
    except (ValueError, RecursionError):
        return None


def _write_json(control: Control) -> bytes:
    # On a delimited stream a record of several lines would be several records.
    if control.encoding == "json" and control.record and not any(end in control.record for end in (b"\n", b"\r")):
        return control.record
    try:
        return _compact(_members(control))
    except (ValueError, TypeError, RecursionError):  # msgpack has values that JSON lacks
        return _compact(_as_map(control))


def _compact(members: Mapping[str, Any]) -> bytes:
    return json.dumps(members, separators=(",", ":")).encode()


def _members(control: Control) -> Any:
    """All members of a control record in json or msgpack, those that its client has added included."""
    if control.record and control.encoding == "json":
        return json.loads(control.record)
    if control.record and control.encoding == "msgpack":
        return msgpack.unpackb(control.record, strict_map_key=False)
    return _as_map(control)


def _read_msgpack(data: bytes) -> Control | None:
    if _KEY_BYTES not in data:
        return None
    try:
        return _of_map(msgpack.unpackb(data, strict_map_key=False), data, "msgpack")
    except (ValueError, TypeError, RecursionError, msgpack.UnpackException):
        return None


def _write_msgpack(control: Control) -> bytes:
    if control.encoding == "msgpack" and control.record:
        return control.record
    try:
        packed: bytes = msgpack.packb(_members(control))
    except (
        ValueError,
        TypeError,
        OverflowError,
        RecursionError,
    ):  # JSON has longer numbers, and halves of surrogate pairs
        given = {name: _short(value) for name, value in _as_map(control).items()}
        packed = msgpack.packb(given)
    return packed


def _short(value: Any) -> Any:
    return _fold(value, 64) if isinstance(value, int) else _encodable(value)


def _read_text(data: bytes) -> Control | None:
    if not data.startswith(_PEACE_BYTES):
        return None
    kind, *given = data[len(_PEACE_BYTES) :].decode(errors="replace").split("|", 3)
    if kind not in KINDS:
        return None
    try:
        properties: Any = [kind(value) for kind, value in zip((int, int, str), given, strict=False)]
    except ValueError:
        return None
    return Control(kind, *properties, record=data, encoding="utf-8")


def _write_text(control: Control) -> bytes:
    if control.encoding == "utf-8" and control.record:
        return control.record
    given = [getattr(control, name) is not None for name in _NAMES]
    last = 3 - given[::-1].index(True) if any(given) else 0
    return "|".join([_PEACE + control.kind, *map(str, _properties(control)[:last])]).encode(errors="replace")


def _read_raw(data: bytes) -> Control | None:
    if not data.startswith(_RAW):
        return None
    kind, more = data[len(_RAW) : _RAW_LENGTH].decode("latin-1"), data[_RAW_LENGTH:]
    if kind not in KINDS or 0 < len(more) < _RAW_PROPERTIES.size:
        return None
    properties: Any = ()
    if more:
        properties = _RAW_PROPERTIES.unpack_from(more)
    if len(more) > _RAW_PROPERTIES.size:
        properties += (more[_RAW_PROPERTIES.size :].decode("ascii", errors="replace"),)
    return Control(kind, *properties, record=data, encoding=None)


def _write_raw(control: Control) -> bytes:
    if control.encoding is None and control.record:
        return control.record
    data = _RAW + control.kind.encode()
    if all(getattr(control, name) is None for name in _NAMES):
        return data
    number, timestamp, misc = _properties(control)
    properties = _RAW_PROPERTIES.pack(number & 0xFFFF_FFFF, timestamp & 0xFFFF_FFFF_FFFF_FFFF)
    return data + properties + misc.encode("ascii", errors="replace")


def _read_avro(data: bytes) -> Control | None:
    if not data.startswith(_AVRO):
        return None
    control = read_avro_control(data)
    return control[0] if control is not None and control[1] == len(data) else None


def begins_control(data: bytes, at: int) -> bool:
    """Whether an Avro control record begins at `at`. It may be incomplete."""
    return data.startswith(_AVRO, at)


def may_begin_control(data: bytes, at: int) -> bool:
    """Whether the bytes from `at` on are two or more, and the beginning of a control record.

    One byte is not enough: a small number is one byte, and must not wait for more bytes.
    """
    head = data[at : at + len(_AVRO[0])]
    return len(head) > 1 and any(control.startswith(head) for control in _AVRO)


def read_avro_control(data: bytes) -> tuple[Control, int] | None:
    """The control record at the beginning of `data`, and its length in bytes; None if there is none, or not all of it."""
    if not data.startswith(_AVRO):
        return None
    stream = io.BytesIO(data)
    try:
        value: Any = fastavro.schemaless_reader(stream, AVRO_SCHEMA, None)
    except (EOFError, ValueError, LookupError, OverflowError, MemoryError, struct.error):
        return None
    text, *given = value.values()
    kind = text.rpartition(".")[2]
    if kind not in KINDS:
        return None
    # An Avro record always has all three properties: 0 and "" stand for a property that was not given.
    properties: Any = [value or None for value in given]
    return Control(kind, *properties, record=data[: stream.tell()], encoding="avro-binary"), stream.tell()


def _write_avro(control: Control) -> bytes:
    if control.encoding == "avro-binary" and control.record:
        return control.record
    number, timestamp, misc = _properties(control)
    out = io.BytesIO()
    value: dict[str, Any] = {
        _KEY[1:]: f"{_KEY}.{control.kind}",
        "id": _fold(number, 32),
        "timestamp": _fold(timestamp, 64),
    }
    value["misc"] = _encodable(misc)
    fastavro.schemaless_writer(out, AVRO_SCHEMA, value)
    return out.getvalue()


def _properties(control: Control) -> tuple[int, int, str]:
    """id, timestamp and misc; 0 or "" for each that the record lacks."""
    return control.id or 0, control.timestamp or 0, control.misc or ""


def _encodable(text: str) -> str:
    """The text without halves of surrogate pairs: JSON may contain them, and UTF-8 has no bytes for them."""
    return text.encode(errors="replace").decode()


def _fold(number: int, bits: int) -> int:
    """The number as a signed integer of `bits` bits, wrapped around: a client may count with more bits."""
    return (number + (1 << bits - 1)) % (1 << bits) - (1 << bits - 1)


CONTROL_FORMS: dict[str | None, ControlForm] = {
    "json": ControlForm(_read_json, _write_json),
    "utf-8": ControlForm(_read_text, _write_text),
    None: ControlForm(_read_raw, _write_raw),
    "msgpack": ControlForm(_read_msgpack, _write_msgpack),
    "avro-binary": ControlForm(_read_avro, _write_avro),
}
"""By encoding. csv and bert have no control records."""
