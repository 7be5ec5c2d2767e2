"""Descriptors with every default said, and the answers to a dry run."""

from __future__ import annotations

import json
import math

import pytest

from stream_scorer.errors import DescriptorError
from stream_scorer.modelop.streams.codec_spec import CodecSpec
from stream_scorer.modelop.streams.descriptor import parse
from stream_scorer.modelop.streams.descriptor_parts import Batching
from stream_scorer.modelop.streams.transport_kinds import KINDS

NORMAL = {"watermark": 1000, "nagle_time": 500}


def test_a_dry_run_is_answered_as_the_guide_shows(stream):
    assert stream({"Type": "inline", "Data": ["1", "2", "3"]}, Encoding="json").interpreted() == {
        "transport": {"type": "inline", "data": ["1", "2", "3"]},
        "schema": "undefined",
        "loop": False,
        "linger_time": 3000,
        "encoding": "json",
        "batching": NORMAL,
    }
    assert stream("REST", Schema=None).interpreted() == {
        "transport": {"type": "rest", "mode": "simple"},
        "loop": False,
        "linger_time": 3000,
        "encoding": None,
        "batching": NORMAL,
    }


INTERPRETED = {
    "a file": (
        {"Transport": {"Type": "File", "Path": "/x"}, "Encoding": "JSON", "Schema": "int", "SkipTo": 5},
        {
            "transport": {"type": "file", "path": "/x"},
            "encoding": "json",
            "envelope": {"type": "delimited", "separator": "\n"},
            "schema": "int",
            "skip_to": 5,
        },
    ),
    "Kafka": (
        {
            "Transport": {"Type": "kafka", "BootstrapServers": ["127.0.0.1:9092"], "Topic": "t", "MaxWaitTime": 500},
            "Schema": None,
        },
        {
            "transport": {
                "type": "kafka",
                "bootstrap_servers": ["127.0.0.1:9092"],
                "topic": "t",
                "commit_offset": True,
                "partition": 0,
                "max_wait_time": 500,
            },
            "encoding": None,
            "skip_to_record": "latest",
        },
    ),
    "csv": (
        {
            "Transport": {"Type": "file", "Path": "/x"},
            "Encoding": {"Type": "csv", "QuoteCharacter": "'"},
            "Batching": "explicit",
            "LingerTime": None,
        },
        {
            "transport": {"type": "file", "path": "/x"},
            "encoding": {"type": "csv", "quote_character": "'"},
            "envelope": {"type": "delimited-csv", "separator": "\r\n", "skip_header": True, "skip_blank_lines": True},
            "schema": "undefined",
            "batching": {"watermark": None, "nagle_time": None},
            "linger_time": None,
        },
    ),
    "a reference": (
        {"Transport": "REST", "Encoding": "json", "Schema": {"$ref": "score"}, "Batching": None},
        {
            "transport": {"type": "rest", "mode": "simple"},
            "encoding": "json",
            "schema": {"type": "double"},
            "batching": {"watermark": 1, "nagle_time": None},
        },
    ),
    "time": (
        {"Transport": "time"},
        {
            "transport": {"type": "time", "delay": 0.0, "period": 1.0, "overflow": "all"},
            "encoding": "bert",
            "schema": {"type": "long", "logicalType": "timestamp-millis"},
            "batching": {"watermark": 1, "nagle_time": None},
        },
    ),
    "S3": (
        {"Transport": {"Type": "S3", "Bucket": "abc", "ObjectKey": "k", "AccessKeyID": "secret://id"}, "Schema": None},
        {
            "transport": {
                "type": "s3",
                "region": "us-east-1",
                "bucket": "abc",
                "object_key": "k",
                "integrity_checks": False,
                "access_key_id": "secret://id",
            },
            "encoding": None,
            "envelope": {"type": "delimited", "separator": "\n"},
        },
    ),
}


@pytest.mark.parametrize("case", INTERPRETED)
def test_defaults_are_filled_in(case):
    raw, answer = INTERPRETED[case]
    defaults = {"loop": False, "linger_time": 3000, "batching": NORMAL}
    found = parse(raw, slot=0, find_schema={"score": {"type": "double"}}.__getitem__)
    assert found.interpreted() == defaults | answer


@pytest.mark.parametrize(
    ("given", "batching"),
    [
        ("normal", Batching(1000, 500)),
        ("explicit", Batching(None, None)),
        (None, Batching(1, None)),
        ({"Watermark": None, "NagleTime": 0}, Batching(None, 0)),
        ({"Watermark": 10, "NagleTime": None}, Batching(10, None)),
        ({"Watermark": 10}, Batching(10, 500)),
    ],
)
def test_batching(stream, given, batching):
    assert stream("REST", Batching=given).batching == batching


