"""The REST API of an engine, version 2 and what of version 1 has no other name there [h]."""

from __future__ import annotations

import base64
import json

from starlette.responses import Response

from stream_scorer.errors import StreamScorerError, Unavailable
from stream_scorer.modelop.dataflow.manifold import ROUNDTRIP_MS
from stream_scorer.modelop.server import multipart
from stream_scorer.modelop.server.answers import HttpError, empty, exact, json_answer, one_line
from stream_scorer.modelop.server.api import Call
from stream_scorer.modelop.server.engine import Engine
from stream_scorer.modelop.server.instance import instance_api
from stream_scorer.modelop.server.loads import read_package
from stream_scorer.modelop.server.types import MODEL_TYPES, RUN_HERE, SCHEMA
from stream_scorer.modelop.streams import opening
from stream_scorer.modelop.streams.descriptor import Stream, parse

OUTPUT_WAIT_S = 0.6
"""About half a second [h]: clients ask again at once after 202, and would spin. It outlasts the 500 ms for which a
record set stays open, so that what comes of a single record comes with the first request for it."""

API = instance_api("engine", "Engine")
_DONE = {204: "done", 400: "a reason"}
_DRY = {"dry-run": "True: check it only"}
_JSON = ("application/json",)
_OCTETS = ("application/octet-stream",)


@API.on("GET", "/2/engine/state", "state of the engine", {200: '{"state": "running"}'})
def state(here: Engine, _: Call) -> Response:
    return json_answer({"state": here.manifold.state})


@API.on("POST", "/2/engine/pause", "stop the data flow, or do not begin it", _DONE)
def pause(here: Engine, _: Call) -> Response:
    here.manifold.pause()
    return empty()


@API.on("POST", "/2/engine/unpause", "let data flow again", _DONE)
def unpause(here: Engine, _: Call) -> Response:
    here.manifold.unpause()
    return empty()


@API.on("DELETE", "/1/job", "unload the model and detach all streams (old)", {204: "done"})
@API.on("POST", "/2/engine/reset", "unload the model and detach all streams", _DONE)
def reset(here: Engine, _: Call) -> Response:
    here.manifold.reset()
    return empty()


@API.on(
    "PUT",
    "/1/job/model",
    "load a model",
    {200: "dry run: slots, libraries, snapshots", 204: "loaded", 400: "a reason"},
    query=_DRY,
    body=(*(kind for kind, name in MODEL_TYPES.items() if name in RUN_HERE), "multipart/mixed"),
)
def load(here: Engine, call: Call) -> Response:
    package = read_package(call, here.library.attachment)
    if call.flag("dry-run"):
        return json_answer(here.manifold.verify(package))
    here.manifold.load(package)
    return empty()


@API.on("GET", "/2/active/model", "the loaded model", {200: "name, mtype, source, slots, jets...", 404: "none"})
def active_model(here: Engine, _: Call) -> Response:
    found = here.manifold.active_model()
    if found is None:
        raise HttpError(404, "no model is loaded")
    return json_answer(found)


@API.on("DELETE", "/1/job/model", "unload the model (old)", _DONE)
@API.on("DELETE", "/2/active/model", "unload the model, in INIT", {**_DONE, 404: "none"})
def unload(here: Engine, _: Call) -> Response:
    if here.manifold.active_model() is None:
        raise HttpError(404, "no model is loaded")
    here.manifold.unload()
    return empty()


@API.on("POST", "/2/active/model/scale", "how many jets run the model; no body for 0", _DONE, body=_JSON)
def scale(here: Engine, call: Call) -> Response:
    count = call.json("scale") if call.body.strip() else 0
    if isinstance(count, bool) or not isinstance(count, int) or count < 0:
        raise HttpError(400, f"scale to a number of jets from 0 on, not {json.dumps(count)[:60]}")
    here.manifold.scale(count)
    return empty()


@API.on(
    "POST",
    "/2/active/model/roundtrip/{in}/{out}",
    "one record to a REST stream, and what comes of it",
    {200: "the output record", 403: "no REST stream there", 408: "nothing came in time"},
    query={"timeout": f"ms; {ROUNDTRIP_MS:g} unless given"},
    body=_OCTETS,
)
def roundtrip(here: Engine, call: Call) -> Response:
    timeout_ms = int(call.number("timeout", 0))
    try:
        found = here.manifold.roundtrip(call.slot("in"), call.slot("out"), call.body, timeout_ms)
    except Unavailable as error:
        raise HttpError(408, one_line(error)) from error
    return exact(found, "application/octet-stream")


@API.on("GET", "/2/active/stream", "attached streams", {200: "[{slot, name, descriptor, eof}]"})
def active_streams(here: Engine, _: Call) -> Response:
    return json_answer(here.manifold.active_streams())


