"""Written by an output stream and read by an input stream of the same descriptor: the same values."""

from __future__ import annotations

import pytest

from stream_scorer.modelop.streams.opening import open_inlet, open_outlet
from stream_scorer.records import Control

ROW = {
    "type": "record",
    "name": "Row",
    "fields": [
        {"name": "id", "type": "long"},
        {"name": "note", "type": ["null", "string"]},
        {"name": "x", "type": "double"},
    ],
}
ROWS = [
    {"id": 1, "note": "a,\"b\r\n'c", "x": 0.1},
    {"id": -(2**62), "note": None, "x": 1e300},
    {"id": 3, "note": "", "x": -0.0},
]
NUMBERS = [1, 2.5, -3e-7]

CASES = {
    "json lines": ({"Encoding": "json"}, ROW, ROWS),
    "json, untyped": ({"Encoding": "json", "Schema": None}, None, [{"a": [1, None]}, "x", 3, [], {}]),
    "json, a separator of several bytes": (
        {"Encoding": "json", "Envelope": {"Type": "delimited", "Separator": "\r\n--\r\n"}},
        "double",
        NUMBERS,
    ),
    "json, fixed": ({"Encoding": "json", "Envelope": {"Type": "fixed", "Size": 20}}, "double", NUMBERS),
    "utf-8": ({"Encoding": "utf-8"}, "string", ["a", "", "\u798f", "b"]),
    "null, fixed": ({"Envelope": {"Type": "fixed", "Size": 3}}, "bytes", [b"abc", b"\n\0\n"]),
    "msgpack": ({"Encoding": "msgpack"}, ROW, ROWS),
    "avro-binary": ({"Encoding": "avro-binary"}, ROW, ROWS),
    "avro-binary, fixed": (
        {"Encoding": "avro-binary", "Envelope": {"Type": "fixed", "Size": 8}},
        "double",
        [1.0, 2.5, -3e-7],
    ),
    "ocf-block": ({"Encoding": "avro-binary", "Envelope": "ocf-block"}, ROW, ROWS),
    "ocf-block, deflated": (
        {"Encoding": "avro-binary", "Envelope": {"Type": "ocf-block", "Compress": "deflate"}},
        ROW,
        ROWS,
    ),
    "csv": ({"Encoding": "csv"}, ROW, ROWS),
    "csv, all of its own": (
        {
            "Encoding": {"Type": "csv", "QuoteCharacter": "'", "Delimiter": "||"},
            "Envelope": {"Type": "delimited-csv", "Separator": ";", "SkipHeader": False},
        },
        ROW,
        ROWS,
    ),
    "csv, lines": ({"Encoding": "csv", "Envelope": "delimited"}, ROW, ROWS),
}


def untagged(value):
    """JSON gives back what was written: tagged unions."""
    if isinstance(value, dict) and isinstance(value.get("note"), dict):
        return {**value, "note": value["note"]["string"]}
    return value


def expected(case, rows):
    """In CSV nothing is null where null may be."""
    if not case.startswith("csv"):
        return rows
    return [{**row, "note": row["note"] or None} for row in rows]


@pytest.mark.parametrize("case", CASES)
def test_there_and_back(case, stream, tmp_path):
    more, schema, values = CASES[case]
    transport = {"Type": "file", "Path": str(tmp_path / "data")}
    inherited = None if schema is None else ("s", schema)
    output, source = (stream(transport, slot, inherited=inherited, **more) for slot in (1, 0))
    codec = output.spec.make()
    outlet = open_outlet(output)
    outlet.write([codec.encode(value) for value in values[:1]])
    pig = codec.write_control(Control("pig", 7))
    if pig is not None and (output.envelope is None or output.envelope.type not in ("fixed", "ocf-block")):
        outlet.write([pig])
    outlet.write([codec.encode(value) for value in values[1:]])
    outlet.finish()
    outlet.close()

    decode = source.spec.make().decode
    inlet = open_inlet(source)
    found, ends = [], []
    while (batch := inlet.next(1)) is not None:
        found += [untagged(decode(record)) for record in batch.records]
        ends.append(batch.closed_by)
    inlet.close()
    assert found == expected(case, values)
    assert [type(value) for value in found] == [type(value) for value in values]
    assert ends[-1] == "end"


def test_a_csv_output_without_a_record_has_its_header(stream, tmp_path):
    outlet = open_outlet(stream({"Type": "file", "Path": str(tmp_path / "x")}, 1, Encoding="csv", inherited=("s", ROW)))
    outlet.finish()
    outlet.close()
    assert (tmp_path / "x").read_bytes() == b"id,note,x\r\n"