@pytest.mark.parametrize(
    ("transport", "encoding", "envelope"),
    [
        ("REST", "json", None),
        ({"Type": "REST", "Mode": "chunked"}, "json", "delimited"),
        ({"Type": "HTTP", "Url": "http://h/"}, "utf8", "delimited"),
        ({"Type": "HTTP", "Url": "http://h/", "Chunked": True}, "json", None),
        ({"Type": "TCP", "Host": "h", "Port": 1}, None, "delimited"),
        ({"Type": "TCP", "Host": "h", "Port": 1}, "msgpack", None),
        ({"Type": "exec", "Run": "/x"}, "csv", "delimited-csv"),
        ({"Type": "inline", "Data": "1\n2"}, "json", "delimited"),
        ({"Type": "inline", "Data": ["1", "2"]}, "json", None),
        ({"Type": "debug", "DataBinary": "AQI="}, "msgpack", None),
        ({"Type": "UDP", "Port": 1}, "json", None),
        ({"Type": "kafka", "BootstrapServers": ["h:1"], "Topic": "t"}, "json", None),
    ],
)
def test_the_envelope_that_stands_for_none(stream, transport, encoding, envelope):
    found = stream(transport, Encoding=encoding).envelope
    assert (found and found.type) == envelope


def test_udp_takes_each_name_that_its_address_goes_by(stream):
    for name in ("BindTo", "Bind", "Host"):
        assert stream({"Type": "UDP", name: "127.0.0.1", "Port": 9}).transport.fields["BindTo"] == "127.0.0.1"


def test_a_looping_kafka_stream_begins_at_its_beginning(stream):
    kafka = {"Type": "kafka", "BootstrapServers": ["h:1"], "Topic": "t"}
    assert stream(kafka, Loop=True).skip_to_record == "earliest"
    assert stream(kafka, SkipToRecord=7).skip_to_record == 7


def test_csv_in_delimited_lines_has_no_header(stream):
    found = stream({"Type": "file", "Path": "/x"}, Encoding="csv", Envelope="delimited", Schema={"$ref": "prices"})
    assert found.envelope.type == "delimited-csv"
    assert found.envelope.fields["Separator"] == "\n"
    assert not found.envelope.header


# Schemas


def test_the_models_schema_is_inherited(stream):
    found = stream("REST", Encoding="json", inherited=("score", {"type": "double"}))
    assert (found.spec.schema_name, found.spec.schema, found.spec.model_schema) == ("score", {"type": "double"}, None)
    assert found.interpreted()["schema"] == "undefined"


def test_without_a_typed_model_an_inherited_schema_is_none(stream):
    assert stream("REST", Encoding="json").spec.schema is None


def test_schema_null_leaves_the_models_own_check(stream):
    spec = stream("REST", Encoding="json", Schema=None, inherited=("score", "int")).spec
    assert (spec.schema, spec.model_schema) == (None, "int")


def test_a_stream_narrower_than_the_model_is_checked_by_both(stream):
    spec = stream("REST", Encoding="json", Schema="int", inherited=("score", {"type": "double"})).spec
    assert (spec.schema, spec.model_schema_name, spec.model_schema) == ("int", "score", {"type": "double"})


@pytest.mark.parametrize(
    ("slot", "own", "model", "fits"),
    [(0, "int", "double", True), (0, "double", "int", False), (1, "double", "int", True), (1, "int", "double", False)],
)
def test_data_go_from_the_writer_to_the_reader(stream, slot, own, model, fits):
    if fits:
        stream("REST", slot, Encoding="json", Schema=own, inherited=("m", model))
        return
    with pytest.raises(DescriptorError, match=r"schema mismatch: .*is asked for"):
        stream("REST", slot, Encoding="json", Schema=own, inherited=("m", model))


def test_references_are_followed_at_any_depth(stream):
    found = stream("REST", Encoding="json", Schema={"type": "array", "items": {"$ref": "prices"}})
    assert found.spec.schema["items"]["name"] == "Price"
    assert stream("REST", Encoding="json", Schema="score").spec.schema == {"type": "double"}


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        ({"$ref": "gone"}, "'gone' cannot be had"),
        ({"$ref": 3}, "needs the name of a schema"),
        ({"$ref": "loop-a"}, "refers to itself"),
        ("gone", "'gone' cannot be had"),
        ({"type": "foobar"}, 'Type "foobar" is undefined'),
    ],
)
def test_a_schema_that_is_none_is_told(stream, schema, text):
    with pytest.raises(DescriptorError, match=text):
        stream("REST", Encoding="json", Schema=schema)