@API.on(
    "PUT",
    "/2/active/stream/{slot}",
    "attach a stream",
    {200: "dry run: the descriptor as it was understood", 204: "attached", 400: "a reason"},
    query=_DRY,
    body=_JSON,
)
def attach(here: Engine, call: Call) -> Response:
    return attach_at(here, call, call.slot())


def attach_at(here: Engine, call: Call, slot: int) -> Response:
    name = multipart.parameters(call.headers.get("content-disposition", "")).get("name") or f"stream-{slot}"
    dry_run = call.flag("dry-run")
    found = here.manifold.attach(slot, name, call.json("stream descriptor"), dry_run=dry_run)
    return json_answer(found) if dry_run else empty()


@API.on("DELETE", "/2/active/stream/{slot}", "detach a stream, unless running", {**_DONE, 404: "none there"})
def detach(here: Engine, call: Call) -> Response:
    slot = call.slot()
    if slot not in {one["slot"] for one in here.manifold.active_streams()}:
        raise HttpError(404, f"no stream is attached at slot {slot}")
    here.manifold.detach(slot)
    return empty()


@API.on("POST", "/2/active/schema/verify", "check a schema, and keep it", {200: "its id", 400: "a reason"},
        body=("application/json", SCHEMA))  # fmt: skip
def verify_schema(here: Engine, call: Call) -> Response:
    return json_answer({"id": here.prepare_schema(call.json("schema"))})


@API.on("POST", "/2/active/schema/verify/{id}", "check data against a schema kept so",
        {204: "it fits", 400: "a reason", 404: "no such schema"}, body=_JSON)  # fmt: skip
def verify_data(here: Engine, call: Call) -> Response:
    given = call.json("record")
    if not isinstance(given, dict) or "data" not in given:
        raise HttpError(400, 'wrap the record: {"data": RECORD}')
    here.check_data(call.path["id"], given["data"])
    return empty()


@API.on("DELETE", "/2/active/schema/verify/{id}", "drop a schema kept so", {204: "dropped", 404: "no such schema"})
def drop_schema(here: Engine, call: Call) -> Response:
    if not here.drop_schema(call.path["id"]):
        raise HttpError(404, f"no schema with id {call.path['id']}")
    return empty()


_INPUT = {204: "taken", 403: "no REST stream there", 503: "too much waits already"}
_OUTPUT = {200: "a record", 202: "nothing yet", 204: "the end of the stream", 403: "no REST stream there"}


@API.on("POST", "/1/job/input", "data for the REST stream at slot 0", _INPUT, body=_OCTETS)
def input_0(here: Engine, call: Call) -> Response:
    return _input(here, 0, call)


@API.on("POST", "/1/job/input/{slot}", "data for the REST stream at a slot", _INPUT, body=_OCTETS)
def input_at(here: Engine, call: Call) -> Response:
    return _input(here, call.slot(), call)


def _input(here: Engine, slot: int, call: Call) -> Response:
    try:
        here.manifold.input(slot, call.body)
    except Unavailable as error:  # the model is far behind
        raise HttpError(503, one_line(error)) from error
    return empty()


@API.on("GET", "/1/job/output", "data from the REST stream at slot 1", _OUTPUT)
def output_1(here: Engine, _: Call) -> Response:
    return _output(here, 1)


@API.on("GET", "/1/job/output/{slot}", "data from the REST stream at a slot", _OUTPUT)
def output_at(here: Engine, call: Call) -> Response:
    return _output(here, call.slot())


def _output(here: Engine, slot: int) -> Response:
    found = here.manifold.output(slot, OUTPUT_WAIT_S)
    return empty(202) if found is None else exact(found, "application/octet-stream")


@API.on("PUT", "/1/job/state", "restore a snapshot, in INIT", {204: "done", 403: "corrupt, or too late"}, body=_OCTETS)
def restore(here: Engine, call: Call) -> Response:
    try:
        here.manifold.restore(call.body)
    except StreamScorerError as error:
        raise HttpError(403, one_line(error)) from error
    return empty()


@API.on("POST", "/1/stream/sample", "a few records of a stream, attached or not",
        {200: "[base64]", 400: "a reason"}, query={"n": "how many; 10 unless given"}, body=_JSON)  # fmt: skip
def sample(here: Engine, call: Call) -> Response:
    count = int(call.number("n", 10))
    return json_answer([base64.b64encode(one).decode() for one in opening.sample(_stream(here, call), count)])


@API.on("POST", "/1/stream/rate", "how fast a stream can be read", {200: "[{rps, mbps}]", 400: "a reason"}, body=_JSON)
def rate(here: Engine, call: Call) -> Response:
    return json_answer([opening.rate(_stream(here, call))])


def _stream(here: Engine, call: Call) -> Stream:
    raw = call.json("stream descriptor")
    return parse(raw, slot=0, inherited=None, find_schema=here.library.schema)
