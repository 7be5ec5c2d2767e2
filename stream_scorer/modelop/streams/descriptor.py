"""Stream descriptors: what a user wrote, with every default said. Section [f]."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from stream_scorer.codec.schema import Schema
from stream_scorer.codec.schema_matching import mismatch
from stream_scorer.codec.schema_rules import BadSchema, checked_schema
from stream_scorer.errors import DescriptorError
from stream_scorer.modelop.streams import forms, kinds
from stream_scorer.modelop.streams.coding import CodecSpec
from stream_scorer.modelop.streams.forms import Batching, Envelope
from stream_scorer.modelop.streams.interpreted import interpreted
from stream_scorer.modelop.streams.kinds import Transport, is_text
from stream_scorer.modelop.streams.restrictions import check, right_way
from stream_scorer.modelop.streams.schemas import resolve

INHERIT = "$inherit"
TIME_SCHEMA = {"type": "long", "logicalType": "timestamp-millis"}


@dataclass(frozen=True)
class Stream:
    """A descriptor at its slot.

    Attributes:
        raw: the user's form, as given.
        skip_to: bytes. skip_to_record: a number, "earliest" or "latest".
        schema: of the stream, the model's where it is inherited; None if untyped.
        linger_ms: how long an output waits at its end for what is under way; None for not at all.
        end_marker: a record that is the end of the stream, where the descriptor gives one.
        spec: encoding and schemas, for the process that runs the model.
    """

    slot: int
    name: str
    raw: Any
    transport: Transport
    loop: bool
    skip_to: int | None
    skip_to_record: int | str | None
    envelope: Envelope | None
    encoding: str | None
    schema: Schema | None
    batching: Batching
    linger_ms: int | None
    end_marker: str | None
    spec: CodecSpec
    schema_as_given: Any = INHERIT

    @property
    def output(self) -> bool:
        return self.slot % 2 == 1

    def interpreted(self) -> dict[str, Any]:
        """The answer to a dry run: names in lower case, defaults filled in, unset ones left out."""
        return interpreted(
            transport=self.transport,
            loop=self.loop,
            skip_to=self.skip_to,
            skip_to_record=self.skip_to_record,
            envelope=self.envelope,
            encoding=self.encoding,
            options={key: value for key, value in self.spec.options.items() if key != "Separator"},
            schema=self.schema_as_given,
            batching=self.batching,
            linger_ms=self.linger_ms,
            end_marker=self.end_marker,
        )


def parse(
    raw: Any,
    *,
    slot: int,
    name: str = "",
    dry_run: bool = False,
    inherited: tuple[str, Any] | None = None,
    find_schema: Callable[[str], Any],
) -> Stream:
    """A descriptor, checked. Raises DescriptorError, one line that begins with the stream and its slot.

    Args:
        raw: the descriptor as parsed JSON.
        dry_run: its direction is not held against it: clients verify an input at slot 1.
        inherited: name and parsed schema of the model's slot, where it is typed.
        find_schema: the definition (parsed JSON) of a name, for `$ref`. May raise LookupError or an error of ours.
    """
    try:
        stream = _parse(raw, slot, name, inherited, find_schema)
        check(stream, dry_run=dry_run)
        if inherited is not None and stream.schema is not None and right_way(stream):
            _match(stream, _schema(*inherited))
    except DescriptorError as error:
        raise DescriptorError(f"stream {name!r} at slot {slot}: {error}") from error
    except RecursionError as error:
        raise DescriptorError(f"stream {name!r} at slot {slot}: the descriptor is nested too deeply.") from error
    return stream


def _parse(
    raw: Any, slot: int, name: str, inherited: tuple[str, Any] | None, find_schema: Callable[[str], Any]
) -> Stream:
    if isinstance(raw, str):
        raw = {"Transport": raw}
    if not isinstance(raw, dict):
        raise forms.refuse("the descriptor", "a JSON object", raw)
    if "Transport" not in raw:
        raise DescriptorError('Transport: is missing, as in {"Transport": "REST", "Encoding": "json"}.')
    transport = kinds.transport(raw["Transport"])
    encoding, options = forms.encoding(raw.get("Encoding"))
    batching = forms.batching(raw.get("Batching", "normal"))
    given = raw.get("Schema", INHERIT)
    if transport.type == "time":
        _check_time_stream(raw, encoding)
        encoding, batching, given = "bert", forms.batching(None), _time_schema(raw)
    envelope = forms.envelope(raw["Envelope"]) if "Envelope" in raw else forms.default_envelope(transport, encoding)
    loop = raw.get("Loop") or False
    if not isinstance(loop, bool):
        raise forms.refuse("Loop", "true or false", loop)
    linger_ms = raw.get("LingerTime", 3000)
    if linger_ms is not None and not forms.whole(linger_ms, 0):
        raise forms.refuse("LingerTime", "null or a whole number of ms", linger_ms)
    end_marker = raw.get("EndMarker")
    if end_marker is not None and not is_text(end_marker):
        raise forms.refuse("EndMarker", "a string", end_marker)
    spec = _spec(encoding, options, given, inherited, find_schema)
    schema = None if spec.schema is None else _schema(spec.schema_name or "", spec.schema)
    stream = Stream(
        slot=slot,
        name=name,
        raw=raw,
        transport=transport,
        loop=loop,
        skip_to=_skip_to(raw.get("SkipTo")),
        skip_to_record=_skip_to_record(raw, transport, loop),
        envelope=envelope,
        encoding=encoding,
        schema=schema,
        batching=batching,
        linger_ms=linger_ms,
        end_marker=end_marker,
        spec=spec,
        schema_as_given=given if given == INHERIT else spec.schema,
    )
    if transport.type == "discard":
        return replace(stream, spec=_for_discard(spec, schema))
    return _csv(stream) if encoding == "csv" else stream


def _for_discard(spec: CodecSpec, schema: Schema | None) -> CodecSpec:
    """Any encoding will do for what nobody reads, those too that this schema cannot be written in."""
    record = schema is not None and isinstance(schema.parsed, dict) and "fields" in schema.parsed
    needs = {"csv": record, "avro-binary": schema is not None, "soap-rpc": False, "bert": False}
    return spec if needs.get(spec.encoding or "", True) else replace(spec, encoding=None)


def _check_time_stream(raw: dict[str, Any], encoding: str | None) -> None:
    """Time streams have an encoding of their own and no batches."""
    if encoding not in (None, "bert"):
        raise DescriptorError(f"Encoding: a time stream has none but bert, found {encoding}. Leave it away.")
    if raw.get("Batching") is not None:
        raise DescriptorError("Batching: a time stream cannot have batches. Leave it away.")


def _time_schema(raw: dict[str, Any]) -> Any:
    """The documentation's own example writes Type."""
    given = raw.get("Schema", TIME_SCHEMA)
    return {"type": given["Type"], **given} if isinstance(given, dict) and "Type" in given else given


