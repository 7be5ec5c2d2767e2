"""Blocks of Avro object container files as an envelope (rule `f.ocf-block`).

Schema, sync marker and compression are those of the descriptor; a header in the stream has to agree with them.
"""

from __future__ import annotations

import base64
import io
import json
import os
import zlib
from collections.abc import Sequence
from typing import Any

from stream_scorer.codec.avro_long import avro_long, avro_sized
from stream_scorer.codec.schema import Schema
from stream_scorer.codec.schema_matching import mismatch
from stream_scorer.codec.schema_rules import checked_schema
from stream_scorer.errors import TransportError
from stream_scorer.modelop.streams.avro_boundaries import AvroBoundaries
from stream_scorer.modelop.streams.descriptor_parts import Envelope

MAGIC = b"Obj\x01"
_MARKER = 16
_MAX_BLOCK = 256 << 20
_MAX_HEADER = 16 << 20


class _More(Exception):
    """Not all bytes have come yet."""


class OcfSplitter:
    """The schema determines the boundaries of the records in a block.

    If the file is broken, TransportError is raised, as nothing behind that place can be trusted. Records before it are
    returned first, the error is raised by the next call.
    """

    header = b""

    def __init__(self, envelope: Envelope, schema: Schema) -> None:
        marker = envelope.fields["SyncMarker"]
        self._marker = None if marker is None else base64.b64decode(marker)
        self._compress: str | None = envelope.fields["Compress"]
        self._compress_open = "Compress" not in envelope.stated
        self._schema = schema
        self._boundaries = AvroBoundaries(schema)
        self._rest = bytearray()
        self._wait_for = 0
        self._meta: dict[str, bytes] | None = None  # of the header that is being read
        self._pairs = self._header_bytes = 0
        self._broken: TransportError | None = None

    def feed(self, data: bytes) -> list[bytes]:
        if self._broken:
            raise self._broken
        self._rest += data
        records: list[bytes] = []
        if len(self._rest) < self._wait_for:
            return records
        stream = io.BytesIO(self._rest)
        at = 0
        try:
            while at < len(self._rest):
                self._wait_for = 0
                records += self._next(stream, at)
                at = stream.tell()
        except _More:
            pass
        except TransportError as error:
            self._broken = error
            if not records:
                raise
        del self._rest[:at]
        self._wait_for = max(self._wait_for - at, 0)
        return records

    def flush(self) -> list[bytes]:
        if self._broken:
            raise self._broken
        if self._rest or self._meta is not None:
            raise TransportError(
                f"ocf-block: the stream ends within a block, {len(self._rest)} bytes after the last whole one"
            )
        return []

    def _next(self, stream: io.BytesIO, at: int) -> list[bytes]:
        """Read a block, or a part of a header, and return its records. Raises _More if not all its bytes have come."""
        if self._meta is not None:
            self._read_header(stream, at)
        elif MAGIC.startswith(self._rest[at : at + 4]):
            self._take(stream, 4)
            self._meta, self._pairs, self._header_bytes = {}, 0, 0
        else:
            return self._read_block(stream)
        return []

    def _read_header(self, stream: io.BytesIO, at: int) -> None:
        assert self._meta is not None
        if self._pairs:
            key = self._take(stream, _long(stream)).decode(errors="replace")
            self._meta[key] = self._take(stream, _long(stream))
            self._pairs -= 1
        elif count := _long(stream):
            if count < 0:
                _long(stream)
            self._pairs = abs(count)
        else:
            self._check_header(self._take(stream, _MARKER), self._meta)
            self._meta = None
        self._header_bytes += stream.tell() - at
        if self._header_bytes > _MAX_HEADER:
            raise TransportError(f"ocf-block: a header of more than {_MAX_HEADER >> 20} MB; is it a container file?")

    def _check_header(self, marker: bytes, meta: dict[str, bytes]) -> None:
        if self._marker is not None and marker != self._marker:
            raise TransportError("ocf-block: the sync marker in the header is not the SyncMarker of the descriptor")
        self._marker = marker
        self._agree_on_codec(meta.get("avro.codec", b"null").decode(errors="replace"))
        self._agree_on_schema(meta.get("avro.schema", b""))

    def _agree_on_codec(self, codec: str) -> None:
        compression = None if codec == "null" else codec
        if compression not in (None, "deflate"):
            raise TransportError(f"ocf-block: compressed by {codec}; this engine has deflate and none")
        if compression != self._compress and not self._compress_open:
            raise TransportError(f"ocf-block: the header says codec {codec}, the descriptor Compress {self._compress}")
        self._compress = compression

    def _agree_on_schema(self, text: bytes) -> None:
        try:
            written = checked_schema("header", json.loads(text))
        except ValueError as error:
            raise TransportError(f"ocf-block: the header has no schema that can be read: {error}") from error
        # Records are read by the descriptor's schema, so both must allow the same values.
        problem = mismatch(self._schema, written) or mismatch(written, self._schema)
        if problem:
            raise TransportError(
                f"ocf-block: the schema in the header is not the stream's {self._schema.name!r}: {problem}"
            )

    def _read_block(self, stream: io.BytesIO) -> list[bytes]:
        count, size = _long(stream), _long(stream)
        if count < 0 or not 0 <= size <= _MAX_BLOCK:
            raise TransportError(
                f"ocf-block: no block begins here: {count} records in {size} bytes. Is it a container file?"
            )
        data = self._take(stream, size)
        marker = self._take(stream, _MARKER)
        if self._marker is not None and marker != self._marker:
            raise TransportError("ocf-block: a block does not end in the sync marker: out of step, or another file")
        self._marker = marker
        if self._compress == "deflate":
            data = _inflated(data)
        boundaries, bad = self._boundaries.find_all(data)
        if bad or len(boundaries) != count or (boundaries and boundaries[-1] != len(data)):
            raise TransportError(f"ocf-block: a block of {count} records does not read by schema {self._schema.name!r}")
        return [data[start:stop] for start, stop in zip([0, *boundaries], boundaries, strict=False)]

    def _take(self, stream: io.BytesIO, size: int) -> bytes:
        if not 0 <= size <= _MAX_BLOCK:
            raise TransportError(f"ocf-block: a piece of {size} bytes; is it a container file?")
        data = stream.read(size)
        if len(data) < size:
            self._wait_for = stream.tell() + size - len(data)
            raise _More
        return data