def test_a_spec_goes_through_json(stream):
    spec = stream({"Type": "file", "Path": "/x"}, Encoding="csv").spec
    for one in (spec, CodecSpec("json", {"Strict": True}, "s", ["null", "int"], "m", "int")):
        assert CodecSpec.from_json(json.loads(json.dumps(one.to_json()))) == one


# What is wrong in itself

WRONG = {
    "no object": (3, "expected a JSON object"),
    "no transport": ({}, "Transport: is missing"),
    "an unknown transport": ({"Transport": "carrier-pigeon"}, "unknown Type 'carrier-pigeon'"),
    "HDFS": ({"Transport": {"Type": "HDFS", "NameNode": "n", "Path": "/"}}, "HDFS is not supported"),
    "ODBC": ({"Transport": {"Type": "ODBC", "ConnectionString": "x"}}, "ODBC is not supported"),
    "console": ({"Transport": "console"}, "console is not supported"),
    "kafka-offset": ({"Transport": {"Type": "kafka-offset"}}, "kafka-offset is not supported"),
    "Kafka without servers": ({"Transport": {"Type": "kafka", "Topic": "t"}}, "kafka needs BootstrapServers"),
    "servers": ({"Transport": {"Type": "kafka", "Topic": "t", "BootstrapServers": ["h"]}}, "BootstrapServers of kafka"),
    "a mode": ({"Transport": {"Type": "REST", "Mode": "x"}}, "expected simple or chunked"),
    "a port": ({"Transport": {"Type": "TCP", "Host": "h", "Port": "80"}}, "Port of TCP: expected a whole number"),
    "a URL": ({"Transport": {"Type": "HTTP", "Url": "ftp://x"}}, "expected a URL"),
    "inline without data": ({"Transport": {"Type": "inline"}}, "one of Data and DataBinary"),
    "inline with both": ({"Transport": {"Type": "inline", "Data": "", "DataBinary": ""}}, "one of Data and DataBinary"),
    "base64": ({"Transport": {"Type": "inline", "DataBinary": "%"}}, "expected base64"),
    "a bucket": ({"Transport": {"Type": "S3", "Bucket": "ab", "ObjectKey": "k"}}, "expected 3 to 63 characters"),
    "a time": ({"Transport": {"Type": "time", "TimeZero": "noon"}}, "expected a time"),
    "an encoding": ({"Transport": "REST", "Encoding": "xml"}, "Encoding: expected null or one of"),
    "an option": ({"Transport": "REST", "Encoding": {"Type": "csv", "Quote": "'"}}, "csv has no option 'Quote'"),
    "a quote": ({"Transport": "REST", "Encoding": {"Type": "csv", "QuoteCharacter": "''"}}, "one character"),
    "a delimiter": ({"Transport": "REST", "Encoding": {"Type": "csv", "Delimiter": ""}}, "Delimiter"),
    "an envelope": ({"Transport": "REST", "Envelope": "paper"}, "Envelope: expected null or one of"),
    "fixed without a size": ({"Transport": {"Type": "file", "Path": "/x"}, "Envelope": "fixed"}, "Size of fixed"),
    "a separator": (
        {"Transport": {"Type": "file", "Path": "/x"}, "Envelope": {"Type": "delimited", "Separator": ""}},
        "Separator",
    ),
    "a marker": (
        {"Transport": {"Type": "file", "Path": "/x"}, "Envelope": {"Type": "ocf-block", "SyncMarker": "AAAA"}},
        "16 bytes in base64",
    ),
    "no marker, no header": (
        {"Transport": {"Type": "file", "Path": "/x"}, "Envelope": {"Type": "ocf-block", "SkipHeader": False}},
        "needs a SyncMarker",
    ),
    "a compression": (
        {"Transport": {"Type": "file", "Path": "/x"}, "Envelope": {"Type": "ocf-block", "Compress": "snappy"}},
        'null or "deflate"',
    ),
    "batching": ({"Transport": "REST", "Batching": "often"}, "Batching: expected"),
    "a watermark": ({"Transport": "REST", "Batching": {"Watermark": 0}}, "Batching: Watermark"),
    "a Nagle time": ({"Transport": "REST", "Batching": {"NagleTime": -1}}, "Batching: NagleTime"),
    "linger": ({"Transport": "REST", "LingerTime": "3 s"}, "LingerTime"),
    "loop": ({"Transport": "REST", "Loop": "yes"}, "Loop: expected true or false"),
    "skip": ({"Transport": {"Type": "file", "Path": "/x"}, "SkipTo": -1}, "SkipTo"),
    "a place": ({"Transport": {"Type": "file", "Path": "/x"}, "SkipToRecord": "middle"}, "SkipToRecord"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_told_in_one_line(case):
    raw, text = WRONG[case]
    with pytest.raises(DescriptorError) as caught:
        parse(raw, slot=0, name="mine", find_schema={}.__getitem__)
    assert text in str(caught.value)
    assert str(caught.value).startswith("stream 'mine' at slot 0: ")
    assert "\n" not in str(caught.value)


def _deep(levels, key=None):
    value = "x"
    for _ in range(levels):
        value = [value] if key is None else {key: value}
    return value


ODD = [
    *(None, True, False, 0, -1, 2**70, 10**400, 1.5, math.nan, math.inf, 1e308, "", "\0", "\ud800", "x" * 100_000),
    *([], {}, [[]], [None], {"": None}, {"Type": []}, {"Type": {}}, {"type": {"type": []}, "fields": []}),
    *({"$ref": 1}, {"$ref": "x" * 100_000}, _deep(900), _deep(900, "Type"), _deep(900, "type"), _deep(100_000)),
]
FIELDS = [
    *(
        "Transport",
        "Encoding",
        "Envelope",
        "Schema",
        "Batching",
        "Loop",
        "SkipTo",
        "SkipToRecord",
        "LingerTime",
        "EndMarker",
    ),
    *(f"Transport.{kind}.{field}" for kind, (fields, *_) in KINDS.items() for field in (*fields, "Type")),
    *("Encoding.csv.Delimiter", "Encoding.csv.QuoteCharacter", "Encoding.json.Strict", "Encoding.json.Unions"),
    *("Encoding.json.Type", "Envelope.fixed.Size", "Envelope.ocf-block.SyncMarker", "Envelope.ocf-block.Compress"),
    *(
        "Envelope.delimited.Separator",
        "Envelope.delimited-csv.SkipHeader",
        "Batching.x.Watermark",
        "Batching.x.NagleTime",
    ),
]


@pytest.mark.parametrize("field", FIELDS)
def test_any_value_at_any_field_is_taken_or_told_in_one_short_line(field, stream):
    for odd in ODD:
        more = {"Encoding": "json", "Schema": None}
        transport = "REST"
        match field.split("."):
            case ["Transport", kind, name]:
                transport = {"Type": kind, name: odd}
            case ["Transport"]:
                transport = odd
            case [part, kind, name]:
                more[part] = {"Type": kind, name: odd}
            case [part]:
                more[part] = odd
        told = ""
        try:
            json.dumps(stream(transport, **more).interpreted())
        except DescriptorError as error:
            told = str(error)
        assert len(told) < 1000
        assert "\n" not in told


@pytest.mark.parametrize("separator", ["\0", "\ud800", "é", ""])
def test_a_separator_is_text_that_can_be_written(separator, stream):
    more = {"Encoding": "json", "Envelope": {"Type": "delimited", "Separator": separator}, "Schema": None}
    file = {"Type": "file", "Path": "/x"}
    if separator in ("\0", "é"):
        assert stream(file, **more).envelope.fields["Separator"] == separator
    else:
        with pytest.raises(DescriptorError, match="Envelope: Separator: expected a string"):
            stream(file, **more)


def test_references_that_double_are_refused():
    """Thirty schemas, each of twice the one before, are a thousand million types."""
    library = {
        f"s{n}": {"type": "array", "items": {"$ref": f"s{n - 1}"}, "x": {"$ref": f"s{n - 1}"}} for n in range(1, 31)
    }
    library["s0"] = "int"
    raw = {"Transport": "REST", "Encoding": "json", "Schema": {"$ref": "s30"}}
    with pytest.raises(DescriptorError, match="more than 100,000 parts"):
        parse(raw, slot=0, find_schema=library.__getitem__)


def test_a_schema_that_is_taken_is_one_for_the_process_of_the_model(stream):
    found = stream("REST", Encoding="json", Schema={"type": {"type": ["null", "int"]}})
    assert found.spec.make().decode(b"7") == 7
