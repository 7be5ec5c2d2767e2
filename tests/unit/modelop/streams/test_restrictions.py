"""What does not go together is refused, in one line; what goes, goes."""

from __future__ import annotations

import pytest

from stream_scorer.errors import DescriptorError

FILE = {"Type": "file", "Path": "/x"}
KAFKA = {"Type": "Kafka", "BootstrapServers": ["h:9092"], "Topic": "t"}
HTTP = {"Type": "HTTP", "Url": "http://h/"}
CHUNKS = {**HTTP, "Chunked": True}
ARRAY = {"Type": "inline", "Data": ["1"]}
TEXT = {"Type": "inline", "Data": "1\n2"}
BINARY = {"Type": "inline", "DataBinary": ["MQ=="]}
TCP = {"Type": "TCP", "Host": "h", "Port": 1}
UDP = {"Type": "UDP", "Port": 1}
EXEC = {"Type": "exec", "Run": "/x"}
PIECES = {"Type": "REST", "Mode": "chunked"}
RECORD = {"type": "record", "name": "R", "fields": [{"name": "a", "type": "int"}]}

REFUSED = [
    # Looping requires the transport to be seekable.
    ("REST", {"Loop": True}, "Loop"),
    (TCP, {"Loop": True}, "Loop"),
    (UDP, {"Loop": True}, "Loop"),
    (EXEC, {"Loop": True}, "Loop"),
    ("time", {"Loop": True}, "Loop"),
    # A transport that keeps boundaries has no framing.
    (KAFKA, {"Envelope": "delimited", "Encoding": "json"}, "Envelope"),
    (KAFKA, {"Envelope": {"Type": "fixed", "Size": 4}}, "Envelope"),
    (UDP, {"Envelope": "delimited", "Encoding": "json"}, "Envelope"),
    (CHUNKS, {"Envelope": "delimited", "Encoding": "json"}, "Envelope"),
    (ARRAY, {"Envelope": "delimited", "Encoding": "json"}, "Envelope"),
    ("REST", {"Envelope": {"Type": "fixed", "Size": 4}}, "Envelope"),
    ("REST", {"Envelope": "delimited-csv", "Encoding": "csv"}, "Envelope"),
    ("time", {"Envelope": "delimited"}, "Envelope"),
    # avro-binary requires a schema.
    ("REST", {"Encoding": "avro-binary"}, "avro-binary needs a schema"),
    ("REST", {"Encoding": "avro-binary", "Schema": None}, "avro-binary needs a schema"),
    # msgpack and avro-binary cannot be delimited.
    (FILE, {"Encoding": "msgpack", "Envelope": "delimited"}, "msgpack cannot be delimited"),
    (FILE, {"Encoding": "avro-binary", "Schema": "int", "Envelope": "delimited"}, "avro-binary cannot be delimited"),
    # ocf-block requires avro-binary.
    (FILE, {"Encoding": "json", "Envelope": "ocf-block"}, "ocf-block"),
    (FILE, {"Encoding": "msgpack", "Envelope": "ocf-block"}, "ocf-block"),
    # null goes with bytes, utf-8 with string.
    ("REST", {"Schema": "int"}, "null means bytes"),
    ("REST", {"Schema": "string"}, "null means bytes"),
    ("REST", {"Encoding": "utf-8", "Schema": "bytes"}, "utf-8 means a string"),
    ("REST", {"Encoding": "utf-8", "Schema": RECORD}, "utf-8 means a string"),
    # SkipTo: seekable, without boundaries. SkipToRecord: seekable, with boundaries.
    (KAFKA, {"SkipTo": 1}, "SkipTo:"),
    (ARRAY, {"SkipTo": 1}, "SkipTo:"),
    (CHUNKS, {"SkipTo": 1}, "SkipTo:"),
    ("REST", {"SkipTo": 1}, "SkipTo:"),
    (TCP, {"SkipTo": 1}, "SkipTo:"),
    (FILE, {"SkipToRecord": 1}, "SkipToRecord:"),
    (TEXT, {"SkipToRecord": 1}, "SkipToRecord:"),
    (HTTP, {"SkipToRecord": "earliest"}, "SkipToRecord:"),
    ("REST", {"SkipToRecord": 1}, "SkipToRecord:"),
    (UDP, {"SkipToRecord": 1}, "SkipToRecord:"),
    (KAFKA, {"SkipToRecord": None}, "may not be null for Kafka"),
    # soap-rpc, bert.
    ("REST", {"Encoding": "soap-rpc", "Schema": "int"}, "soap-rpc .* can have no schema"),
    ("REST", {"Encoding": "soap-rpc"}, "soap-rpc"),
    ("REST", {"Encoding": "bert"}, "bert is for time streams"),
    # delimited-csv requires csv; csv a record or, on input, none.
    (FILE, {"Encoding": "json", "Envelope": "delimited-csv"}, "delimited-csv goes with Encoding csv"),
    (FILE, {"Encoding": "csv", "Schema": "int"}, "csv needs a schema of a record"),
    (FILE, {"Encoding": "csv", "Schema": ["null", RECORD]}, "csv needs a schema of a record"),
    (FILE, {"Encoding": "csv", "Envelope": {"Type": "delimited-csv", "SkipHeader": False}}, "csv without a header"),
    (FILE, {"Encoding": "csv", "Envelope": "delimited"}, "csv without a header"),
    (KAFKA, {"Encoding": "csv"}, "csv without a header"),
    ("REST", {"Encoding": "csv"}, "csv without a header"),
    (FILE, {"Encoding": "csv", "Envelope": {"Type": "delimited-csv", "Separator": '"'}}, "may not hold the quote"),
    # Time streams.
    ("time", {"Encoding": "json"}, "time stream has none but bert"),
    ("time", {"Batching": "normal"}, "cannot have batches"),
    ("time", {"Schema": "int"}, "a time stream has long"),
    # Directions.
    ("discard", {}, "discard cannot be an input"),
]
REFUSED_OUT = [
    (FILE, {"Encoding": "csv"}, "csv on output needs a schema"),
    (ARRAY, {"Encoding": "json"}, "inline cannot be an output"),
    (UDP, {"Encoding": "json"}, "udp cannot be an output"),
    ("time", {}, "time cannot be an output"),
]
TAKEN = [
    (KAFKA, {"Loop": True}),
    (HTTP, {"Loop": True, "SkipTo": 3}),
    (FILE, {"Loop": True, "SkipTo": 3}),
    (TEXT, {"Loop": True, "SkipTo": 3}),
    (ARRAY, {"Loop": True, "SkipToRecord": 1}),
    (KAFKA, {"SkipToRecord": "earliest"}),
    (KAFKA, {"Envelope": None, "Encoding": None, "Schema": None}),
    ("REST", {"Envelope": "delimited", "Encoding": "JSON", "Schema": None}),
    (BINARY, {"Envelope": "delimited", "Encoding": None, "Schema": None}),
    (PIECES, {"Encoding": "json"}),
    (FILE, {"Encoding": "avro-binary", "Schema": RECORD, "Envelope": "ocf-block"}),
    (FILE, {"Encoding": "avro-binary", "Schema": RECORD, "Envelope": {"Type": "fixed", "Size": 9}}),
    (FILE, {"Encoding": "msgpack"}),
    ("REST", {"Schema": "bytes"}),
    ("REST", {"Encoding": "utf8", "Schema": {"type": "string"}}),
    (FILE, {"Encoding": "csv"}),
    (FILE, {"Encoding": "csv", "Schema": RECORD, "Envelope": "delimited"}),
    (KAFKA, {"Encoding": "csv", "Schema": RECORD}),
    ("time", {"Batching": None, "Encoding": "bert", "Envelope": None}),
    ({"Type": "Time", "Period": 2.0}, {"Schema": {"Type": "long", "logicalType": "timestamp-millis"}}),
    ("time", {"Schema": "double"}),
    ("Rest", {"Description": "d", "Version": "1.2", "Encoding": "json"}),
]


