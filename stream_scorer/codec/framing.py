"""The schema registry's wire format: a zero byte, the id of the schema in 4 bytes (big-endian), then the Avro value."""

from __future__ import annotations

import struct
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

from stream_scorer.codec.avro import read_avro, wrong_bytes
from stream_scorer.codec.avro_bounds import Guard, guard_of
from stream_scorer.codec.avro_reader import Read
from stream_scorer.codec.avro_resolution import resolved
from stream_scorer.codec.registry import MAX_KNOWN, Registry, UnknownSchema
from stream_scorer.codec.schema import Schema
from stream_scorer.codec.value_codec import null_value
from stream_scorer.errors import DecodeError, EncodeError
from stream_scorer.ports import Codec

_HEAD = struct.Struct(">bI")


class FramedCodec:
    """Avro values with those five bytes before them. Each call may ask the registry, once per schema: it may block for 10 s.

    Args:
        inner: codec of the value.
        schema: of the model. Values that were written with another schema are read as this one, by Avro's rules.
        registry: has the schemas of writers; None: every id stands for `schema`.
        schema_id: of outputs; None: `schema` is registered at the first output.
        subject: under which it is registered.
    """

    def __init__(
        self, inner: Codec, schema: Schema, *, registry: Registry | None, schema_id: int | None, subject: str
    ) -> None:
        self._inner, self._schema = inner, schema
        self._registry = registry
        self._schema_id = schema_id
        self._subject = subject
        self._writers: OrderedDict[int, tuple[Read, Guard | None]] = OrderedDict()

    def decode(self, data: bytes | None) -> Any:
        if data is None:
            raise null_value()
        if len(data) < _HEAD.size or data[0] != 0:
            error = wrong_bytes("a zero byte and a 4-byte schema id before the value", data, size=-1)
            raise DecodeError(f"{error} Without a registry in play, leave --framing at none.")
        _, number = _HEAD.unpack_from(data)
        value = data[_HEAD.size :]
        if self._registry is None:
            return self._inner.decode(value)
        if number not in self._writers:
            self._writers[number] = self._writer(number)
            if len(self._writers) > MAX_KNOWN:
                self._writers.popitem(last=False)
        read, guard = self._writers[number]
        return read_avro(value, read, self._schema.name, guard)

    def _writer(self, number: int) -> tuple[Read, Guard | None]:
        assert self._registry is not None
        try:
            writer = self._registry.schema(number)
        except UnknownSchema as error:
            raise DecodeError(f"the schema registry knows no schema {number} of Avro: {error}") from error
        return resolved(writer, self._schema), guard_of(writer)

    def decode_many(self, batch: Sequence[bytes | None]) -> list[Any]:
        if self._registry is not None:
            heads = {data[: _HEAD.size] for data in batch if data}
            numbers = {_HEAD.unpack(head)[1] for head in heads if len(head) == _HEAD.size and not head[0]}
            if new := numbers - self._writers.keys():
                self._registry.look_ahead(new)
        return [self.decode(data) for data in batch]

    def encode(self, value: Any) -> bytes:
        data = self._inner.encode(value)
        if self._schema_id is None:
            if self._registry is None:
                raise EncodeError("no schema id for outputs: give --output-schema-id or --schema-registry")
            self._schema_id = self._registry.register(self._subject, self._schema.canonical)
        return _HEAD.pack(0, self._schema_id) + data

    def encode_many(self, values: Sequence[Any]) -> list[bytes]:
        return [self.encode(value) for value in values]
