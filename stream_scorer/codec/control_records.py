"""Control records, as each encoding has them: end, set and pig between the data of a ModelOp stream. Section [d]."""

from __future__ import annotations

import io
import json
import struct
from collections.abc import Callable
from typing import Any, NamedTuple

import fastavro
import msgpack

from stream_scorer.records import Control

KINDS = ("end", "set", "pig")
_KEY = "$fastscore"
_KEY_BYTES = _KEY.encode()
_PEACE = "\u262efastscore."
_PEACE_BYTES = _PEACE.encode()
# The documentation prints a literal of Python 2, where \xfa is one byte: 12 bytes with the kind.
_RAW = b"\xfastscore."
_RAW_LENGTH = len(_RAW) + 3
_RAW_PROPERTIES = struct.Struct("!IQ")
_AVRO = tuple(b"\x1c$fastscore." + kind.encode() for kind in KINDS)
_AVRO_SCHEMA = fastavro.parse_schema(
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
    """`read` gives None for data; `write` takes what `read` gives."""

    read: Callable[[bytes], Control | None]
    write: Callable[[Control], bytes]


def _of_map(value: Any) -> Control | None:
    if not isinstance(value, dict) or value.get(_KEY) not in KINDS:
        return None
    try:
        return Control(
            value[_KEY], int(value.get("id") or 0), int(value.get("timestamp") or 0), str(value.get("misc") or "")
        )
    except (ValueError, TypeError, OverflowError):
        return Control(value[_KEY])


def _as_map(control: Control) -> dict[str, Any]:
    kind, *more = control
    given = control.kind == "pig" or any(more)
    return {_KEY: kind} | (dict(zip(("id", "timestamp", "misc"), more, strict=True)) if given else {})


def _read_json(data: bytes) -> Control | None:
    if _KEY_BYTES not in data:
        return None
    try:
        return _of_map(json.loads(data))
    except (ValueError, RecursionError):
        return None


def _write_json(control: Control) -> bytes:
    return json.dumps(_as_map(control)).encode()


def _read_msgpack(data: bytes) -> Control | None:
    if _KEY_BYTES not in data:
        return None
    try:
        return _of_map(msgpack.unpackb(data, strict_map_key=False))
    except (ValueError, TypeError, RecursionError, msgpack.UnpackException):
        return None


def _write_msgpack(control: Control) -> bytes:
    packed: bytes = msgpack.packb(_as_map(control))
    return packed


def _read_text(data: bytes) -> Control | None:
    if not data.startswith(_PEACE_BYTES):
        return None
    kind, *properties = data[len(_PEACE_BYTES) :].decode(errors="replace").split("|", 3)
    if kind not in KINDS:
        return None
    number, timestamp, misc = (*properties, *("0", "0", "")[len(properties) :])
    try:
        return Control(kind, int(number), int(timestamp), misc)
    except ValueError:
        return None


def _write_text(control: Control) -> bytes:
    kind, *more = control
    given = kind == "pig" or any(more)
    return "|".join([_PEACE + kind, *(map(str, more) if given else ())]).encode()


def _read_raw(data: bytes) -> Control | None:
    if not data.startswith(_RAW):
        return None
    kind, more = data[len(_RAW) : _RAW_LENGTH].decode("latin-1"), data[_RAW_LENGTH:]
    if kind not in KINDS or 0 < len(more) < _RAW_PROPERTIES.size:
        return None
    if not more:
        return Control(kind)
    number, timestamp = _RAW_PROPERTIES.unpack_from(more)
    return Control(kind, number, timestamp, more[_RAW_PROPERTIES.size :].decode("ascii", errors="replace"))


def _write_raw(control: Control) -> bytes:
    kind, number, timestamp, misc = control
    data = _RAW + kind.encode()
    if kind != "pig" and not (number or timestamp or misc):
        return data
    properties = _RAW_PROPERTIES.pack(number & 0xFFFF_FFFF, timestamp & 0xFFFF_FFFF_FFFF_FFFF)
    return data + properties + misc.encode("ascii", errors="replace")


def _read_avro(data: bytes) -> Control | None:
    if not data.startswith(_AVRO):
        return None
    found = read_avro_control(data)
    return found[0] if found is not None and found[1] == len(data) else None


def begins_control(data: bytes, at: int) -> bool:
    """Whether an Avro control record begins there, whole or not."""
    return data.startswith(_AVRO, at)


def may_begin_control(data: bytes, at: int) -> bool:
    """Whether what is there is a control record with its end cut off.

    Of one byte alone it is not said: it may be a small number, and those are not to wait for more.
    """
    cut = data[at : at + len(_AVRO[0])]
    return len(cut) > 1 and any(whole.startswith(cut) for whole in _AVRO)


def read_avro_control(data: bytes) -> tuple[Control, int] | None:
    """The control record that these bytes begin with, and its length; None if they do not."""
    if not data.startswith(_AVRO):
        return None
    stream = io.BytesIO(data)
    try:
        value: Any = fastavro.schemaless_reader(stream, _AVRO_SCHEMA, None)
    except (EOFError, ValueError, LookupError, OverflowError, MemoryError, struct.error):
        return None
    text, number, timestamp, misc = value.values()
    kind = text.rpartition(".")[2]
    return (Control(kind, number, timestamp, misc), stream.tell()) if kind in KINDS else None


def _write_avro(control: Control) -> bytes:
    kind, number, timestamp, misc = control
    out = io.BytesIO()
    value = {_KEY[1:]: f"{_KEY}.{kind}", "id": _fold(number, 32), "timestamp": _fold(timestamp, 64), "misc": misc}
    fastavro.schemaless_writer(out, _AVRO_SCHEMA, value)
    return out.getvalue()


def _fold(number: int, bits: int) -> int:
    """Into the signed integers of so many bits: what a client counts with may have more."""
    return (number + (1 << bits - 1)) % (1 << bits) - (1 << bits - 1)


CONTROL_FORMS: dict[str | None, ControlForm] = {
    "json": ControlForm(_read_json, _write_json),
    "utf-8": ControlForm(_read_text, _write_text),
    None: ControlForm(_read_raw, _write_raw),
    "msgpack": ControlForm(_read_msgpack, _write_msgpack),
    "avro-binary": ControlForm(_read_avro, _write_avro),
}
"""By encoding. csv has no control records, nor has the internal encoding of time streams."""
