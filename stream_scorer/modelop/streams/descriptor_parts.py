"""The parts of a descriptor other than its transport: Envelope, Encoding and Batching, checked."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import Any

from stream_scorer.errors import DescriptorError
from stream_scorer.modelop.streams.transport_kinds import MAX_WHOLE, Transport, is_text, shown

ENCODINGS = ("json", "utf-8", "csv", "msgpack", "avro-binary", "bert", "soap-rpc")
_ENCODING_ALIASES = {"utf8": "utf-8", "avro": "avro-binary"}
_ENCODING_OPTIONS = {"csv": ("QuoteCharacter", "Delimiter"), "json": ("Strict", "Unions")}
_MAX_SIZE = 64 << 20
MAX_MS = 10**12  # about 30 years; longer waits overflow a clock
ENVELOPES: dict[str, dict[str, Any]] = {
    "delimited": {"Separator": "\n"},
    "fixed": {"Size": None},
    "delimited-csv": {"Separator": "\r\n", "SkipHeader": True, "SkipBlankLines": True},
    "ocf-block": {"SyncMarker": None, "Compress": None, "SkipHeader": True},
}


@dataclass(frozen=True)
class Envelope:
    """How records are separated in a stream of bytes.

    type: "delimited", "fixed", "delimited-csv" or "ocf-block". fields: its parameters, defaults filled in.
    stated: names of the parameters that the descriptor gave.
    """

    type: str
    fields: dict[str, Any]
    stated: frozenset[str] = frozenset()

    @property
    def header(self) -> bool:
        """Whether the stream begins with a line of field names."""
        return self.type == "delimited-csv" and bool(self.fields["SkipHeader"])


@dataclass(frozen=True)
class Batching:
    """A batch is closed at `watermark` records, or `nagle_ms` after its first record; None switches that limit off."""

    watermark: int | None
    nagle_ms: int | None


def refuse(field: str, wanted: str, found: Any) -> DescriptorError:
    """Return the error to raise for a field that holds something else than wanted."""
    return DescriptorError(f"{field}: expected {wanted}, found {shown(found)}.")


def encoding(given: Any) -> tuple[str | None, dict[str, Any]]:
    """Return name and options of a descriptor's Encoding. Raises DescriptorError."""
    options: dict[str, Any] = {}
    if isinstance(given, dict):
        options, given = given, given.get("Type", "")
    if given is None:
        return None, {}
    word = given.lower() if isinstance(given, str) else None
    name = _ENCODING_ALIASES.get(word or "", word)
    if name not in ENCODINGS:
        raise refuse("Encoding", f"null or one of {', '.join(ENCODINGS)}", given)
    allowed = _ENCODING_OPTIONS.get(name, ())
    unknown = [key for key in options if key not in (*allowed, "Type")]
    if unknown:
        raise DescriptorError(f"Encoding: {name} has no option {shown(unknown[0])}.")
    chosen = {key: value for key, value in options.items() if key in allowed and value is not None}
    if name == "csv":
        _check_csv(chosen)
    elif name == "json":
        _check_json(chosen)
    return name, chosen


def _check_csv(options: dict[str, Any]) -> None:
    quote, delimiter = options.get("QuoteCharacter", '"'), options.get("Delimiter", ",")
    if not is_text(quote) or len(quote) != 1:
        raise refuse("Encoding: QuoteCharacter", "one character", quote)
    if not is_text(delimiter) or not delimiter or quote in delimiter:
        raise refuse("Encoding: Delimiter", "one character or more, without the quote", delimiter)


def _check_json(options: dict[str, Any]) -> None:
    if not isinstance(options.get("Strict", False), bool):
        raise refuse("Encoding: Strict", "true or false", options["Strict"])
    if options.get("Unions", "tagged") not in ("tagged", "untagged"):
        raise refuse("Encoding: Unions", '"tagged" or "untagged"', options["Unions"])


def envelope(given: Any) -> Envelope | None:
    """Return a descriptor's Envelope, None for null. Raises DescriptorError."""
    if given is None:
        return None
    if isinstance(given, str):
        given = {"Type": given}
    kind = given.get("Type") if isinstance(given, dict) else None
    name = kind.lower() if isinstance(kind, str) else ""
    if name not in ENVELOPES:
        raise refuse("Envelope", f"null or one of {', '.join(ENVELOPES)}", given)
    stated = {key: given[key] for key in ENVELOPES[name] if given.get(key) is not None}
    fields = {**ENVELOPES[name], **stated}
    _check_envelope(name, fields)
    return Envelope(name, fields, frozenset(key for key in ENVELOPES[name] if key in given))


def _check_envelope(name: str, fields: dict[str, Any]) -> None:
    separator = fields.get("Separator", "\n")
    if not is_text(separator) or not separator:
        raise refuse("Envelope: Separator", "a string of one character or more", separator)
    for key in ("SkipHeader", "SkipBlankLines"):
        if not isinstance(fields.get(key, True), bool):
            raise refuse(f"Envelope: {key}", "true or false", fields[key])
    if name == "fixed" and not (is_whole(fields["Size"], 1) and fields["Size"] <= _MAX_SIZE):
        raise refuse("Envelope: Size of fixed", f"a whole number of bytes from 1 to {_MAX_SIZE:,}", fields["Size"])
    if name == "ocf-block":
        if fields["Compress"] not in (None, "deflate"):
            raise refuse("Envelope: Compress", 'null or "deflate"', fields["Compress"])
        if fields["SyncMarker"] is not None and len(_bytes(fields["SyncMarker"])) != 16:
            raise refuse("Envelope: SyncMarker", "16 bytes in base64", fields["SyncMarker"])
        if fields["SyncMarker"] is None and not fields["SkipHeader"]:
            raise DescriptorError("Envelope: without a header (SkipHeader false) ocf-block needs a SyncMarker.")


def _bytes(text: Any) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (TypeError, ValueError, binascii.Error):
        return b""


def default_envelope(transport: Transport, encoding: str | None) -> Envelope | None:
    """Return the envelope of a descriptor that names none (rule `f.default-envelope`)."""
    if transport.keeps_boundaries or encoding in ("msgpack", "avro-binary", "soap-rpc"):
        return None
    return envelope("delimited-csv" if encoding == "csv" else "delimited")


_NORMAL = Batching(1000, 500)


def batching(given: Any) -> Batching:
    """Return a descriptor's Batching. Raises DescriptorError."""
    if given is None:
        return Batching(1, None)
    if isinstance(given, str) and given.lower() in ("normal", "explicit"):
        return _NORMAL if given.lower() == "normal" else Batching(None, None)
    if not isinstance(given, dict):
        raise refuse("Batching", '"normal", "explicit", null or an object', given)
    watermark = given.get("Watermark", _NORMAL.watermark)
    nagle = given.get("NagleTime", _NORMAL.nagle_ms)
    for key, value, low, most in (("Watermark", watermark, 1, MAX_WHOLE), ("NagleTime", nagle, 0, MAX_MS)):
        if value is not None and not is_whole(value, low, most):
            raise refuse(f"Batching: {key}", f"null or a whole number from {low} to {most}", value)
    return Batching(watermark, nagle)


def is_whole(value: Any, low: int, most: int = MAX_WHOLE) -> bool:
    """Whether it is an integer from `low` to `most`, at most of 64 bits; true and false are none."""
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= most
