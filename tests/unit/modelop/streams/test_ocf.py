"""Container files of Avro's own library, cut anywhere, and ours read by it."""

from __future__ import annotations

import base64
import contextlib
import io

import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_scorer.codec.avro import AvroCodec
from stream_scorer.codec.avro_long import avro_long
from stream_scorer.codec.schema import make_schema
from stream_scorer.errors import DecodeError, TransportError
from stream_scorer.modelop.streams.descriptor_parts import envelope
from stream_scorer.modelop.streams.ocf import OcfFramer, OcfSplitter
from tests.support.examples import examples

ROW = {
    "type": "record",
    "name": "Row",
    "fields": [{"name": "id", "type": "long"}, {"name": "note", "type": ["null", "string"]}],
}
MARKER = bytes(range(16))
AVRO = AvroCodec(make_schema("row", ROW))
ROWS = [{"id": number, "note": None if number % 3 else "x" * number} for number in range(40)]


def container(rows=ROWS, codec="null", schema=ROW, block=60):
    out = io.BytesIO()
    fastavro.writer(out, schema, rows, codec=codec, sync_marker=MARKER, sync_interval=block)
    return out.getvalue()


def splitter(schema=ROW, **fields):
    made = make_schema("row", schema)
    return OcfSplitter(envelope({"Type": "ocf-block", **fields}), made)


def split(one, pieces):
    return [AVRO.decode(record) for piece in pieces for record in one.feed(piece)] + one.flush()


def without_header(data):
    return data[data.index(MARKER) + 16 :]


@pytest.mark.parametrize("codec", ["null", "deflate"])
@examples(30)
@given(step=st.integers(1, 200))
def test_any_cut_gives_the_same_records(codec, step):
    data = container(codec=codec)
    assert split(splitter(), [data[at : at + step] for at in range(0, len(data), step)]) == ROWS


def test_a_stream_may_begin_at_a_block():
    data = without_header(container(codec="deflate"))
    marker = base64.b64encode(MARKER).decode()
    assert split(splitter(Compress="deflate", SyncMarker=marker, SkipHeader=False), [data]) == ROWS


def test_one_file_behind_another_is_read_on():
    assert split(splitter(), [container() + container()]) == ROWS * 2


FAULTS = {
    "another marker": (container(), {"SyncMarker": base64.b64encode(bytes(16)).decode()}, ROW, "not the SyncMarker"),
    "another compression": (container(codec="deflate"), {"Compress": None}, ROW, "the header says codec deflate"),
    "a compression we lack": (container().replace(b"\x08null", b"\x0czstand"), {}, ROW, "compressed by zstand"),
    "another schema": (container([1, 2], schema="long"), {}, ROW, "the schema in the header is not"),
    "a wider schema": (container([1, 2], schema="int"), {}, "long", "the schema in the header is not"),
    "no container": (b"hello world\n" * 9, {}, ROW, "is it a container file|Is it a container file"),
    "cut off": (container()[:-20], {}, ROW, "ends within a block"),
    "out of step": (container()[:-1] + b"!", {}, ROW, "does not end in the sync marker"),
    "a block of something else": (
        b"\x04\x02\x02" + MARKER,
        {"SyncMarker": base64.b64encode(MARKER).decode()},
        ROW,
        "does not read by schema",
    ),
    "not deflated": (
        b"\x02\x04\xff\xff" + MARKER,
        {"Compress": "deflate", "SyncMarker": base64.b64encode(MARKER).decode()},
        ROW,
        "is not deflated",
    ),
}


@pytest.mark.parametrize("case", FAULTS)
def test_a_broken_file_is_told(case):
    data, fields, schema, text = FAULTS[case]
    with pytest.raises(TransportError, match=text):
        split(splitter(schema, **fields), [data])


@pytest.mark.parametrize("compress", [None, "deflate"])
def test_what_is_written_avros_own_library_reads(compress):
    framer = OcfFramer(envelope({"Type": "ocf-block", "Compress": compress}), ROW)
    records = [AVRO.encode(row) for row in ROWS]
    data = framer.frame(records[:7]) + framer.frame(records[7:])
    assert list(fastavro.reader(io.BytesIO(data))) == ROWS


def test_without_a_header_there_are_blocks_only():
    fields = {"Type": "ocf-block", "SkipHeader": False, "SyncMarker": base64.b64encode(MARKER).decode()}
    data = OcfFramer(envelope(fields), ROW).frame([AVRO.encode(ROWS[0])])
    assert data == without_header(container(ROWS[:1]))


@examples(200)
@given(st.binary(max_size=80), st.integers(0, 400))
def test_foreign_bytes_give_an_error_of_ours_and_no_other(noise, at):
    data = container()
    at %= len(data)
    # A record that is there and does not load is the codec's to reject.
    with contextlib.suppress(TransportError, DecodeError):
        split(splitter(), [data[:at] + noise + data[at:]])


def test_a_bomb_is_not_inflated(monkeypatch):
    import zlib

    from stream_scorer.modelop.streams import ocf

    monkeypatch.setattr(ocf, "_MAX_BLOCK", 1 << 16)
    engine = zlib.compressobj(wbits=-15)
    body = engine.compress(bytes(1 << 20)) + engine.flush()
    data = avro_long(1) + avro_long(len(body)) + body + MARKER
    with pytest.raises(TransportError, match="larger than"):
        splitter("boolean", Compress="deflate").feed(data)


@pytest.mark.parametrize("broken", ["the marker", "the count", "the records", "cut off"])
@pytest.mark.parametrize("step", [1, 100, 10_000])
def test_blocks_before_a_broken_one_come_before_the_error(broken, step):
    data = bytearray(container(block=60))
    ends = [at + 16 for at in range(len(data)) if data.startswith(MARKER, at)]  # of the header, then of blocks
    good = split(splitter(), [bytes(data[: ends[3]])])
    assert 0 < len(good) < len(ROWS)
    if broken == "the marker":
        data[ends[4] - 1] ^= 1
    elif broken == "the count":
        data[ends[3]] ^= 2
    elif broken == "the records":
        data[ends[3] + 3 : ends[3] + 13] = b"\xff" * 10
    else:
        del data[ends[4] - 1 :]
    one, found = splitter(), []

    def read():
        for at in range(0, len(data), step):
            found.extend(one.feed(bytes(data[at : at + step])))
        one.flush()

    with pytest.raises(TransportError):
        read()
    assert [AVRO.decode(record) for record in found] == good
    with pytest.raises(TransportError):
        one.flush()


def test_a_record_in_a_block_that_is_wrong_costs_itself_only():
    schema = {"type": "record", "name": "r", "fields": [{"name": "s", "type": "string"}]}
    made = make_schema("r", schema)
    records = [b"\x02a", b"\x02\xff", b"\x02b"]  # the second is no UTF-8
    data = OcfFramer(envelope("ocf-block"), schema).frame(records)
    one = OcfSplitter(envelope("ocf-block"), made)
    assert one.feed(data) + one.flush() == records


def test_a_header_without_an_end_is_not_kept(monkeypatch):
    from stream_scorer.modelop.streams import ocf

    monkeypatch.setattr(ocf, "_MAX_HEADER", 1000)
    one = splitter()
    entry = avro_long(1) + avro_long(1) + b"a" + avro_long(100) + bytes(100)
    one.feed(b"Obj\x01" + entry * 8)
    with pytest.raises(TransportError, match="a header of more than"):
        one.feed(entry * 2)
