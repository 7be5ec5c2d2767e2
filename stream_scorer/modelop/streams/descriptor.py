"""Parses and checks stream descriptors (`docs/conformance.md`, rules `f`)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from stream_scorer.codec.schema import Schema
from stream_scorer.codec.schema_matching import mismatch
from stream_scorer.codec.schema_rules import BadSchema, checked_schema
from stream_scorer.errors import DescriptorError
from stream_scorer.modelop.streams import descriptor_parts as parts
from stream_scorer.modelop.streams import transport_kinds
from stream_scorer.modelop.streams.codec_spec import CodecSpec
from stream_scorer.modelop.streams.descriptor_parts import Envelope
from stream_scorer.modelop.streams.restrictions import check, serves_its_direction
from stream_scorer.modelop.streams.schemas import resolve
from stream_scorer.modelop.streams.stream import INHERIT, Stream
from stream_scorer.modelop.streams.transport_kinds import Transport, is_text

TIME_SCHEMA = {"type": "long", "logicalType": "timestamp-millis"}


def parse(
    raw: Any,
    *,
    slot: int,
    name: str = "",
    dry_run: bool = False,
    inherited: tuple[str, Any] | None = None,
    find_schema: Callable[[str], Any],
) -> Stream:
    """Return the descriptor, checked.

    Args:
        raw: the descriptor as parsed JSON.
        dry_run: accept a transport that does not serve the slot's direction: clients verify an input at slot 1.
        inherited: name and parsed schema of the model's slot, if it is typed.
        find_schema: returns the definition (parsed JSON) of a schema by name. May raise LookupError or an error of ours.

    Raises:
        DescriptorError: one line, which begins with the stream's name and slot.
    """
    try:
        stream = _parse(raw, slot, name, inherited, find_schema)
        check(stream, dry_run=dry_run)
        if inherited is not None and stream.schema is not None and serves_its_direction(stream):
            _match(stream, _schema(*inherited))
    except DescriptorError as error:
        raise DescriptorError(f"stream {name!r} at slot {slot}: {error}") from error
    except RecursionError as error:
        raise DescriptorError(f"stream {name!r} at slot {slot}: the descriptor is nested too deeply.") from error
    return stream


def _parse(
    raw: Any, slot: int, name: str, inherited: tuple[str, Any] | None, find_schema: Callable[[str], Any]
) -> Stream:
    fields = _fields(raw)
    transport = transport_kinds.transport(fields["Transport"])
    encoding, options = parts.encoding(fields.get("Encoding"))
    batching = parts.batching(fields.get("Batching", "normal"))
    given_schema = fields.get("Schema", INHERIT)
    if transport.type == "time":
        _check_time_stream(fields, encoding)
        encoding, batching, given_schema = "bert", parts.batching(None), _time_schema(fields)
    envelope = (
        parts.envelope(fields["Envelope"]) if "Envelope" in fields else parts.default_envelope(transport, encoding)
    )
    loop, linger_ms, end_marker = _loop(fields), _linger_ms(fields), _end_marker(fields)
    spec = _spec(encoding, options, given_schema, inherited, find_schema)
    schema = None if spec.schema is None else _schema(spec.schema_name or "", spec.schema)
    stream = Stream(
        slot=slot,
        name=name,
        transport=transport,
        loop=loop,
        skip_to=_skip_to(fields.get("SkipTo")),
        skip_to_record=_skip_to_record(fields, transport, loop),
        envelope=envelope,
        encoding=encoding,
        schema=schema,
        batching=batching,
        linger_ms=linger_ms,
        end_marker=end_marker,
        spec=spec,
        schema_as_given=given_schema if given_schema == INHERIT else spec.schema,
    )
    if transport.type == "discard":
        return replace(stream, spec=_for_discard(spec, schema))
    return _csv(stream) if encoding == "csv" else stream


def _fields(raw: Any) -> dict[str, Any]:
    if isinstance(raw, str):
        raw = {"Transport": raw}
    if not isinstance(raw, dict):
        raise parts.refuse("the descriptor", "a JSON object", raw)
    if "Transport" not in raw:
        raise DescriptorError('Transport: is missing, as in {"Transport": "REST", "Encoding": "json"}.')
    return raw


def _loop(fields: dict[str, Any]) -> bool:
    loop = fields.get("Loop") or False
    if not isinstance(loop, bool):
        raise parts.refuse("Loop", "true or false", loop)
    return loop


def _linger_ms(fields: dict[str, Any]) -> int | None:
    linger_ms: int | None = fields.get("LingerTime", 3000)
    if linger_ms is not None and not parts.is_whole(linger_ms, 0, parts.MAX_MS):
        raise parts.refuse("LingerTime", f"null or a whole number of ms, up to {parts.MAX_MS}", linger_ms)
    return linger_ms


def _end_marker(fields: dict[str, Any]) -> str | None:
    end_marker: str | None = fields.get("EndMarker")
    if end_marker is not None and not is_text(end_marker):
        raise parts.refuse("EndMarker", "a string", end_marker)
    return end_marker


def _for_discard(spec: CodecSpec, schema: Schema | None) -> CodecSpec:
    """Nobody reads a discarded stream, so an encoding that cannot write the schema becomes raw bytes."""
    is_record = schema is not None and isinstance(schema.parsed, dict) and "fields" in schema.parsed
    writable = {"csv": is_record, "avro-binary": schema is not None, "soap-rpc": False, "bert": False}
    return spec if writable.get(spec.encoding or "", True) else replace(spec, encoding=None)


def _check_time_stream(fields: dict[str, Any], encoding: str | None) -> None:
    """Time streams have an encoding of their own and no batches."""
    if encoding not in (None, "bert"):
        raise DescriptorError(f"Encoding: a time stream has none but bert, found {encoding}. Leave it away.")
    if fields.get("Batching") is not None:
        raise DescriptorError("Batching: a time stream cannot have batches. Leave it away.")


def _time_schema(fields: dict[str, Any]) -> Any:
    """The vendor's documentation writes Type where Avro has type."""
    given = fields.get("Schema", TIME_SCHEMA)
    return {"type": given["Type"], **given} if isinstance(given, dict) and "Type" in given else given


