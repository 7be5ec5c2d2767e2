"""Combinations that a descriptor may not have (rule `f.restrictions`)."""

from __future__ import annotations

from collections.abc import Iterator

from stream_scorer.codec.schema import PRIMITIVES, make_schema
from stream_scorer.codec.schema_matching import mismatch
from stream_scorer.errors import DescriptorError
from stream_scorer.modelop.streams.stream import Stream
from stream_scorer.modelop.streams.transport_kinds import KINDS

_LONG = make_schema("long", "long")


def check(stream: Stream, *, dry_run: bool) -> None:
    """Raise DescriptorError for the first combination that is not allowed. A dry run does not check the direction."""
    if not dry_run and not serves_its_direction(stream):
        raise DescriptorError(
            f"Transport: {stream.transport.type} cannot be an {'output' if stream.output else 'input'}."
        )
    for problems in (_seeking(stream), _envelope(stream), _encoding(stream), _csv(stream, dry_run=dry_run)):
        for problem in problems:
            raise DescriptorError(problem)


def serves_its_direction(stream: Stream) -> bool:
    """Whether the transport can be read (input slot) or written to (output slot)."""
    kind = KINDS[stream.transport.type]
    return kind.output if stream.output else kind.input


def _seeking(stream: Stream) -> Iterator[str]:
    transport = stream.transport
    if stream.loop and not transport.seekable:
        yield f"Loop: {transport.type} cannot be read again from its beginning. Only Kafka, HTTP, file and inline can."
    if stream.skip_to is not None and (transport.keeps_boundaries or not transport.seekable):
        yield f"SkipTo: counts bytes, and goes with HTTP, file and inline text; this is {_with_boundaries(stream)}."
    if stream.skip_to_record is not None and not (transport.keeps_boundaries and transport.seekable):
        yield f"SkipToRecord: counts records, and goes with Kafka and an inline array; this is {_with_boundaries(stream)}."
    if stream.skip_to_record is not None and transport.type == "http":
        yield "SkipToRecord: HTTP can be skipped by bytes only: give SkipTo."


def _with_boundaries(stream: Stream) -> str:
    kept = "keeps" if stream.transport.keeps_boundaries else "does not keep"
    return f"{stream.transport.type}, which {kept} the boundaries of records"


def _envelope(stream: Stream) -> Iterator[str]:
    transport, envelope, encoding = stream.transport, stream.envelope, stream.encoding
    if envelope is None:
        return
    if transport.keeps_boundaries and not _tolerated(stream):
        yield (
            f"Envelope: {transport.type} keeps the boundaries of records, so {envelope.type} has nothing to do. "
            "Leave Envelope away."
        )
    if envelope.type == "delimited" and encoding in ("msgpack", "avro-binary"):
        yield f"Envelope: {encoding} cannot be delimited: any byte may occur in it. Leave Envelope away."
    if envelope.type == "ocf-block" and encoding != "avro-binary":
        yield "Envelope: ocf-block goes with Encoding avro-binary only."
    if envelope.type == "delimited-csv" and encoding != "csv":
        yield "Envelope: delimited-csv goes with Encoding csv only."


def _tolerated(stream: Stream) -> bool:
    """Two examples of the vendor's documentation break the rule: delimited over simple REST and over binary inline data."""
    transport, envelope = stream.transport, stream.envelope
    lines = envelope is not None and (
        envelope.type == "delimited" or (stream.encoding == "csv" and not envelope.fields.get("SkipHeader"))
    )
    return lines and (transport.type == "rest" or bool(transport.fields.get("DataBinary")))


def _encoding(stream: Stream) -> Iterator[str]:
    encoding, schema = stream.encoding, stream.schema
    if stream.transport.type == "discard":
        return
    if encoding == "soap-rpc":
        more = " and can have no schema" if schema is not None else ""
        yield f"Encoding: soap-rpc was an experiment{more}; this engine does not have it. Use json."
    if encoding == "bert" and stream.transport.type != "time":
        yield "Encoding: bert is for time streams only. Use json or msgpack."
    if encoding == "bert" and schema is not None and (problem := mismatch(schema, _LONG)):
        yield f"Schema: a time stream has long, as timestamp-millis; {problem}."
    if encoding == "avro-binary" and schema is None:
        yield "Encoding: avro-binary needs a schema, and neither the stream nor the model's slot has one."
    if schema is None:
        return
    kind = schema.parsed["type"] if isinstance(schema.parsed, dict) else schema.parsed
    shown = kind if isinstance(kind, str) and kind in PRIMITIVES else schema.name
    if encoding is None and kind != "bytes":
        yield f"Encoding: null means bytes, and the schema is {shown!r}. Say the encoding, or make the schema bytes or null."
    if encoding == "utf-8" and kind != "string":
        yield f"Encoding: utf-8 means a string, and the schema is {shown!r}. Use json, or make the schema string or null."


def _csv(stream: Stream, *, dry_run: bool) -> Iterator[str]:
    if stream.encoding != "csv" or stream.transport.type == "discard":
        return
    envelope = stream.envelope
    quote = stream.spec.options.get("QuoteCharacter", '"')
    if envelope is not None and quote in str(envelope.fields.get("Separator", "")):
        yield "Envelope: Separator may not hold the quote character."
    if stream.schema is not None:
        if not isinstance(stream.schema.parsed, dict) or stream.schema.parsed["type"] not in ("record", "error"):
            yield f"Encoding: csv needs a schema of a record, and {stream.schema.name!r} is not one."
    elif stream.output and not dry_run:
        yield "Encoding: csv on output needs a schema of a record, for the fields and their order."
    elif not stream.output and (envelope is None or not envelope.header):
        yield "Encoding: csv without a header needs a schema of a record."
