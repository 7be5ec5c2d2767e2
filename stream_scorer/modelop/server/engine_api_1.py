"""Version 1 of the REST API of an engine: status, import policy, and older names of operations (rule `h.old`)."""

from __future__ import annotations

from starlette.responses import Response

from stream_scorer.modelop.server.answers import HttpError, empty, exact, json_answer
from stream_scorer.modelop.server.api import Api, Call
from stream_scorer.modelop.server.content_types import POLICY
from stream_scorer.modelop.server.engine import Engine
from stream_scorer.modelop.server.engine_api import attach_at

API: Api[Engine] = Api("engine", "Engine")
_ATTACHED = {200: "dry run: the descriptor as it was understood", 204: "attached", 400: "a reason"}
_DRY = {"dry-run": "True: check it only"}
_JSON = ("application/json",)
_POLICY_TYPES = (POLICY + "python3", POLICY + "python")


@API.on("PUT", "/1/job/stream/in", "attach a stream at slot 0 (old)", _ATTACHED, query=_DRY, body=_JSON)
def attach_in(engine: Engine, call: Call) -> Response:
    return attach_at(engine, call, 0)


@API.on("PUT", "/1/job/stream/out", "attach a stream at slot 1 (old)", _ATTACHED, query=_DRY, body=_JSON)
def attach_out(engine: Engine, call: Call) -> Response:
    return attach_at(engine, call, 1)


@API.on("PUT", "/1/job/stream/{slot}", "attach a stream (old)", _ATTACHED, query=_DRY, body=_JSON)
def attach_old(engine: Engine, call: Call) -> Response:
    return attach_at(engine, call, call.slot())


@API.on("POST", "/1/job/scale", "how many jets run the model (old)", {204: "done", 403: "no such number"},
        query={"n": "jets"})  # fmt: skip
def scale_old(engine: Engine, call: Call) -> Response:
    if "n" not in call.query:
        raise HttpError(403, "n, the number of jets, is missing")
    engine.manifold.scale(int(call.number("n", 0, refuse=403)))
    return empty()


@API.on("GET", "/1/job/status", "model, slots, jets and state of the engine", {200: "model, slots, jets, snapshots, state"},
        query={"return": "names of fields, with commas between"})  # fmt: skip
def status(engine: Engine, call: Call) -> Response:
    whole = engine.manifold.status()
    fields = [name.strip() for name in call.query.get("return", "").split(",") if name.strip()]
    return json_answer({name: whole.get(name) for name in fields} if fields else whole)


@API.on("POST", "/1/job/sample/cpu", "CPU time and traffic of the next seconds", {200: "times and counts", 403: "no such time"},
        query={"duration": "s; 1 unless given"})  # fmt: skip
def sample_cpu(engine: Engine, call: Call) -> Response:
    duration = call.number("duration", 1.0, refuse=403)
    if not 0 < duration <= 60:
        raise HttpError(403, f"duration={call.query['duration']} is not in 0 to 60 s")
    return json_answer(engine.manifold.cpu(duration))


@API.on("GET", "/1/debug/output", "what models have printed since the last request", {200: "[text]"})
def debug_output(engine: Engine, _: Call) -> Response:
    return json_answer(engine.console())


API.takes("/1/debug/output")


@API.on("GET", "/1/policy", "the import policy, of the type that Accept names", {200: "YAML"})
def policy(engine: Engine, call: Call) -> Response:
    kind = _policy_type(call.headers.get("accept", ""))
    return exact(engine.policies.text(kind.removeprefix(POLICY)), kind)


@API.on("PUT", "/1/policy", "set the import policy", {201: "set", 400: "a reason"},
        query={"preinstall": "True: install now what it says to install"}, body=_POLICY_TYPES)  # fmt: skip
def set_policy(engine: Engine, call: Call) -> Response:
    kind = _policy_type(call.headers.get("content-type", ""))
    policies = engine.policies
    engine.manifold.policy = policies.set(kind.removeprefix(POLICY), call.body, preinstall=call.flag("preinstall"))
    return empty(201)


def _policy_type(header: str) -> str:
    content_type = header.partition(";")[0].strip().lower()
    if content_type in ("", "*/*", "application/json", "application/x-yaml"):
        return _POLICY_TYPES[0]
    if content_type not in _POLICY_TYPES:
        raise HttpError(400, f"import policies of this engine are {' and '.join(_POLICY_TYPES)}, not {content_type!r}")
    return content_type
