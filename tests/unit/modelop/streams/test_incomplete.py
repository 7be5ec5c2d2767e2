"""What an envelope keeps while a record is not complete: bounded, read once, delivered when its last byte has come."""

from __future__ import annotations

import io
import time

import fastavro
import fastavro.utils
import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_scorer.codec.avro import AvroCodec
from stream_scorer.codec.csv_codec import CsvCodec
from stream_scorer.codec.csv_dialect import Dialect
from stream_scorer.codec.schema import make_schema
from stream_scorer.errors import DecodeError
from stream_scorer.modelop.streams import csv_lines, envelopes
from stream_scorer.modelop.streams.avro_boundaries import AvroBoundaries
from stream_scorer.modelop.streams.csv_lines import CsvLines
from stream_scorer.modelop.streams.descriptor_parts import envelope
from stream_scorer.modelop.streams.envelopes import Delimited, Fixed, MsgpackBoundaries, SelfDelimited, TooLong, Whole
from stream_scorer.modelop.streams.ocf import OcfSplitter
from tests.support.examples import examples

SIZE, PIECE, HANG_S = 2 << 20, 8, 60
LINES = Dialect(separator="\n")
STRINGS = make_schema("strings", {"type": "array", "items": "string"})
LINKS = make_schema(
    "links",
    {
        "type": "record",
        "name": "Link",
        "fields": [{"name": "v", "type": "long"}, {"name": "n", "type": ["null", "Link"]}],
    },
)


def csv(**more):
    return CsvLines(LINES, **{"header": False, "skip_blank": True, **more})


def container(rows, schema, **more):
    out = io.BytesIO()
    fastavro.writer(out, schema, rows, **more)
    return out.getvalue()


