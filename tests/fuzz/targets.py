"""Every decoder of bytes or text from outside: valid inputs to begin with, and the errors that it may raise."""

from __future__ import annotations

import contextlib
import json
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from stream_scorer.codec import codec_for
from stream_scorer.codec.avro import AvroCodec
from stream_scorer.codec.csv_dialect import Dialect
from stream_scorer.codec.evaluations import AnyEvaluation, EvaluationCodec, EvaluationJson
from stream_scorer.codec.registry import Registry, UnknownSchema
from stream_scorer.codec.registry_answers import Definition, Reference
from stream_scorer.codec.schema import make_schema
from stream_scorer.codec.schema_rules import BadSchema, checked_schema
from stream_scorer.codec.stream_codec import StreamCodec
from stream_scorer.errors import DecodeError, DescriptorError, EncodeError, ModelError, SchemaError, TransportError
from stream_scorer.evaluate.tail import Tail
from stream_scorer.kafka.dead_letters import DeadLetter, facts_of
from stream_scorer.model import annotations
from stream_scorer.modelop.process import snapshot
from stream_scorer.modelop.streams import envelopes, literals
from stream_scorer.modelop.streams.avro_boundaries import AvroBoundaries
from stream_scorer.modelop.streams.csv_lines import CsvLines
from stream_scorer.modelop.streams.descriptor import parse
from stream_scorer.modelop.streams.descriptor_parts import Envelope
from stream_scorer.modelop.streams.ocf import OcfFramer, OcfSplitter
from stream_scorer.modelop.streams.opening import _splitter_opener
from stream_scorer.records import Control, Evaluation, Headers, Partition, PendingForecast, Record, Snapshot
from stream_scorer.state import pending_forecasts, values
from stream_scorer.state.snapshots import SnapshotWriter, read_saved
from tests.fuzz.avro import Target, avro, back_and_forth, resolved, written
from tests.fuzz.schemas import LOGICAL_AS_JSON, SCHEMAS, SOURCES

IN = Partition("in", 1)
_STATES = (
    [[float(number) for number in range(30)], 7, "text", None],
    [{"a": 1, b"b": [1, 2.5, "x"], (1, "t"): {3, "s"}}, deque([1.0, 2.0], 5), True, deque([[]])],
    [np.arange(6.0).reshape(2, 3), np.array(["a", "bc"]), np.float32(1.5), np.str_(""), np.array(7, "M8[ms]"), 10**30],
    [[1.0], [[[[[[(1, (2, (3,)))]]]]]], np.zeros((2, 0, 3), "i2"), np.array([True, False]), -(10**5000), "\ud800"],
)


def _state_seeds() -> list[bytes]:
    shared = [1.0]
    return [values.dump(state) for state in (*_STATES, [shared, {"again": [shared, shared]}])]


def _load_and_dump(data: bytes) -> None:
    """What was read can be written, and is then what is read."""
    dumped = values.dump(values.load(data))
    assert values.dump(values.load(dumped)) == dumped


def _states() -> list[Target]:
    note = pending_forecasts.pack(PendingForecast(1.5, 1.0, 0.5, None, 7, 8, 9))
    states = _state_seeds()
    writer = SnapshotWriter("ab" * 32)
    saved = [writer.value(Snapshot(IN, b"k", 300, 7, state)) for state in states] + [writer.position(IN, 41)]
    whole = snapshot.write(snapshot.ModelSnapshot("m", "ab", states[0], ("a", "b"), states[1]))

    def apart(data: bytes) -> None:
        for count in (1, 4):
            pending_forecasts.unpack(pending_forecasts.split_state(data, count)[1])

    def sealed(data: bytes) -> None:
        """The check sum is mended, so that more than the check is tried."""
        snapshot.read(data)
        snapshot.read(snapshot.write(snapshot.ModelSnapshot("m", "ab", b"", ("a",), b"")) + data)

    return [
        Target("values.load", states, _load_and_dump, (ValueError,)),
        Target("pending_forecasts.split_state", [state + note for state in states], apart, (ValueError,)),
        Target("read_saved", saved, lambda data: read_saved(IN, data[:1], data), (ValueError,)),
        Target("snapshot.read", [whole], sealed, (ModelError,)),
        Target("dead letters", [b"topic|in|partition|0|offset|7", "stage|\xff|message|a\nb".encode()], _letter, ()),
    ]