def _inflated(data: bytes) -> bytes:
    decompressor = zlib.decompressobj(-15)
    try:
        inflated = decompressor.decompress(data, _MAX_BLOCK)
    except zlib.error as error:
        raise TransportError(f"ocf-block: a block is not deflated ({error}); is Compress right?") from error
    if decompressor.unconsumed_tail:
        raise TransportError(f"ocf-block: a block is larger than {_MAX_BLOCK >> 20} MB when inflated")
    return inflated


def _long(stream: io.BytesIO) -> int:
    shift = number = 0
    while shift < 70:
        byte = stream.read(1)
        if not byte:
            raise _More
        number |= (byte[0] & 0x7F) << shift
        if byte[0] < 0x80:
            return (number >> 1) ^ -(number & 1)
        shift += 7
    raise TransportError("ocf-block: a number of more than 10 bytes; is it a container file?")


class OcfFramer:
    """Writes one block for each batch of records, and the header before the first if the envelope has one."""

    def __init__(self, envelope: Envelope, schema: Any) -> None:
        marker = envelope.fields["SyncMarker"]
        self._marker = os.urandom(_MARKER) if marker is None else base64.b64decode(marker)
        self._deflate = envelope.fields["Compress"] == "deflate"
        meta = {"avro.schema": json.dumps(schema).encode(), "avro.codec": b"deflate" if self._deflate else b"null"}
        pairs = b"".join(avro_sized(key.encode()) + avro_sized(value) for key, value in meta.items())
        head = MAGIC + avro_long(len(meta)) + pairs + b"\0" + self._marker
        self._head = head if envelope.fields["SkipHeader"] else b""

    def frame(self, records: Sequence[bytes]) -> bytes:
        head, self._head = self._head, b""
        if not records:
            return head
        data = b"".join(records)
        if self._deflate:
            compressor = zlib.compressobj(wbits=-15)
            data = compressor.compress(data) + compressor.flush()
        return head + avro_long(len(records)) + avro_sized(data) + self._marker
