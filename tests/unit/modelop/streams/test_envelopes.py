"""Records are the same however the bytes that carry them are cut."""

from __future__ import annotations

import csv
import io

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_scorer.codec.avro import AvroCodec
from stream_scorer.codec.csv_dialect import Dialect
from stream_scorer.codec.schema import make_schema
from stream_scorer.modelop.streams.avro_boundaries import AvroBoundaries
from stream_scorer.modelop.streams.csv_lines import CsvLines
from stream_scorer.modelop.streams.envelopes import (
    Delimited,
    DelimitedFramer,
    Fixed,
    FixedFramer,
    MsgpackBoundaries,
    Pieces,
    SelfDelimited,
    Whole,
)


@st.composite
def cuts(draw, data):
    """The same bytes in pieces."""
    places = sorted(draw(st.lists(st.integers(0, len(data)), max_size=8)))
    return [data[start:end] for start, end in zip([0, *places], [*places, len(data)], strict=True)]


def split(splitter, pieces):
    return [record for piece in pieces for record in splitter.feed(piece)] + splitter.flush()


letters = st.binary(max_size=6).map(lambda data: bytes(b"ab\r\n|;"[byte % 6] for byte in data))


@given(st.data(), st.sampled_from([b"\n", b"\r\n", b"||", b"|;|"]), st.booleans())
def test_delimited(data, separator, blank):
    text = data.draw(st.lists(letters, max_size=8).map(b"".join))
    *records, last = text.split(separator)
    expected = [*records, *([last] if last else [])] if blank else [one for one in (*records, last) if one.strip()]
    assert split(Delimited(separator, blank=blank), data.draw(cuts(text))) == expected


def test_an_empty_last_record_is_none_and_others_are_where_the_encoding_has_them():
    assert split(Delimited(b"\n", blank=True), [b"a\n\nb\n"]) == [b"a", b"", b"b"]
    assert split(Delimited(b"\n", blank=False), [b"a\n\r\n\nb"]) == [b"a", b"b"]


@given(st.data(), st.lists(st.binary(min_size=1, max_size=9), max_size=5), st.integers(1, 5), st.booleans())
def test_fixed(data, records, size, padded):
    pieces = data.draw(cuts(FixedFramer(size).frame(records)))
    framed = [one[:size].ljust(size, b"\0") for one in records]
    assert split(Fixed(size, padded=padded), pieces) == [one.rstrip(b"\0") if padded else one for one in framed]


def test_what_is_too_short_at_the_end_of_fixed_is_a_record_too():
    assert split(Fixed(4, padded=False), [b"abcdef"]) == [b"abcd", b"ef"]


fields = st.lists(st.text(st.sampled_from('a,"\r\n;\u00e9'), max_size=5), min_size=1, max_size=3)


@given(st.data(), st.lists(fields, max_size=4), st.sampled_from(["\r\n", "\n", ";"]), st.booleans())
def test_csv(data, rows, separator, header):
    dialect = Dialect(separator=separator)
    written = [dialect.write(row).encode() for row in rows]
    pieces = data.draw(cuts(b"".join(line + separator.encode() for line in written)))
    lines = CsvLines(dialect, header=header, skip_blank=True)
    found = split(lines, pieces)
    expected = [line for line in written if line.strip()]
    if header:
        assert lines.header == b"".join(expected[:1])
        expected = expected[1:]
    assert found == expected
    assert [[field for field, _ in dialect.parse(line.decode())] for line in found] == [
        row for row, line in zip(rows, written, strict=True) if line.strip()
    ][bool(header) :]


@given(st.data(), st.lists(fields, min_size=1, max_size=4))
def test_a_file_of_pythons_csv_is_split_into_its_records(data, rows):
    out = io.StringIO()
    csv.writer(out).writerows(rows)
    found = split(CsvLines(Dialect(), header=False, skip_blank=False), data.draw(cuts(out.getvalue().encode())))
    assert [[field for field, _ in Dialect().parse(line.decode())] for line in found] == rows


def test_blank_lines_of_csv_are_skipped_or_kept():
    def lines(skip):
        return split(CsvLines(Dialect(separator="\n"), header=True, skip_blank=skip), [b"\xef\xbb\xbfa,b\n\n1,2\n\n"])

    assert lines(True) == [b"1,2"]
    assert lines(False) == [b"", b"1,2", b""]


values = st.recursive(
    st.none() | st.integers(-(2**31), 2**31) | st.text(max_size=5) | st.binary(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


@given(st.data(), st.lists(values, max_size=5))
def test_msgpack_values_tell_where_they_end(data, records):
    packed = [msgpack.packb(one) for one in records]
    assert split(SelfDelimited(MsgpackBoundaries()), data.draw(cuts(b"".join(packed)))) == packed


ROW = {
    "type": "record",
    "name": "Row",
    "fields": [{"name": "id", "type": "long"}, {"name": "note", "type": ["null", "string"]}],
}
rows = st.fixed_dictionaries({"id": st.integers(-(2**63), 2**63 - 1), "note": st.none() | st.text(max_size=80)})


@given(st.data(), st.lists(rows, max_size=5))
def test_avro_values_tell_where_they_end_and_control_records_between_them_too(data, records):
    avro = AvroCodec(make_schema("row", ROW))
    written = [avro.encode(one) for one in records]
    written.insert(len(written) // 2, b"\x1c$fastscore.pig\x02\x04\x06abc")
    assert split(SelfDelimited(AvroBoundaries(make_schema("row", ROW))), data.draw(cuts(b"".join(written)))) == written


@pytest.mark.parametrize("ends", [MsgpackBoundaries(), AvroBoundaries(make_schema("s", ["int", "long"]))])
def test_what_cannot_be_read_is_one_bad_record_and_no_end_of_the_world(ends):
    splitter = SelfDelimited(ends)
    assert splitter.feed(b"\0\0\xc1rest")[-1] == b"\xc1rest"
    assert splitter.feed(b"\0\0")[-1][-1:] == b"\0"


def test_a_value_cut_short_comes_out_at_the_end():
    assert split(SelfDelimited(MsgpackBoundaries()), [b"\x01\x92\x01"]) == [b"\x01", b"\x92\x01"]


def test_without_an_envelope_all_is_one_record_or_each_piece_is():
    assert split(Whole(), [b"a\n", b"b"]) == [b"a\nb"]
    assert split(Whole(), []) == []
    assert split(Pieces(), [b"a\n", b"", b"b"]) == [b"a\n", b"b"]


def test_a_header_is_written_once():
    framer = DelimitedFramer(b"\r\n", b"a,b")
    assert framer.frame([b"1,2"]) + framer.frame([b"3,4"]) == b"a,b\r\n1,2\r\n3,4\r\n"
