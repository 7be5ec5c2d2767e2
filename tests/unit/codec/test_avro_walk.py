"""The walk through Avro bytes: it can stop anywhere, and what has no bytes costs it nothing."""

from __future__ import annotations

import pytest

from stream_scorer.codec.avro import AvroCodec
from stream_scorer.codec.avro_long import avro_long
from stream_scorer.codec.avro_walk import AvroWalk, avro_type
from stream_scorer.codec.schema import make_schema
from stream_scorer.modelop.streams.avro_boundaries import AvroBoundaries
from tests.fuzz.schemas import SCHEMAS, record

NULLS = {"type": "array", "items": record("Hollow", n="null")}
CASES = [(name, sample) for name, (_, samples) in SCHEMAS.items() for sample in samples]


@pytest.mark.parametrize(("name", "sample"), CASES, ids=[name for name, _ in CASES])
def test_a_walk_byte_by_byte_ends_where_a_walk_at_once_does(name, sample):
    schema = make_schema(name, SCHEMAS[name][0])
    data = AvroCodec(schema).encode(sample)
    at_once, in_pieces = (AvroWalk(avro_type(schema.parsed), 1 << 16) for _ in range(2))
    assert at_once.go(b"before" + data + b"\x7f\x7f", 6)
    assert at_once.at == len(data)
    assert [in_pieces.go(data[:end], 0) for end in range(len(data))] == [False] * len(data)
    assert in_pieces.go(data, 0)
    assert in_pieces.at == len(data)


def test_a_few_bytes_that_claim_endless_nulls_do_not_hold_up_a_stream():
    data = avro_long(2**60) + b"\0"
    assert AvroBoundaries(make_schema("nulls", NULLS)).find(bytearray(data), last=False) == ([len(data)], False)
