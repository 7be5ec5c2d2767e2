"""The REST API of an engine: version 2, and the operations of version 1 that have no other name there (rules `h`)."""

from __future__ import annotations

import base64
import json

from starlette.responses import Response

from stream_scorer.errors import StateError, Unavailable
from stream_scorer.modelop.dataflow.manifold import ROUNDTRIP_MS
from stream_scorer.modelop.server import multipart
from stream_scorer.modelop.server.answers import HttpError, empty, exact, json_answer, one_line
from stream_scorer.modelop.server.api import Call
from stream_scorer.modelop.server.content_types import MODEL_TYPES, RUN_HERE, SCHEMA
from stream_scorer.modelop.server.engine import Engine
from stream_scorer.modelop.server.instance import instance_api
from stream_scorer.modelop.server.loads import read_package
from stream_scorer.modelop.server.names import check_name
from stream_scorer.modelop.streams import opening
from stream_scorer.modelop.streams.descriptor import parse
from stream_scorer.modelop.streams.stream import Stream

OUTPUT_WAIT_S = 0.6
"""How long a request for an output waits. Clients ask again at once after 202, and would spin. It is longer than the 500
ms for which a record set stays open, so that the output of a single record comes with the first request for it."""

API = instance_api("engine", "Engine")
_DONE = {204: "done", 400: "a reason"}
_DRY = {"dry-run": "True: check it only"}
_JSON = ("application/json",)
_OCTETS = ("application/octet-stream",)


@API.on("GET", "/2/engine/state", "state of the engine", {200: '{"state": "running"}'})
def state(engine: Engine, _: Call) -> Response:
    return json_answer({"state": engine.manifold.state})


@API.on("POST", "/2/engine/pause", "stop the data flow, or do not begin it", _DONE)
def pause(engine: Engine, _: Call) -> Response:
    engine.manifold.pause()
    return empty()


@API.on("POST", "/2/engine/unpause", "let data flow again", _DONE)
def unpause(engine: Engine, _: Call) -> Response:
    engine.manifold.unpause()
    return empty()


@API.on("DELETE", "/1/job", "unload the model and detach all streams (old)", {204: "done"})
@API.on("POST", "/2/engine/reset", "unload the model and detach all streams", _DONE)
def reset(engine: Engine, _: Call) -> Response:
    engine.manifold.reset()
    return empty()


@API.on(
    "PUT",
    "/1/job/model",
    "load a model",
    {200: "dry run: slots, libraries, snapshots", 204: "loaded", 400: "a reason"},
    query=_DRY,
    body=(*(kind for kind, name in MODEL_TYPES.items() if name in RUN_HERE), "multipart/mixed"),
)
def load(engine: Engine, call: Call) -> Response:
    package = read_package(call, engine.library.attachment)
    if call.flag("dry-run"):
        return json_answer(engine.manifold.verify(package))
    engine.manifold.load(package)
    return empty()


@API.on("GET", "/2/active/model", "the loaded model", {200: "name, mtype, source, slots, jets...", 404: "none"})
def active_model(engine: Engine, _: Call) -> Response:
    model = engine.manifold.active_model()
    if model is None:
        raise HttpError(404, "no model is loaded")
    return json_answer(model)


@API.on("DELETE", "/1/job/model", "unload the model (old)", {**_DONE, 404: "none"})
@API.on("DELETE", "/2/active/model", "unload the model, in INIT", {**_DONE, 404: "none"})
def unload(engine: Engine, _: Call) -> Response:
    if engine.manifold.active_model() is None:
        raise HttpError(404, "no model is loaded")
    engine.manifold.unload()
    return empty()


@API.on("POST", "/2/active/model/scale", "how many jets run the model; no body for 0", _DONE, body=_JSON)
def scale(engine: Engine, call: Call) -> Response:
    count = call.json("scale") if call.body.strip() else 0
    if isinstance(count, bool) or not isinstance(count, int) or count < 0:
        raise HttpError(400, f"scale to a number of jets from 0 on, not {json.dumps(count)[:60]}")
    engine.manifold.scale(count)
    return empty()


@API.on(
    "POST",
    "/2/active/model/roundtrip/{in}/{out}",
    "one record to a REST stream, and its output",
    {200: "the output record", 403: "no REST stream there", 408: "nothing came in time"},
    query={"timeout": f"ms; {ROUNDTRIP_MS:g} unless given"},
    body=_OCTETS,
)
def roundtrip(engine: Engine, call: Call) -> Response:
    timeout_ms = int(call.number("timeout", 0))
    try:
        output = engine.manifold.roundtrip(call.slot("in"), call.slot("out"), call.body, timeout_ms)
    except Unavailable as error:
        raise HttpError(408, one_line(error)) from error
    return exact(output, "application/octet-stream")


@API.on("GET", "/2/active/stream", "attached streams", {200: "[{slot, name, descriptor, eof}]"})
def active_streams(engine: Engine, _: Call) -> Response:
    return json_answer(engine.manifold.active_streams())