def _letter(data: bytes) -> None:
    parts = data.split(b"|")
    names = ["__streams.errors." + part.decode(errors="replace") for part in parts[::2]] + ["__scorer.x", "other"]
    headers: Headers = [*zip(names, [*parts[1::2], None, None, data], strict=False)]
    letter = DeadLetter(Record(IN, 7, None, data, None, headers), facts_of(headers))
    assert isinstance(letter.source, str)
    assert letter.place == "1@7"
    letter.original_headers()


def _encodings() -> list[Target]:
    ours = (DecodeError, SchemaError, EncodeError)
    found = []
    for name, (definition, samples) in SCHEMAS.items():
        codec = codec_for("json", make_schema(name, definition))
        seeds = [codec.encode(sample) for sample in ([LOGICAL_AS_JSON] if name == "logical" else samples)]
        found.append(Target(f"json {name}", seeds, back_and_forth(codec), ours, json=True))
    row = make_schema("row", SCHEMAS["row"][0])
    other = {"QuoteCharacter": "'", "Delimiter": "::", "Separator": "||"}
    slots: list[tuple[str, StreamCodec, Iterable[Any]]] = [
        ("json loose", StreamCodec("json", {}, None), [{"a": [1, 2.5, None, "é"]}]),
        ("json strict", StreamCodec("json", {"Strict": True}, None), [{"a": [1, 2.5, None, "é"]}]),
        ("utf-8", StreamCodec("utf-8", {}, None), ["text"]),
        ("raw", StreamCodec(None, {}, None), [b"bytes"]),
        ("msgpack", StreamCodec("msgpack", {}, None), [{"a": [1, 2.5, None, b"x", -7]}, [[[{}]]]]),
        ("bert", StreamCodec("bert", {}, None), [1, 1000, 2**40]),
        ("csv", StreamCodec("csv", {}, row), SCHEMAS["row"][1]),
        ("csv odd", StreamCodec("csv", other, row), SCHEMAS["row"][1]),
        ("avro slot", StreamCodec("avro-binary", {}, row), SCHEMAS["row"][1]),
    ]
    found += [
        Target(name, [codec.encode(one) for one in samples], back_and_forth(codec), ours)
        for name, codec, samples in slots
    ]
    headed = StreamCodec("csv", {}, None)
    found.append(Target("csv headed", [b"\0\0\0\3a,b1,2", b'\0\0\0\7"a",b,cx,"y""",'], headed.decode, ours))
    found += [_control(name, codec) for name, codec, _ in slots if codec.write_control(Control("pig")) is not None]
    evaluation = Evaluation(PendingForecast(1.0, 2.0, None, 3.0, 7, 8), Record(IN, 9, None, None, None, None), 1.5)
    told = [EvaluationCodec().encode(evaluation), EvaluationJson().encode(evaluation)]
    found.append(Target("evaluations", [*told, b"\0\0\0\0\7" + told[0]], _tailed, ()))
    double = codec_for("avro-binary", make_schema("double", "double"))
    found.append(Target("double", [double.encode(1.5)], back_and_forth(double), ours))
    return found


def _tailed(data: bytes) -> None:
    """Figures are made of what is decoded."""
    value, _, offset = data.rpartition(b"|") if b"|" in data[-8:] else (data, b"", b"41")
    tail = Tail(AnyEvaluation().decode, lambda _: 1.0)
    headers: Headers = [("scorer-source", b"in/1/" + offset)]
    tail.add_evaluation(Record(IN, 7, None, value, 5, headers))
    tail.add_score(Record(IN, 7, None, value, 5, headers))
    tail.pending()


def _control(name: str, codec: StreamCodec) -> Target:
    seeds = [codec.write_control(Control(*one)) for one in (("end",), ("set", 1, 2, "m"), ("pig", 3, 4, "x|y"))]

    def run(data: bytes) -> None:
        control = codec.control(data)
        if control is not None:
            codec.write_control(control)

    return Target(f"control {name}", [seed for seed in seeds if seed is not None], run, ())


