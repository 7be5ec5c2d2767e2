"""A record from the message of a consumer."""

from __future__ import annotations

import logging
from typing import Any

from confluent_kafka import Message

from stream_scorer.kafka.client_log import RateLimitedLog
from stream_scorer.records import UNREADABLE_HEADERS, Partition, Record

headers_log = logging.getLogger(f"{__name__}.headers")
headers_log.addFilter(RateLimitedLog())


def to_record(message: Message, partition: Partition) -> Record:
    time_kind, timestamp = message.timestamp()
    try:
        headers: Any = message.headers()  # a list, never the dict that producing also takes
    except (SystemError, UnicodeDecodeError):  # raised by the binding if a name is not UTF-8; a second call would crash
        headers = UNREADABLE_HEADERS
        headers_log.warning(
            "%s: a header's name is not UTF-8, so none of the headers of such a record can be read; it is scored "
            "without them (first seen at offset %s)",
            partition,
            message.offset(),
        )
    # What Record(...) does, less one call: this runs for every record.
    return tuple.__new__(
        Record,
        (partition, message.offset() or 0, message.key(), message.value(), timestamp if time_kind else None, headers),
    )
