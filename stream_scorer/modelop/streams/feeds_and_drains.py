"""Opens the transport of a descriptor: a `Feed` to read from, or a `Drain` to write to."""

from __future__ import annotations

import base64
import logging
from collections.abc import Callable
from typing import Any, TypeVar

from stream_scorer.codec.bert import write_integer
from stream_scorer.errors import StreamScorerError, TransportError
from stream_scorer.modelop.endpoints.base import Drain, Feed
from stream_scorer.modelop.streams.secrets import revealed
from stream_scorer.modelop.streams.stream import Stream

log = logging.getLogger(__name__)
T = TypeVar("T")


def feed_opener(stream: Stream) -> Callable[[], Feed]:
    """Return a function that opens the input's transport each time it is called.

    Raises DescriptorError: a secret cannot be read. The function raises TransportError.
    """
    fields = revealed(stream.transport)
    make = _FEEDS[stream.transport.type]
    return lambda: _opened(make, stream, fields)


def open_drain(stream: Stream) -> Drain:
    """Open the output's transport. Blocks while it connects.

    Raises TransportError (it cannot be reached) and DescriptorError (a secret cannot be read).
    """
    return _opened(_DRAINS[stream.transport.type], stream, revealed(stream.transport))


def _opened(make: Callable[[Stream, dict[str, Any]], T], stream: Stream, fields: dict[str, Any]) -> T:
    """Raises TransportError for whatever a library makes of an odd address: UnicodeError of a host name, InvalidURL..."""
    try:
        return make(stream, fields)
    except StreamScorerError:
        raise
    except Exception as error:
        log.debug("a stream of %s cannot be opened", stream.transport.type, exc_info=True)
        raise TransportError(
            f"{stream.transport.type}: the stream cannot be opened: {type(error).__name__}: {error}."
        ) from error


# A transport is imported when a stream of it is opened: most engines use two of them.


def _rest_feed(_: Stream, __: dict[str, Any]) -> Feed:
    from stream_scorer.modelop.endpoints.rest import RestFeed

    return RestFeed()


def _rest_drain(_: Stream, fields: dict[str, Any]) -> Drain:
    from stream_scorer.modelop.endpoints.rest import RestDrain

    return RestDrain(chunked=fields["Mode"] == "chunked")


def _inline_feed(stream: Stream, fields: dict[str, Any]) -> Feed:
    from stream_scorer.modelop.endpoints.local import InlineFeed

    binary = fields["Data"] is None
    given = fields["DataBinary"] if binary else fields["Data"]
    pieces = given if isinstance(given, list) else [given]
    data = [base64.b64decode(piece) if binary else piece.encode() for piece in pieces]
    if not isinstance(given, list):
        return InlineFeed([data[0][stream.skip_to or 0 :]])
    first = stream.skip_to_record
    return InlineFeed(data[first:] if isinstance(first, int) else [] if first == "latest" else data)


def _file_feed(stream: Stream, fields: dict[str, Any]) -> Feed:
    from stream_scorer.modelop.endpoints.local import FileFeed

    return FileFeed(fields["Path"], stream.skip_to or 0)


def _file_drain(_: Stream, fields: dict[str, Any]) -> Drain:
    from stream_scorer.modelop.endpoints.local import FileDrain

    return FileDrain(fields["Path"])


def _discard_drain(_: Stream, __: dict[str, Any]) -> Drain:
    from stream_scorer.modelop.endpoints.local import DiscardDrain

    return DiscardDrain()


def _tcp_feed(_: Stream, fields: dict[str, Any]) -> Feed:
    from stream_scorer.modelop.endpoints.net import TcpFeed

    return TcpFeed(fields["Host"], fields["Port"])


def _tcp_drain(_: Stream, fields: dict[str, Any]) -> Drain:
    from stream_scorer.modelop.endpoints.net import TcpDrain

    return TcpDrain(fields["Host"], fields["Port"])


def _udp_feed(_: Stream, fields: dict[str, Any]) -> Feed:
    from stream_scorer.modelop.endpoints.net import UdpFeed

    return UdpFeed(fields["BindTo"], fields["Port"])


def _exec_feed(_: Stream, fields: dict[str, Any]) -> Feed:
    from stream_scorer.modelop.endpoints.exec import ExecFeed

    return ExecFeed([fields["Run"], *fields["Args"]])


def _exec_drain(_: Stream, fields: dict[str, Any]) -> Drain:
    from stream_scorer.modelop.endpoints.exec import ExecDrain

    return ExecDrain([fields["Run"], *fields["Args"]])


def _http_feed(stream: Stream, fields: dict[str, Any]) -> Feed:
    from stream_scorer.modelop.endpoints.http import http_feed

    return http_feed(fields["Url"], chunked=fields["Chunked"], skip_to=stream.skip_to or 0)


def _http_drain(_: Stream, fields: dict[str, Any]) -> Drain:
    from stream_scorer.modelop.endpoints.http import HttpDrain

    return HttpDrain(fields["Url"])


def _time_feed(_: Stream, fields: dict[str, Any]) -> Feed:
    from stream_scorer.modelop.endpoints.time import TimeFeed

    return TimeFeed(
        fields["TimeZero"],
        fields["Delay"],
        fields["Period"],
        fields["MaxCount"],
        encode=write_integer,
        skip=fields["Overflow"] == "skip",
    )


def _kafka_feed(stream: Stream, fields: dict[str, Any]) -> Feed:
    from stream_scorer.modelop.endpoints.kafka import KafkaFeed

    assert stream.skip_to_record is not None
    return KafkaFeed(fields, stream.skip_to_record)


def _kafka_drain(_: Stream, fields: dict[str, Any]) -> Drain:
    from stream_scorer.modelop.endpoints.kafka import KafkaDrain

    return KafkaDrain(fields)


def _s3_feed(_: Stream, fields: dict[str, Any]) -> Feed:
    from stream_scorer.modelop.endpoints.s3 import s3_feed

    return s3_feed(fields)


def _s3_drain(_: Stream, fields: dict[str, Any]) -> Drain:
    from stream_scorer.modelop.endpoints.s3 import S3Drain

    return S3Drain(fields)


_FEEDS: dict[str, Callable[[Stream, dict[str, Any]], Feed]] = {
    "rest": _rest_feed,
    "http": _http_feed,
    "file": _file_feed,
    "tcp": _tcp_feed,
    "udp": _udp_feed,
    "exec": _exec_feed,
    "inline": _inline_feed,
    "time": _time_feed,
    "kafka": _kafka_feed,
    "s3": _s3_feed,
}
_DRAINS: dict[str, Callable[[Stream, dict[str, Any]], Drain]] = {
    "rest": _rest_drain,
    "http": _http_drain,
    "file": _file_drain,
    "tcp": _tcp_drain,
    "exec": _exec_drain,
    "discard": _discard_drain,
    "kafka": _kafka_drain,
    "s3": _s3_drain,
}