def _streams() -> list[Target]:
    definition, samples = SCHEMAS["row"]
    schema = make_schema("row", definition)
    found = []
    for compress in (None, "deflate"):
        fields = {"SyncMarker": None, "Compress": compress, "SkipHeader": True}
        envelope = Envelope("ocf-block", fields, frozenset(("Compress",) if compress else ()))
        rows = [written(schema.parsed, one) for one in samples]
        seeds = [OcfFramer(envelope, definition).frame(rows * many) for many in (1, 20)]

        def ocf(envelope: Envelope = envelope) -> OcfSplitter:
            return OcfSplitter(envelope, schema)

        found.append(Target(f"ocf {compress}", seeds, _split(ocf), (TransportError,)))
    csv = CsvLines
    dialect = Dialect
    kinds: dict[str, tuple[Callable[[], envelopes.Splitter], list[bytes]]] = {
        "delimited": (lambda: envelopes.Delimited(b"\r\n", blank=False), [b"1\r\n2\r\n\r\n3"]),
        "fixed": (lambda: envelopes.Fixed(3, padded=True), [b"abcde\0fgh"]),
        "csv lines": (lambda: csv(dialect(), header=True, skip_blank=True), [b'a,b\r\n1,"2\r\n"\r\n\r\n3,4\r\n']),
        "msgpack": (
            lambda: envelopes.SelfDelimited(envelopes.MsgpackBoundaries()),
            [b"\x81\xa1a\x01\x93\x01\x02\x03\xc0"],
        ),
        "avro": (
            lambda: envelopes.SelfDelimited(AvroBoundaries(schema)),
            [b"".join(written(schema.parsed, one) for one in samples)],
        ),
        "whole": (envelopes.Whole, [b"abc"]),
        "pieces": (envelopes.Pieces, [b"abc"]),
    }
    return found + [
        Target(f"envelope {name}", seeds, _split(make, joined=name in ("avro", "msgpack")), ())
        for name, (make, seeds) in kinds.items()
    ]


def _split(make: Callable[[], envelopes.Splitter], *, joined: bool = False) -> Callable[[bytes], None]:
    def run(data: bytes) -> None:
        """In one piece, and in pieces: the records are the same, but where what cannot be read is a record itself."""
        whole, pieces = make(), make()
        records = whole.feed(data) + whole.flush()
        step = len(data) // 7 + 1
        parts = [record for at in range(0, len(data), step) for record in pieces.feed(data[at : at + step])]
        parts += pieces.flush()
        if make is not envelopes.Pieces:
            assert parts == records or (joined and b"".join(parts) == b"".join(records))

    return run


class _OneSchema:
    """Calls to a registry that has one schema, and perhaps another that it refers to."""

    where = "http://registry"

    def __init__(self, main: Definition, other: Definition | None = None) -> None:
        self.main, self.other = main, other

    def by_id(self, number: int) -> Definition:
        return self.main

    def by_version(self, subject: str, version: int) -> Definition:
        assert self.other is not None
        return self.other

    def register(self, subject: str, schema: str) -> int:
        raise NotImplementedError


def _texts() -> list[Target]:
    def schema(data: bytes) -> None:
        made = checked_schema("x", json.loads(data))
        AvroCodec(made)
        codec = AvroCodec(made)
        json_codec = codec_for("json", made)
        for sample in (b"", b"\0\0\0\0", b"\2\2\2\2\2"):
            for one in (codec, json_codec):
                with contextlib.suppress(DecodeError, SchemaError):
                    one.decode(sample)

    def from_registry(data: bytes) -> None:
        with contextlib.suppress(UnknownSchema):
            Registry(_OneSchema(Definition(text := data.decode(errors="replace")))).schema(1)
        using = Definition(f'["string", {text}]', references=(Reference("other", 1),))
        Registry(_OneSchema(using, Definition(text))).schema(1)

    texts = [json.dumps(definition).encode() for definition, _ in SCHEMAS.values()]
    read = (BadSchema, ValueError, RecursionError)  # the last two of `json.loads`, which callers look after
    return [
        Target("schema", texts, schema, read, json=True),
        Target("schema of a registry", texts, from_registry, (UnknownSchema,), json=True),
        Target("descriptor", _descriptors(), _descriptor, (DescriptorError,), json=True),
        Target(
            "literal", [b"inline:1,2,3", b"kafka:h:9092/t.json", b"tcp:h:1", b"udp:1:2"], _literal, (DescriptorError,)
        ),
        Target("annotations", [source.encode() for source in SOURCES], _source, (ModelError,)),
    ]


