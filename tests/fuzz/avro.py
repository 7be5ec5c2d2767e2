"""Avro: a dozen schemas, alone, in a stream, behind a registry's bytes, and read by other schemas than wrote."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import fastavro

from stream_scorer.codec.avro import AvroCodec
from stream_scorer.codec.framing import FramedCodec
from stream_scorer.codec.registry import UnknownSchema
from stream_scorer.codec.schema import make_schema
from stream_scorer.errors import DecodeError, EncodeError
from tests.fuzz.schemas import EVOLVED, SCHEMAS


class Target(NamedTuple):
    """`run` returns, or raises one of `allowed`. `json`: the seeds are JSON, and are changed as such."""

    name: str
    seeds: Sequence[bytes]
    run: Callable[[bytes], Any]
    allowed: tuple[type[Exception], ...]
    json: bool = False


class _Schemas:
    """A registry that knows one schema."""

    def __init__(self, schema: Any) -> None:
        self._schema = fastavro.parse_schema(schema)

    def schema(self, number: int) -> Any:
        if number != 7:
            raise UnknownSchema(str(number))
        return self._schema

    def register(self, subject: str, schema: str) -> int:
        return 7


def avro() -> list[Target]:
    found = []
    for name, (definition, samples) in SCHEMAS.items():
        schema = make_schema(name, definition)
        codec = AvroCodec(schema)
        seeds = [written(schema.parsed, sample) for sample in samples]
        registry: Any = _Schemas(definition)
        framed = FramedCodec(codec, schema, registry=registry, schema_id=7, subject="s")
        found += [
            Target(f"avro {name}", seeds, back_and_forth(codec), (DecodeError, EncodeError)),
            Target(f"avro stream {name}", [b"".join(seeds) * 3, *seeds], _ends(codec), (DecodeError,)),
            Target(f"avro framed {name}", [b"\0\0\0\0\7" + one for one in seeds], framed.decode, (DecodeError,)),
        ]
    return found


def written(schema: Any, value: Any) -> bytes:
    out = io.BytesIO()
    fastavro.schemaless_writer(out, schema, value)
    return out.getvalue()


def back_and_forth(codec: Any) -> Callable[[bytes], None]:
    def run(data: bytes) -> None:
        codec.encode(codec.decode(data))

    return run


def _ends(stream: AvroCodec) -> Callable[[bytes], None]:
    def run(data: bytes) -> None:
        ends, _ = stream.ends(data, True)
        assert ends == sorted(set(ends))
        assert not ends or 0 < ends[0] <= ends[-1] <= len(data)
        stream.decode(data)

    return run


def resolved() -> list[Target]:
    """Written by one schema, read by another."""
    found = []
    for name, definitions in EVOLVED.items():
        definition, samples = SCHEMAS[name]
        registry: Any = _Schemas(definition)
        seeds = [b"\0\0\0\0\7" + written(fastavro.parse_schema(definition), one) for one in samples]
        for number, one in enumerate(definitions):
            reader = make_schema(name, one)
            codec = FramedCodec(AvroCodec(reader), reader, registry=registry, schema_id=7, subject="s")
            found.append(Target(f"{name} read by another, {number}", seeds, codec.decode, (DecodeError,)))
    return found