@pytest.mark.parametrize(("transport", "more", "text"), REFUSED)
def test_refused(stream, transport, more, text):
    with pytest.raises(DescriptorError, match=text) as caught:
        stream(transport, **more)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("transport", "more", "text"), REFUSED_OUT)
def test_refused_at_an_output_and_not_in_a_dry_run(stream, transport, more, text):
    with pytest.raises(DescriptorError, match=text):
        stream(transport, 1, **more)
    stream(transport, 1, dry_run=True, **more)


@pytest.mark.parametrize(("transport", "more"), TAKEN)
def test_taken(stream, transport, more):
    stream(transport, **more)


def test_a_dry_run_of_an_input_at_an_output_is_not_matched_with_that_slot(stream):
    stream(ARRAY, 1, dry_run=True, Encoding="json", Schema="string", inherited=("out", "double"))


@pytest.mark.parametrize("encoding", ["json", None, "utf-8", "csv", "msgpack", "avro-binary", "soap-rpc", "bert"])
@pytest.mark.parametrize("inherited", [None, ("score", {"type": "double"}), ("r", RECORD)])
def test_discard_takes_any_encoding_and_none(stream, encoding, inherited):
    found = stream("discard", 1, Encoding=encoding, inherited=inherited)
    codec = found.spec.make()
    if encoding != "utf-8":
        codec.encode({"a": 1} if inherited and inherited[0] == "r" else 2.5)