@API.on(
    "PUT",
    "/2/active/stream/{slot}",
    "attach a stream",
    {200: "dry run: the descriptor as it was understood", 204: "attached", 400: "a reason"},
    query=_DRY,
    body=_JSON,
)
def attach(engine: Engine, call: Call) -> Response:
    return attach_at(engine, call, call.slot())


def attach_at(engine: Engine, call: Call, slot: int) -> Response:
    given = multipart.parameters(call.headers.get("content-disposition", "")).get("name")
    name = check_name(given or f"stream-{slot}", "stream name")
    dry_run = call.flag("dry-run")
    interpreted = engine.manifold.attach(slot, name, call.json("stream descriptor"), dry_run=dry_run)
    return json_answer(interpreted) if dry_run else empty()


@API.on("DELETE", "/2/active/stream/{slot}", "detach a stream, unless running", {**_DONE, 404: "none there"})
def detach(engine: Engine, call: Call) -> Response:
    slot = call.slot()
    if slot not in {stream["slot"] for stream in engine.manifold.active_streams()}:
        raise HttpError(404, f"no stream is attached at slot {slot}")
    engine.manifold.detach(slot)
    return empty()


@API.on("POST", "/2/active/schema/verify", "check a schema, and keep it", {200: "its id", 400: "a reason"},
        body=("application/json", SCHEMA))  # fmt: skip
def verify_schema(engine: Engine, call: Call) -> Response:
    return json_answer({"id": engine.prepare_schema(call.json("schema"))})


@API.on("POST", "/2/active/schema/verify/{id}", "check data against a schema that was kept",
        {204: "it fits", 400: "a reason", 404: "no such schema"}, body=_JSON)  # fmt: skip
def verify_data(engine: Engine, call: Call) -> Response:
    wrapped = call.json("record", nan=True)  # as the codec of json does, unless a stream says Strict
    if not isinstance(wrapped, dict) or "data" not in wrapped:
        raise HttpError(400, 'wrap the record: {"data": RECORD}')
    engine.check_data(call.number_in_path(), wrapped["data"])
    return empty()


@API.on(
    "DELETE", "/2/active/schema/verify/{id}", "drop a schema that was kept", {204: "dropped", 404: "no such schema"}
)
def drop_schema(engine: Engine, call: Call) -> Response:
    if not engine.drop_schema(call.number_in_path()):
        raise HttpError(404, f"no schema with id {call.path['id']}")
    return empty()


_INPUT = {204: "taken", 403: "no REST stream there", 503: "too much waits already"}
_OUTPUT = {200: "a record", 202: "nothing yet", 204: "the end of the stream", 403: "no REST stream there"}


@API.on("POST", "/1/job/input", "data for the REST stream at slot 0", _INPUT, body=_OCTETS)
def input_0(engine: Engine, call: Call) -> Response:
    return _input(engine, 0, call)


@API.on("POST", "/1/job/input/{slot}", "data for the REST stream at a slot", _INPUT, body=_OCTETS)
def input_at(engine: Engine, call: Call) -> Response:
    return _input(engine, call.slot(), call)


def _input(engine: Engine, slot: int, call: Call) -> Response:
    try:
        engine.manifold.input(slot, call.body)
    except Unavailable as error:  # too much waits for the model
        raise HttpError(503, one_line(error)) from error
    return empty()


@API.on("GET", "/1/job/output", "data from the REST stream at slot 1", _OUTPUT)
def output_1(engine: Engine, _: Call) -> Response:
    return _output(engine, 1)


@API.on("GET", "/1/job/output/{slot}", "data from the REST stream at a slot", _OUTPUT)
def output_at(engine: Engine, call: Call) -> Response:
    return _output(engine, call.slot())


API.takes("/1/job/output", "/1/job/output/{slot}")


def _output(engine: Engine, slot: int) -> Response:
    record = engine.manifold.output(slot, OUTPUT_WAIT_S)
    return empty(202) if record is None else exact(record, "application/octet-stream")


@API.on(
    "PUT",
    "/1/job/state",
    "restore a snapshot, in INIT",
    {204: "done", 400: "corrupt, or of another model", 403: "too late"},
    body=_OCTETS,
)
def restore(engine: Engine, call: Call) -> Response:
    try:
        engine.manifold.restore(call.body)
    except StateError as error:
        raise HttpError(403, one_line(error)) from error
    return empty()


@API.on("POST", "/1/stream/sample", "a few records of a stream, attached or not",
        {200: "[base64]", 400: "a reason"}, query={"n": "how many; 10 unless given"}, body=_JSON)  # fmt: skip
def sample(engine: Engine, call: Call) -> Response:
    count = int(call.number("n", 10))
    return json_answer([base64.b64encode(record).decode() for record in opening.sample(_stream(engine, call), count)])


@API.on("POST", "/1/stream/rate", "how fast a stream can be read", {200: "[{rps, mbps}]", 400: "a reason"}, body=_JSON)
def rate(engine: Engine, call: Call) -> Response:
    return json_answer([opening.rate(_stream(engine, call))])


def _stream(engine: Engine, call: Call) -> Stream:
    raw = call.json("stream descriptor")
    return parse(raw, slot=0, inherited=None, find_schema=engine.library.schema)
