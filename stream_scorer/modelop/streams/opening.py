"""Opens the stream of a descriptor: its transport, and the envelope that splits or frames its records."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from stream_scorer.codec.csv_codec import dialect, header_of
from stream_scorer.modelop.streams import envelopes
from stream_scorer.modelop.streams.avro_boundaries import AvroBoundaries
from stream_scorer.modelop.streams.csv_lines import CsvLines
from stream_scorer.modelop.streams.descriptor_parts import Batching
from stream_scorer.modelop.streams.feeds_and_drains import feed_opener, open_drain
from stream_scorer.modelop.streams.inlet import StreamInlet
from stream_scorer.modelop.streams.ocf import OcfFramer, OcfSplitter
from stream_scorer.modelop.streams.outlet import StreamOutlet
from stream_scorer.modelop.streams.stream import Stream
from stream_scorer.ports import Inlet, Outlet

SAMPLE_TIMEOUT_S = 5.0
RATE_TIME_S = 2.0


def open_inlet(stream: Stream) -> Inlet:
    """Open an input. Blocks while it connects.

    Raises TransportError (the transport cannot be reached) and DescriptorError (a secret cannot be read).
    """
    return StreamInlet(stream, feed_opener(stream), _splitter_opener(stream))


def open_outlet(stream: Stream) -> Outlet:
    """Open an output. Blocks and raises as `open_inlet` does."""
    return StreamOutlet(stream, open_drain(stream), _framer(stream))


def resource(stream: Stream) -> tuple[str, Any] | None:
    """Return what only one open stream can hold at a time: a UDP port, a file that is written; None if there is none."""
    transport = stream.transport
    if transport.type == "udp":
        return "udp", transport.fields["Port"]
    if transport.type == "file" and stream.output:
        return "file", os.path.realpath(transport.fields["Path"])
    return None


def sample(stream: Stream, n: int) -> list[bytes]:
    """Return the first `n` records, undecoded, or those that come within 5 s. Control records are left out."""
    records: list[bytes] = []
    with contextlib.closing(open_inlet(replace(stream, batching=Batching(max(n, 1), 0)))) as inlet:
        batches = _records(inlet, time.monotonic() + SAMPLE_TIMEOUT_S)
        while len(records) < n and (batch := next(batches, None)) is not None:
            records += batch
    return records[:n]


def rate(stream: Stream) -> dict[str, float]:
    """Read for up to 2 s without a model. Return {"rps": records per second, "mbps": megabytes per second}."""
    count = size = 0
    with contextlib.closing(open_inlet(replace(stream, batching=Batching(1000, 0)))) as inlet:
        began = time.monotonic()
        for records in _records(inlet, began + RATE_TIME_S):
            count += len(records)
            size += sum(map(len, records))
        took = max(time.monotonic() - began, 1e-6)
    return {"rps": count / took, "mbps": size / took / 1e6}


def _records(inlet: Inlet, until: float) -> Iterator[list[bytes]]:
    """Yield the records of each batch, to the end of the stream or up to a time of the monotonic clock."""
    while (left := until - time.monotonic()) > 0 and (batch := inlet.next(left)) is not None:
        yield batch.records
        if batch.closed_by == "end":
            return


def _splitter_opener(stream: Stream) -> Callable[[], envelopes.Splitter] | None:
    envelope, schema, options = stream.envelope, stream.schema, stream.spec.options
    if envelope is None:
        return None if stream.transport.keeps_boundaries else _unframed(stream)
    fields = envelope.fields
    if envelope.type == "delimited":
        blank = stream.encoding in (None, "utf-8")
        return lambda: envelopes.Delimited(fields["Separator"].encode(), blank=blank)
    if envelope.type == "fixed":
        padded = stream.encoding in ("json", "csv", "utf-8")
        return lambda: envelopes.Fixed(fields["Size"], padded=padded)
    if envelope.type == "delimited-csv":
        skip_blank = bool(fields["SkipBlankLines"])
        return lambda: CsvLines(dialect(options), header=envelope.header, skip_blank=skip_blank)
    assert schema is not None
    return lambda: OcfSplitter(envelope, schema)


def _unframed(stream: Stream) -> Callable[[], envelopes.Splitter]:
    if stream.encoding == "msgpack":
        return lambda: envelopes.SelfDelimited(envelopes.MsgpackBoundaries())
    if stream.encoding == "avro-binary" and stream.schema is not None:
        schema = stream.schema
        return lambda: envelopes.SelfDelimited(AvroBoundaries(schema))
    return envelopes.Pieces if stream.transport.type in ("rest", "tcp") else envelopes.Whole


def _framer(stream: Stream) -> envelopes.Framer | None:
    envelope = stream.envelope
    if stream.transport.keeps_boundaries:
        return None
    if envelope is None:
        return envelopes.NoFramer()
    fields = envelope.fields
    if envelope.type == "fixed":
        return envelopes.FixedFramer(fields["Size"])
    if envelope.type == "ocf-block":
        return OcfFramer(envelope, stream.spec.schema)
    header = header_of(stream.schema, stream.spec.options) if envelope.header and stream.schema else None
    return envelopes.DelimitedFramer(fields["Separator"].encode(), header)
