"""Stream literals, such as inline:1,2,3 (rule `f.literals`). Clients expand them; an engine gets descriptors only."""

from __future__ import annotations

import base64
import urllib.parse
from typing import Any

from stream_scorer.errors import DescriptorError
from stream_scorer.modelop.streams.transport_kinds import shown

_EXAMPLES = {
    "rest": "rest:",
    "rest-chunked": "rest-chunked:",
    "inline": "inline:1,2,3",
    "inline-chunked": "inline-chunked:%06abc",
    "kafka": "kafka:broker:9092/topic.json",
    "file": "file:/path/to/data.json",
    "tcp": "tcp:host:1234",
    "udp": "udp:0.0.0.0:1234",
    "http": "http://host/data.json",
    "https": "https://host/data.json",
    "exec": "exec:/path/to/program",
    "discard": "discard:",
}
_ENCODINGS = {".json": "json", ".avro": "avro-binary", ".utf8": "utf-8", ".bin": None}


def is_literal(text: str) -> bool:
    """Whether it is a literal rather than the name of a stream, which has no colon."""
    return ":" in text


def expand(text: str) -> dict[str, Any]:
    """Return the descriptor that a literal stands for. Raises DescriptorError."""
    tag, colon, more = text.partition(":")
    if not colon or tag not in _EXAMPLES:
        raise DescriptorError(
            f"expected a stream literal, found {shown(text)}. There are {', '.join(_EXAMPLES.values())}."
        )
    try:
        transport = _transport(tag, more)
    except (ValueError, IndexError):
        raise DescriptorError(f"{shown(text)}: a {tag} literal reads like {_EXAMPLES[tag]}.") from None
    encoding: str | None = "json"
    if tag in ("kafka", "file", "http", "https"):
        suffix = next((suffix for suffix in _ENCODINGS if more.endswith(suffix)), ".json")
        encoding = _ENCODINGS[suffix]
    return {"Transport": transport, "Encoding": encoding}


def _transport(tag: str, more: str) -> Any:
    if tag in ("http", "https"):
        return {"Type": "HTTP", "Url": f"{tag}:{more}"}
    if tag == "kafka":
        return _kafka(more)
    if tag in ("rest", "rest-chunked", "discard"):
        if more:
            raise ValueError(more)
        return {"rest": "REST", "discard": "discard"}.get(tag, {"Type": "REST", "Mode": "chunked"})
    if tag == "file":
        if not more.startswith("/"):
            raise ValueError(more)
        return {"Type": "file", "Path": more}
    if tag == "tcp":
        host, port = _host_and_port(more)
        return {"Type": "TCP", "Host": host or "0.0.0.0", "Port": port}
    if tag == "udp":
        host, port = _host_and_port(more)
        return {"Type": "UDP", "Port": port} | ({"Host": host} if host else {})
    if tag == "exec":
        if not more:
            raise ValueError(more)
        return {"Type": "exec", "Run": more}
    return {"Type": "inline", **_inline(more, whole=tag == "inline-chunked")}


def _host_and_port(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon:
        raise ValueError(text)
    return host, int(port)


def _kafka(more: str) -> dict[str, Any]:
    broker, slash, topic = more.partition("/")
    name = topic.rpartition(".")[0] or topic
    if not slash or not broker or not name:
        raise ValueError(more)
    host, port = _host_and_port(broker) if ":" in broker else (broker, 9092)
    return {"Type": "Kafka", "BootstrapServers": [f"{host}:{port}"], "Topic": name}


def _inline(more: str, *, whole: bool) -> dict[str, Any]:
    """Text with a percent sign is bytes. A comma separates records unless it is percent-encoded."""
    if "%" not in more:
        return {"Data": more if whole else more.split(",")}
    pieces = [
        base64.b64encode(urllib.parse.unquote_to_bytes(piece)).decode()
        for piece in ([more] if whole else more.split(","))
    ]
    return {"DataBinary": pieces[0] if whole else pieces}
