"""The tables of docs/values.md: each row is true, in every encoding, alone and in a stream."""

from __future__ import annotations

import contextlib
import json
import os
import time

import fastavro
import msgpack
import pytest

from stream_scorer.codec import codec_for
from stream_scorer.codec.framing import FramedCodec
from stream_scorer.codec.schema import make_schema
from stream_scorer.codec.schema_matching import mismatch
from stream_scorer.codec.stream_codec import StreamCodec
from stream_scorer.errors import DecodeError, EncodeError, SchemaError
from tests.support.values import EVOLVED, IN, MATCH, OUT, REFUSED, described

ROWS_OUT = [row for rows in OUT.values() for row in rows]


@pytest.fixture(params=["UTC", "Asia/Kolkata"])
def zone(request):
    """The machine's time zone, which must not matter."""
    before = os.environ.get("TZ")
    os.environ["TZ"] = request.param
    time.tzset()
    yield
    os.environ.pop("TZ")
    if before is not None:
        os.environ["TZ"] = before
    time.tzset()


@contextlib.contextmanager
def _refused(*errors):
    with pytest.raises(errors) as caught:
        yield
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("row", ROWS_OUT, ids=lambda row: f"{described(row.schema)} {row.given!r}"[:80])
def test_what_models_give(row, zone):
    schema = make_schema("s", row.schema)
    for encoding, written in (("json", row.json.encode()), ("avro-binary", row.avro)):
        for codec in (
            codec_for(encoding, schema),
            StreamCodec(encoding, {}, schema),
            StreamCodec(encoding, {}, schema, schema),
        ):
            if written in (REFUSED, REFUSED.encode()):
                with _refused(EncodeError):
                    codec.encode(row.given)
                continue
            data = codec.encode(row.given)
            assert (data.hex() if encoding == "avro-binary" else data) == written
            codec.decode(data)
    if row.json == REFUSED:
        with _refused(EncodeError):
            codec_for("msgpack", schema).encode(row.given)
    else:
        packed = codec_for("msgpack", schema).encode(row.given)
        bare = codec_for("json", schema, options={"Unions": "untagged"}).encode(row.given)
        assert _latin(msgpack.unpackb(packed)) == json.loads(bare)


def _latin(value):
    if isinstance(value, bytes):
        return value.decode("latin-1")
    if isinstance(value, dict):
        return {key: _latin(item) for key, item in value.items()}
    return [_latin(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize("row", IN, ids=lambda row: f"{described(row.schema)} {row.encoding} {row.wire}"[:80])
def test_what_models_get(row):
    schema = make_schema("s", row.schema)
    data = row.wire.encode() if row.encoding == "json" else bytes.fromhex(row.wire)
    encoding = "json" if row.encoding == "json" else "avro-binary"
    for codec in (
        codec_for(encoding, schema),
        StreamCodec(encoding, {}, schema),
        StreamCodec(encoding, {}, schema, schema),
    ):
        if row.seen == REFUSED:
            with _refused(DecodeError, SchemaError):
                codec.decode(data)
        else:
            seen = codec.decode(data)
            assert seen == row.seen
            assert type(seen) is type(row.seen)


class _Registry:
    def __init__(self, schema):
        self._schema = fastavro.parse_schema(json.loads(json.dumps(schema)))

    def schema(self, number):
        return self._schema


@pytest.mark.parametrize(
    "row", EVOLVED, ids=lambda row: f"{described(row.writer)} as {described(row.reader)} {row.written!r}"[:90]
)
def test_what_another_schema_wrote(row):
    writer, reader = make_schema("writer", row.writer), make_schema("reader", row.reader)
    inner = codec_for("avro-binary", reader)
    codec = FramedCodec(inner, reader, registry=_Registry(row.writer), schema_id=1, subject="s")
    data = b"\0\0\0\0\1" + codec_for("avro-binary", writer).encode(row.written)
    if row.seen == REFUSED:
        with _refused(DecodeError):
            codec.decode(data)
        return
    for _ in range(2):
        seen = codec.decode(data)
        assert repr(seen) == repr(row.seen)
        inner.encode(seen)
        if isinstance(seen, dict):
            seen.clear()  # a default is nobody's to keep


@pytest.mark.parametrize("row", MATCH, ids=lambda row: f"{described(row.given)} as {described(row.asked)}"[:90])
def test_which_schemas_go_together(row):
    assert (mismatch(make_schema("asked", row.asked), make_schema("given", row.given)) is None) == row.goes