def strings(size):
    return AvroCodec(STRINGS).encode(["x" * 50] * (size // 50))


MANY = {
    "delimited": (lambda: Delimited(b"\r\n", blank=False), b"x" * SIZE),
    "fixed": (lambda: Fixed(SIZE, padded=False), b"x" * SIZE),
    "whole": (Whole, b"x" * SIZE),
    "csv, a line": (csv, b"x" * SIZE),
    "csv, an open quote": (csv, b'1,"open\n' + b"2," + b"x" * (SIZE - 10)),
    "csv, lines between quotes": (csv, b'1,"' + b"x\n" * (SIZE // 2) + b'"'),
    "csv, many fields before a quote": (csv, b"x," * (SIZE // 2) + b'"x"'),
    "msgpack, an array": (lambda: SelfDelimited(MsgpackBoundaries()), msgpack.packb(["x" * 50] * (SIZE // 50))),
    "msgpack, a string": (lambda: SelfDelimited(MsgpackBoundaries()), msgpack.packb("x" * SIZE)),
    "avro, an array": (lambda: SelfDelimited(AvroBoundaries(STRINGS)), strings(SIZE)),
    "ocf": (lambda: OcfSplitter(envelope("ocf-block"), STRINGS), container([["x" * SIZE]], STRINGS.parsed)),
    "ocf, a header": (
        lambda: OcfSplitter(envelope("ocf-block"), STRINGS),
        container([["x"]], STRINGS.parsed, metadata={str(n): "x" * 50 for n in range(SIZE // 60)}),
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", MANY)
def test_a_long_record_in_many_small_pieces_is_read_once(case):
    make, data = MANY[case]
    splitter, began, count = make(), time.monotonic(), 0
    for at in range(0, len(data), PIECE):
        count += len(splitter.feed(data[at : at + PIECE]))
    count += len(splitter.flush())
    assert count == (2 if case == "csv, an open quote" else 1)
    assert time.monotonic() - began < HANG_S


def test_an_open_quote_costs_its_line_and_no_other():
    """At the end of the stream."""
    schema = make_schema(
        "row",
        {"type": "record", "name": "r", "fields": [{"name": "a", "type": "int"}, {"name": "b", "type": "string"}]},
    )
    read = CsvCodec(schema, {"Separator": "\n"})
    splitter = csv()
    found = (
        splitter.feed(b'1,"one\nand more"\n2,"open\n3,') + splitter.feed(b'three\n4,"four ""4"""\n') + splitter.flush()
    )
    assert found == [b'1,"one\nand more"', b'2,"open', b"3,three", b'4,"four ""4"""']
    assert read.load(found[0]) == {"a": 1, "b": "one\nand more"}
    assert read.load(found[3]) == {"a": 4, "b": 'four "4"'}
    with pytest.raises(DecodeError, match="no closing"):
        read.load(found[1])


def test_an_open_quote_is_given_up_in_a_stream_that_has_no_end(monkeypatch):
    monkeypatch.setattr(csv_lines, "MAX_QUOTED", 100)
    splitter = csv()
    found = splitter.feed(b'0,zero\n1,"open\n')
    for number in range(2, 40):
        found += splitter.feed(b"%d,%d\n" % (number, number))
        assert len(splitter._data) < 200
    assert found[:4] == [b"0,zero", b'1,"open', b"2,2", b"3,3"]
    assert found[-1] == b"39,39"


def test_a_quote_in_the_middle_of_a_field_opens_none():
    splitter = csv()
    assert splitter.feed(b'1,5" wide\n2,"a"b\n3, "c\n') == [b'1,5" wide', b'2,"a"b', b'3, "c']


BROKEN = {
    "closed in the next line": (b'1,"a\n2,"b"\n3,"c"\n', [b'1,"a', b'2,"b"', b'3,"c"']),
    "closed lines later": (b'1,"a\n2,b\n3,"c"\n4,d\n', [b'1,"a', b"2,b", b'3,"c"', b"4,d"]),
    "never closed": (b'1,"a\n2,b\n3,c', [b'1,"a', b"2,b", b"3,c"]),
    "open in the last line": (b'1,a\n2,"b', [b"1,a", b'2,"b']),
    "text behind, in one line": (b'1,"a"b\n2,b\n', [b'1,"a"b', b"2,b"]),
    "text behind, then an open quote": (b'""a,"\n",b\n', [b'""a,"', b'",b']),
    "text behind in lines read twice": (b'"\na","\n"a', [b'"', b'a","', b'"a']),
    "two of them": (b'1,"a\n2,"b\n3,c\n4,"d"\n', [b'1,"a', b'2,"b', b"3,c", b'4,"d"']),
}


@pytest.mark.parametrize("case", BROKEN)
def test_lines_behind_an_open_quote(case):
    data, lines = BROKEN[case]
    for piece in (1, 3, 100):
        splitter = csv()
        found = [one for at in range(0, len(data), piece) for one in splitter.feed(data[at : at + piece])]
        assert found + splitter.flush() == lines


@examples(200)
@given(st.data(), st.lists(st.sampled_from(['"', '""', ",", "\n", "a", "\u00e9"]), max_size=30).map("".join))
def test_csv_is_split_in_the_same_way_however_its_bytes_come(data, text):
    raw = text.encode()
    places = sorted(data.draw(st.lists(st.integers(0, len(raw)), max_size=5)))
    whole, cut = csv(skip_blank=False), csv(skip_blank=False)
    found = whole.feed(raw) + whole.flush()
    pieces = [raw[start:end] for start, end in zip([0, *places], [*places, len(raw)], strict=True)]
    assert [one for piece in pieces for one in cut.feed(piece)] + cut.flush() == found
    assert b"\n".join(found) in (raw, raw.removesuffix(b"\n"))  # all of it is in a record
    for record in found:
        if b"\n" in record:  # an end of a line is data in what parses only
            assert LINES.parse(record.decode())


def test_lines_that_would_each_begin_a_record_without_an_end_are_read_a_few_times_only():
    began, lines = time.monotonic(), 60_000
    for tail in (b"", b'y"z\n'):
        data = b'x","\n' * lines + tail
        splitter = csv()
        found = splitter.feed(data) + splitter.flush()
        assert b"\n".join(found) in (data, data.removesuffix(b"\n"))
    assert time.monotonic() - began < HANG_S


SKIPPED = {
    "delimited": (lambda: Delimited(b"\r\n", blank=False), b"\r\n"),
    "csv, a line": (lambda: CsvLines(Dialect(), header=False, skip_blank=True), b"\r\n"),
    "csv, an open quote": (lambda: CsvLines(Dialect(), header=False, skip_blank=True), b"\r\n"),
}


@pytest.mark.parametrize("case", SKIPPED)
@pytest.mark.parametrize("piece", [1, 7, 1000])
def test_a_record_that_is_too_long_is_rejected_and_what_follows_goes_on(case, piece, monkeypatch):
    make, separator = SKIPPED[case]
    monkeypatch.setattr(envelopes, "MAX_LINE", 2000)
    monkeypatch.setattr(csv_lines, "MAX_QUOTED", 2000)
    long = (b'"' if "quote" in case else b"") + b"x" * 5000
    data = b"1" + separator + long + separator + b"2" + separator + long + separator + b"3" + separator
    splitter, found = make(), []
    for at in range(0, len(data), piece):
        found += splitter.feed(data[at : at + piece])
    found += splitter.flush()
    assert [type(one) is TooLong for one in found] == [False, True, False, True, False]
    assert [found[0], found[2], found[4]] == [b"1", b"2", b"3"]
    assert "its end has not come" in found[1].why


@pytest.mark.parametrize("make", [Whole, lambda: SelfDelimited(MsgpackBoundaries())])
def test_what_never_ends_is_not_kept(make, monkeypatch):
    monkeypatch.setattr(envelopes, "MAX_RECORD", 2000)
    splitter = make()
    found = splitter.feed(msgpack.packb(b"x" * 10000)[:1500]) + splitter.feed(bytes(1500))
    assert [type(one) for one in found] == [TooLong]
    assert len(splitter._rest) == 0


VALUES = {
    "avro": (
        lambda: SelfDelimited(AvroBoundaries(STRINGS)),
        [AvroCodec(STRINGS).encode(one) for one in (["a" * 70] * 1000, [], ["b"])],
    ),
    "avro, of itself": (
        lambda: SelfDelimited(AvroBoundaries(LINKS)),
        [AvroCodec(LINKS).encode({"v": 5, "n": {"v": 6, "n": None}}), b"\x0a" + b"\x02\x0c" * 5000 + b"\0"],
    ),
    "msgpack": (
        lambda: SelfDelimited(MsgpackBoundaries()),
        [msgpack.packb(one) for one in ([1] * 70000, b"", {"a": "b"})],
    ),
}


@pytest.mark.parametrize("case", VALUES)
def test_a_value_comes_when_its_last_byte_has_come(case):
    make, records = VALUES[case]
    splitter = make()
    for record in records * 2:
        assert [
            one
            for at in range(0, len(record) - 1, 100)
            for one in splitter.feed(record[at : min(at + 100, len(record) - 1)])
        ] == []
        assert splitter.feed(record[-1:]) == [record]


MIXED = make_schema(
    "mixed",
    {
        "type": "record",
        "name": "M",
        "fields": [
            {"name": "e", "type": {"type": "enum", "name": "E", "symbols": ["A"]}},
            {"name": "s", "type": "string"},
        ],
    },
)


def test_an_avro_value_that_is_wrong_but_has_an_end_costs_itself_only():
    good, bad = b"\x00\x02a", b"\x06\x02\xff"  # no symbol 3, no UTF-8
    splitter = SelfDelimited(AvroBoundaries(MIXED))
    assert splitter.feed(good + bad + good + bad[:2]) + splitter.feed(bad[2:] + good) == [good, bad, good, bad, good]


def _record(types):
    fields = [{"name": f"f{number}", "type": one} for number, one in enumerate(types)]
    return {"type": "record", "name": "R", "fields": fields}


def _named(schema, path="R"):
    """Each record with a name of its own."""
    if not isinstance(schema, dict):
        return schema
    if schema["type"] != "record":
        return {key: one if key == "type" else _named(one, path + "a") for key, one in schema.items()}
    fields = [{**one, "type": _named(one["type"], f"{path}{one['name']}")} for one in schema["fields"]]
    return {**schema, "name": path, "fields": fields}


schemas = st.recursive(
    st.sampled_from(["null", "boolean", "int", "long", "float", "double", "bytes", "string"]),
    lambda inner: (
        st.builds(lambda items: {"type": "array", "items": items}, inner)
        | st.builds(lambda values: {"type": "map", "values": values}, inner)
        | st.builds(_record, st.lists(inner, max_size=3))
    ),
    max_leaves=6,
)


@examples(60)
@given(st.data(), schemas, st.integers(1, 5))
def test_the_walk_ends_where_fastavro_does(data, schema, step):
    made = make_schema("any", _named(schema))
    values = [fastavro.utils.generate_one(made.parsed) for _ in range(3)]
    avro = AvroCodec(made)
    written = [avro.encode(one) for one in values]
    if not all(written):
        return
    stream, found, splitter = b"".join(written), [], SelfDelimited(AvroBoundaries(made))
    for at in range(0, len(stream), step):
        found += splitter.feed(stream[at : at + step])
    assert found + splitter.flush() == written