def _csv(stream: Stream) -> Stream:
    """The codec has to know the Separator. Plain `delimited` stands for lines without a header."""
    envelope = stream.envelope
    if envelope is None:
        return stream
    if envelope.type == "delimited":
        fields = {"Separator": envelope.fields["Separator"], "SkipHeader": False, "SkipBlankLines": True}
        envelope = Envelope("delimited-csv", fields)
    options = {**stream.spec.options}
    if "Separator" in envelope.fields:
        options["Separator"] = envelope.fields["Separator"]
    return replace(stream, envelope=envelope, spec=replace(stream.spec, options=options))


def _spec(
    encoding: str | None,
    options: dict[str, Any],
    given_schema: Any,
    inherited: tuple[str, Any] | None,
    find_schema: Callable[[str], Any],
) -> CodecSpec:
    if given_schema == INHERIT:
        name, schema = inherited or (None, None)
        return CodecSpec(encoding, options, name, schema)
    if given_schema is None:
        model_name, model_schema = inherited or (None, None)
        return CodecSpec(encoding, options, None, None, model_name, model_schema)
    name, schema = resolve(given_schema, find_schema)
    if inherited is None or inherited[1] == schema:
        return CodecSpec(encoding, options, name, schema)
    return CodecSpec(encoding, options, name, schema, *inherited)


def _schema(name: str, definition: Any) -> Schema:
    try:
        return checked_schema(name, definition)
    except BadSchema as error:
        raise DescriptorError(f"Schema: {name!r}: {error}") from error


def _match(stream: Stream, model: Schema) -> None:
    own = stream.schema
    assert own is not None
    reader, writer = (own, model) if stream.output else (model, own)
    problem = mismatch(reader, writer)
    if problem:
        raise DescriptorError(
            f"schema mismatch: the stream's schema {own.name!r} does not go with {model.name!r} of the model: {problem}."
        )


def _skip_to(given: Any) -> int | None:
    if given is not None and not parts.is_whole(given, 0):
        raise parts.refuse("SkipTo", "a whole number of bytes", given)
    return given if given is None else int(given)


def _skip_to_record(fields: dict[str, Any], transport: Transport, loop: bool) -> int | str | None:
    if "SkipToRecord" not in fields:
        if transport.type != "kafka":
            return None
        return "earliest" if loop else "latest"
    given = fields["SkipToRecord"]
    if isinstance(given, str) and given.lower() in ("earliest", "latest"):
        return given.lower()
    if given is None:
        if transport.type == "kafka":
            raise DescriptorError('SkipToRecord: may not be null for Kafka. Say "earliest", "latest" or a number.')
        return None
    if not parts.is_whole(given, 0):
        raise parts.refuse("SkipToRecord", '"earliest", "latest" or a number', given)
    return int(given)
