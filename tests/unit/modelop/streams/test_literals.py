"""Streams written as one word."""

from __future__ import annotations

import pytest

from stream_scorer.errors import DescriptorError
from stream_scorer.modelop.streams.literals import expand, is_literal

EXPANDED = {
    "inline:1,2,3": ({"Type": "inline", "Data": ["1", "2", "3"]}, "json"),
    "inline:%31%2c,2": ({"Type": "inline", "DataBinary": ["MSw=", "Mg=="]}, "json"),
    "inline-chunked:%06%02%04%06": ({"Type": "inline", "DataBinary": "BgIEBg=="}, "json"),
    "inline-chunked:1": ({"Type": "inline", "Data": "1"}, "json"),
    "rest:": ("REST", "json"),
    "rest-chunked:": ({"Type": "REST", "Mode": "chunked"}, "json"),
    "discard:": ("discard", "json"),
    "kafka:k-1.company.com:9092/topic.json": (
        {"Type": "Kafka", "BootstrapServers": ["k-1.company.com:9092"], "Topic": "topic"},
        "json",
    ),
    "kafka:broker/my.topic.avro": (
        {"Type": "Kafka", "BootstrapServers": ["broker:9092"], "Topic": "my.topic"},
        "avro-binary",
    ),
    "file:/vol/data/data1.dat": ({"Type": "file", "Path": "/vol/data/data1.dat"}, "json"),
    "file:/x.utf8": ({"Type": "file", "Path": "/x.utf8"}, "utf-8"),
    "file:/x.bin": ({"Type": "file", "Path": "/x.bin"}, None),
    "tcp:1.2.3.4:5678": ({"Type": "TCP", "Host": "1.2.3.4", "Port": 5678}, "json"),
    "udp::9099": ({"Type": "UDP", "Port": 9099}, "json"),
    "udp:10.0.0.1:124": ({"Type": "UDP", "Port": 124, "Host": "10.0.0.1"}, "json"),
    "https://dev.company.com:1234/data1.json": (
        {"Type": "HTTP", "Url": "https://dev.company.com:1234/data1.json"},
        "json",
    ),
    "exec:/root/myscript.sh": ({"Type": "exec", "Run": "/root/myscript.sh"}, "json"),
}
NONE = ["inline", "ftp:x", "rest:x", "file:relative", "tcp:host", "tcp:h:x", "kafka:h:9092", "exec:", "kafka:/t", ":"]


@pytest.mark.parametrize("text", EXPANDED)
def test_expanded(text):
    transport, encoding = EXPANDED[text]
    assert is_literal(text)
    assert expand(text) == {"Transport": transport, "Encoding": encoding}


@pytest.mark.parametrize("text", [one for one in EXPANDED if ".avro" not in one and ".bin" not in one])
def test_what_is_expanded_is_a_descriptor(stream, text):
    descriptor = expand(text)
    stream(descriptor.pop("Transport"), 0, dry_run=True, **descriptor)


@pytest.mark.parametrize("text", NONE)
def test_what_is_no_literal_is_told_with_an_example(text):
    with pytest.raises(DescriptorError, match="literal"):
        expand(text)