def _source(data: bytes) -> None:
    annotations.parse(data.decode("utf-8", "surrogateescape"))


def _literal(data: bytes) -> None:
    parse(literals.expand(data.decode(errors="replace")), slot=0, find_schema={}.__getitem__)


def _descriptors() -> list[bytes]:
    kafka = {"Type": "Kafka", "BootstrapServers": ["h:9092"], "Topic": "t", "Group": "g", "Partition": 0}
    row = SCHEMAS["row"][0]
    made = [
        {"Transport": kafka, "Encoding": "json", "Schema": "int", "SkipToRecord": "latest", "LingerTime": 5},
        {"Transport": "REST", "Envelope": None, "Encoding": None, "Schema": None, "Batching": "explicit"},
        {"Transport": {"Type": "file", "Path": "/x"}, "Encoding": {"Type": "csv", "Delimiter": ";", "QuoteCharacter": "'"},
         "Envelope": {"Type": "delimited-csv", "Separator": "\n", "SkipHeader": True, "SkipBlankLines": False},
         "Schema": row, "SkipTo": 5, "Loop": True, "EndMarker": "$end"},
        {"Transport": {"Type": "inline", "Data": ["1", "2"]}, "Encoding": {"Type": "json", "Strict": True}, "Loop": True},
        {"Transport": {"Type": "inline", "DataBinary": "AAEC"}, "Encoding": None, "Envelope": {"Type": "fixed", "Size": 3}},
        {"Transport": {"Type": "time", "TimeZero": "2018-02-28T12:00:00Z", "Delay": 1, "Period": 0.5, "MaxCount": 3}},
        {"Transport": {"Type": "s3", "Bucket": "abc", "ObjectKey": "k"}, "Encoding": "avro", "Schema": {"$ref": "node"},
         "Envelope": {"Type": "ocf-block", "SyncMarker": "AAECAwQFBgcICQoLDA0ODw==", "Compress": "deflate"}},
        {"Transport": {"Type": "udp", "Bind": "0.0.0.0", "Port": 7}, "Batching": {"Watermark": 5, "NagleTime": 7}},
        {"Transport": {"Type": "http", "Url": "http://h/", "Chunked": False}, "Encoding": "msgpack", "SkipTo": 1},
        {"Transport": {"Type": "exec", "Run": "/x", "Args": ["a"]}, "Encoding": "utf-8", "Envelope": "delimited"},
    ]  # fmt: skip
    return [json.dumps(one).encode() for one in made]


_LIBRARY: dict[str, Any] = {"node": SCHEMAS["recursive"][0], "row": SCHEMAS["row"][0], "twice0": "int"}
_LIBRARY |= {
    f"twice{number}": {"type": "record", "name": f"T{number}", "fields": [
        {"name": name, "type": {"$ref": f"twice{number - 1}"}} for name in "ab"
    ]}
    for number in range(1, 31)
}  # fmt: skip


def _descriptor(data: bytes) -> None:
    try:
        raw = json.loads(data)
    except (ValueError, RecursionError):
        return
    for slot, inherited in ((0, None), (1, ("row", SCHEMAS["row"][0]))):
        stream = parse(raw, slot=slot, name="s", dry_run=True, inherited=inherited, find_schema=_LIBRARY.__getitem__)
        stream.interpreted()
        if stream.encoding not in (None, "soap-rpc") and (
            stream.schema or stream.encoding not in ("csv", "avro-binary")
        ):
            stream.spec.make()
        if opener := _splitter_opener(stream):
            with contextlib.suppress(TransportError):
                opener().feed(b"1,2\r\n\0\1\2" * 9)


GROUPS: dict[str, Callable[[], list[Target]]] = {
    "state": _states,
    "avro": avro,
    "resolution": resolved,
    "encodings": _encodings,
    "streams": _streams,
    "texts": _texts,
}
SHARES = {"state": 4, "avro": 4, "resolution": 1, "encodings": 5, "streams": 2, "texts": 3}
"""Of the inputs of a run."""
