"""JSON Schemas of what the API takes and answers, and the media types of answers that are not JSON.

By operation, as "METHOD path". `openapi.py` makes the document of them; a test sends requests made from it to every operation,
and compares every answer with it.

Over 300 lines: one table of all operations.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stream_scorer.modelop.process.import_policy import KINDS as POLICIES
from stream_scorer.modelop.server.content_types import ATTACHMENT_TYPES, MODEL_TYPES, POLICY, RUN_HERE
from stream_scorer.modelop.server.names import MAX_BYTES
from stream_scorer.modelop.streams.descriptor_parts import ENCODINGS, ENVELOPES, MAX_MS
from stream_scorer.modelop.streams.transport_kinds import KINDS, MAX_WHOLE

JsonSchema = Mapping[str, Any]
OCTETS, YAML, JSON, TEXT = "application/octet-stream", "application/x-yaml", "application/json", "text/plain"
ANY: JsonSchema = {}
STRING: JsonSchema = {"type": "string"}
_WHOLE: JsonSchema = {"type": "integer", "minimum": 0, "maximum": MAX_WHOLE}
_MS: JsonSchema = {"type": ["integer", "null"], "minimum": 0, "maximum": MAX_MS}
_NUMBER: JsonSchema = {"type": "number"}
NAME: JsonSchema = {"type": "string", "minLength": 1, "maxLength": MAX_BYTES}
SLOT: JsonSchema = {"type": "integer", "minimum": 0, "maximum": 999_999}


def _ref(name: str) -> JsonSchema:
    return {"$ref": f"#/components/schemas/{name}"}


def _list(of: JsonSchema) -> JsonSchema:
    return {"type": "array", "items": of}


def _object(**fields: JsonSchema) -> JsonSchema:
    """Every field is there."""
    return {"type": "object", "properties": fields, "required": [*fields]}


def _one_of(*words: str) -> JsonSchema:
    return {"type": "string", "enum": [*words]}


def _quantity(low: float, high: float) -> JsonSchema:
    return {
        "anyOf": [
            {"type": "number", "minimum": low, "maximum": high},
            {"type": "string", "pattern": "^[0-9]+[kmgtKMGT]?$"},
        ]
    }


_SCHEMA_OR_NONE: JsonSchema = {"anyOf": [_ref("AvroSchema"), {"type": "null"}]}
_SLOT_INFO = _object(
    slot=SLOT, schema=_SCHEMA_OR_NONE, recordsets={"type": "boolean"}, action={"type": ["string", "null"]}
)
_JETS = _list({"type": "object", "required": ["pid", "sandbox"]})
_SNAPSHOTS = _one_of("none", "eof")
_STATE = _one_of("init", "running", "pigging", "paused", "finishing", "finished", "error")
_MESSAGE = {"type": "object", "required": ["src", "timestamp", "type"]}
_SNAPSHOT_INFO = _object(id=STRING, created_on={"type": "string", "format": "date-time"}, type=STRING, size=_WHOLE)

COMPONENTS: Mapping[str, JsonSchema] = {
    "AvroSchema": {
        "description": "Avro in JSON, the name of a schema, or a reference to one",
        "anyOf": [
            _one_of("null", "boolean", "int", "long", "float", "double", "bytes", "string"),
            {"type": "string", "maxLength": MAX_BYTES},
            {"type": "object", "properties": {"$ref": STRING}, "required": ["$ref"]},
            {"type": "object", "properties": {"type": ANY, "name": STRING, "fields": _list(ANY)}, "required": ["type"]},
            _list(ANY),
        ],
    },
    "StreamDescriptor": {
        "description": "docs/engine.md; fields that are not here are ignored",
        "anyOf": [
            _one_of("REST", "discard", "debug"),
            {
                "type": "object",
                "required": ["Transport"],
                "properties": {
                    "Transport": _ref("Transport"),
                    "Loop": {"type": ["boolean", "null"]},
                    "SkipTo": {"anyOf": [_WHOLE, {"type": "null"}]},
                    "SkipToRecord": {"anyOf": [_WHOLE, _one_of("earliest", "latest"), {"type": "null"}]},
                    "Envelope": {
                        "anyOf": [
                            {"type": "null"},
                            _one_of(*ENVELOPES),
                            {
                                "type": "object",
                                "properties": {
                                    "Type": _one_of(*ENVELOPES),
                                    "Separator": STRING,
                                    "Size": {"type": "integer"},
                                    "SkipHeader": {"type": "boolean"},
                                    "SkipBlankLines": {"type": "boolean"},
                                    "SyncMarker": STRING,
                                    "Compress": {"type": ["string", "null"], "enum": [None, "deflate"]},
                                },
                                "required": ["Type"],
                            },
                        ]
                    },
                    "Encoding": {
                        "anyOf": [
                            {"type": "null"},
                            _one_of(*ENCODINGS),
                            {
                                "type": "object",
                                "properties": {
                                    "Type": _one_of(*ENCODINGS),
                                    "QuoteCharacter": {"type": "string", "minLength": 1, "maxLength": 1},
                                    "Delimiter": {"type": "string", "minLength": 1},
                                    "Strict": {"type": "boolean"},
                                    "Unions": _one_of("tagged", "untagged"),
                                },
                                "required": ["Type"],
                            },
                        ]
                    },
                    "Schema": _SCHEMA_OR_NONE,
                    "Batching": {
                        "anyOf": [
                            {"type": "null"},
                            _one_of("normal", "explicit"),
                            {
                                "type": "object",
                                "properties": {
                                    "Watermark": {"type": ["integer", "null"], "minimum": 1, "maximum": MAX_WHOLE},
                                    "NagleTime": _MS,
                                },
                            },
                        ]
                    },
                    "LingerTime": _MS,
                    "EndMarker": {"type": ["string", "null"]},
                    "Description": STRING,
                },
            },
        ],
    },
    "Transport": {
        "anyOf": [
            _one_of("REST", "discard"),
            *(
                {
                    "type": "object",
                    "title": name,
                    "properties": {"Type": {"const": name}} | dict.fromkeys(kind.fields, ANY),
                    "required": ["Type", *(field for field, rule in kind.fields.items() if rule.required)],
                }
                for name, kind in KINDS.items()
            ),
        ]
    },
    "SensorDescriptor": {
        "type": "object",
        "required": ["Tap"],
        "properties": {
            "Tap": {"type": "string", "examples": ["sys.memory", "manifold.0.records.count"]},
            "Activate": {
                "anyOf": [
                    _one_of("permanent"),
                    {
                        "type": "object",
                        "properties": {
                            "Type": _one_of("permanent", "regular", "random"),
                            "Interval": _quantity(0.001, 1e9),
                            "Intensity": _quantity(1e-6, 1000),
                            "Duration": _quantity(0, 1e9),
                            "MaxReads": _quantity(1, 1e300),
                        },
                    },
                ]
            },
            "Report": {"type": "object", "properties": {"Interval": _quantity(0, 1e9)}},
            "Filter": {
                "type": "object",
                "properties": {
                    "Type": _one_of(">", ">=", "<", "<=", "within-range", "outside-range"),
                    "Threshold": _quantity(-1e300, 1e300),
                    "MinValue": _quantity(-1e300, 1e300),
                    "MaxValue": _quantity(-1e300, 1e300),
                },
                "required": ["Type"],
            },
            "Aggregate": {
                "anyOf": [
                    {"type": "null"},
                    _one_of("accumulate", "sum", "count"),
                    {
                        "type": "object",
                        "properties": {
                            "Type": _one_of("accumulate", "sum", "count"),
                            "SampleSize": _quantity(1, 1e300),
                        },
                    },
                ]
            },
            "Sink": _one_of("Pneumo"),
        },
    },
    "Configuration": {"type": "object", "additionalProperties": ANY},
    "ImportPolicy": {
        "type": ["object", "null"],
        "additionalProperties": {
            "anyOf": [
                _one_of(*POLICIES),
                {
                    "type": "object",
                    "properties": {"policy": _one_of(*POLICIES), "command": STRING},
                    "required": ["policy"],
                },
            ]
        },
    },
}

_ATTACH = (
    "PUT /2/active/stream/{slot}", "PUT /1/job/stream/in", "PUT /1/job/stream/out", "PUT /1/job/stream/{slot}",
)  # fmt: skip
_POLICY_TYPES = {POLICY + name: _ref("ImportPolicy") for name in RUN_HERE}
_DRY_LOAD = _object(
    slots=_list(_SLOT_INFO),
    install_libs=_list(STRING),
    warn_libs=_list(STRING),
    attach_libs=_list(STRING),
    snapshots=_SNAPSHOTS,
)
_DRY_ATTACH = {
    "type": "object",
    "required": ["transport", "encoding", "loop", "batching", "linger_time"],
    "properties": {
        "transport": {"type": "object", "required": ["type"]},
        "loop": {"type": "boolean"},
        "linger_time": _MS,
    },
}
_ACTIVE_MODEL = _object(
    name=STRING, mtype=_one_of(*RUN_HERE), source=STRING, slots=_list(_SLOT_INFO), attachments=_list(STRING),
    snapshots=_SNAPSHOTS, jets=_JETS,
)  # fmt: skip
_STATUS = {
    "type": "object",
    "properties": {
        "state": _STATE,
        "model": {"type": ["object", "null"]},
        "slots": _list({"type": "object", "required": ["slot", "schema", "recordsets", "action", "stream"]}),
        "jets": _JETS,
        "snapshots": _SNAPSHOTS,
        "error": {"type": ["string", "null"]},
    },
}
_CPU = {
    "type": "object",
    "properties": dict.fromkeys(
        "duration input_bytes input_records output_bytes output_records user_time kernel_time".split(), _NUMBER
    ),
    "required": "duration input_bytes input_records output_bytes output_records user_time kernel_time op_times jets".split(),
}
_INSTANCE = {"type": "object", "properties": {"port": {"type": "integer", "minimum": 1, "maximum": 65535}}}
_SENSOR = ("id", "tap", "active", "permanent")
_SENSOR_FIELDS = {
    "id": {"type": "integer"},
    "tap": STRING,
    "active": {"type": "boolean"},
    "permanent": {"type": "boolean"},
}


def _sensor(*names: str) -> JsonSchema:
    return _object(**{name: _SENSOR_FIELDS[name] for name in names})


ANSWERS: Mapping[str, Mapping[str, JsonSchema]] = {
    "GET /1/health": {JSON: _object(id=STRING, release=STRING, built_on=STRING)},
    "GET /1/swagger": {JSON: _object(openapi=STRING, info=ANY, paths=ANY), YAML: ANY},
    "POST /1/control/sensor": {JSON: _object(id={"type": "integer"})},
    "POST /2/active/sensor": {JSON: _object(id={"type": "integer"})},
    "GET /2/active/sensor": {JSON: _list(_sensor("id", "tap"))},
    "GET /1/control/sensor": {JSON: _list(_sensor("id", "tap", "active"))},
    "GET /1/control/sensor/available": {JSON: _list(STRING)},
    "GET /2/active/sensor/points": {JSON: _list(STRING)},
    "GET /1/control/sensor/{id}": {JSON: _sensor("id", "tap", "permanent")},
    # Connect
    "GET /1/connect": {JSON: _list(_INSTANCE)},
    "GET /1/config": {JSON: ANY, YAML: ANY},
    "GET /2/pneumo": {JSON: _list(_MESSAGE)},
    # Engines
    "GET /2/engine/state": {JSON: _object(state=_STATE)},
    "PUT /1/job/model": {JSON: _DRY_LOAD},
    "GET /2/active/model": {JSON: _ACTIVE_MODEL},
    "POST /2/active/model/roundtrip/{in}/{out}": {OCTETS: ANY},
    "GET /2/active/stream": {
        JSON: _list(_object(slot=SLOT, name=STRING, descriptor=_ref("StreamDescriptor"), eof={"type": "boolean"}))
    },
    **{name: {JSON: _DRY_ATTACH} for name in _ATTACH},
    "POST /2/active/schema/verify": {JSON: _object(id={"type": "integer"})},
    "GET /1/job/output": {OCTETS: ANY},
    "GET /1/job/output/{slot}": {OCTETS: ANY},
    "POST /1/stream/sample": {JSON: _list({"type": "string", "contentEncoding": "base64"})},
    "POST /1/stream/rate": {JSON: _list(_object(rps=_NUMBER, mbps=_NUMBER))},
    "GET /1/job/status": {JSON: _STATUS},
    "POST /1/job/sample/cpu": {JSON: _CPU},
    "GET /1/debug/output": {JSON: _list(STRING)},
    "GET /1/policy": dict.fromkeys(_POLICY_TYPES, ANY),
    # Model Manage
    "GET /1/model": {JSON: _list({"anyOf": [STRING, _object(name=STRING, type=_one_of(*MODEL_TYPES.values()))]})},
    "GET /1/model/{model}": dict.fromkeys(MODEL_TYPES, ANY),
    "GET /1/model/{model}/attachment": {JSON: _list(STRING)},
    "GET /1/model/{model}/attachment/{attachment}": dict.fromkeys(ATTACHMENT_TYPES, ANY),
    "HEAD /1/model/{model}/attachment/{attachment}": dict.fromkeys(ATTACHMENT_TYPES, ANY),
    **{f"GET /1/{kind}": {JSON: _list(STRING)} for kind in ("schema", "stream", "sensor")},
    "GET /1/schema/{schema}": {JSON: ANY},
    "GET /1/stream/{stream}": {JSON: {"type": "object"}},
    "GET /1/sensor/{sensor}": {JSON: {"type": "object"}},
    "GET /1/model/{model}/snapshot": {JSON: _list(_SNAPSHOT_INFO)},
    "GET /1/model/{model}/snapshot/{id}": {"multipart/mixed": ANY},
    "GET /1/model/{model}/snapshot/{id}/metadata": {JSON: _SNAPSHOT_INFO},
    "GET /1/model/{model}/snapshot/{id}/contents": {OCTETS: ANY},
}
"""Media types and schemas of status 200."""

BODIES: Mapping[str, JsonSchema] = {
    "POST /1/control/sensor": _ref("SensorDescriptor"),
    "POST /2/active/sensor": _ref("SensorDescriptor"),
    "PUT /1/config": _ref("Configuration"),
    "POST /2/active/model/scale": {"type": "integer", "minimum": 0, "maximum": 64},
    **dict.fromkeys(
        (*_ATTACH, "POST /1/stream/sample", "POST /1/stream/rate"),
        _ref("StreamDescriptor"),
    ),
    "POST /2/active/schema/verify": _ref("AvroSchema"),
    "POST /2/active/schema/verify/{id}": _object(data=ANY),
    "PUT /1/policy": _ref("ImportPolicy"),
    "PUT /1/schema/{schema}": _ref("AvroSchema"),
    "PUT /1/stream/{stream}": {"type": "object"},
    "PUT /1/sensor/{sensor}": {"type": "object"},
}  # fmt: skip
"""Schemas of bodies in JSON or YAML."""
NO_BODY_NEEDED = ("POST /2/active/model/scale",)

_BOOLEAN: JsonSchema = {"type": "boolean"}
QUERY: Mapping[str, JsonSchema] = {
    "dry-run": _BOOLEAN,
    "preinstall": _BOOLEAN,
    "n": {"type": "integer", "minimum": 0, "maximum": 1_000_000_000},
    "count": {"type": "integer", "minimum": 0, "maximum": 1_000_000_000},
    "timeout": {"type": "number", "minimum": 0, "maximum": 1_000_000_000},
    "duration": {"type": "number", "exclusiveMinimum": 0, "maximum": 60},
    "date-range": {"type": "string", "examples": ["2026-01-01--", "--2026-12-31", "2026-01-01T00:00:00Z--2026-02-01"]},
}
"""Of parameters that are not any text."""
NAMED = "PUT /1/job/model", *_ATTACH
"""Operations with a name in the header Content-Disposition."""