def _csv(stream: Stream) -> Stream:
    """What the codec has to know of the envelope. Plain `delimited` stands for lines without a header."""
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
    given: Any,
    inherited: tuple[str, Any] | None,
    find_schema: Callable[[str], Any],
) -> CodecSpec:
    if given == INHERIT:
        name, schema = inherited or (None, None)
        return CodecSpec(encoding, options, name, schema)
    if given is None:
        model_name, model_schema = inherited or (None, None)
        return CodecSpec(encoding, options, None, None, model_name, model_schema)
    name, schema = resolve(given, find_schema)
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
    if given is not None and not forms.whole(given, 0):
        raise forms.refuse("SkipTo", "a whole number of bytes", given)
    return given if given is None else int(given)


def _skip_to_record(raw: dict[str, Any], transport: Transport, loop: bool) -> int | str | None:
    if "SkipToRecord" not in raw:
        if transport.type != "kafka":
            return None
        return "earliest" if loop else "latest"
    given = raw["SkipToRecord"]
    if isinstance(given, str) and given.lower() in ("earliest", "latest"):
        return given.lower()
    if given is None:
        if transport.type == "kafka":
            raise DescriptorError('SkipToRecord: may not be null for Kafka. Say "earliest", "latest" or a number.')
        return None
    if not forms.whole(given, 0):
        raise forms.refuse("SkipToRecord", '"earliest", "latest" or a number', given)
    return int(given)
