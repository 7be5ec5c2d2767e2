"""Every operation of the API, from its own OpenAPI document: no request makes a failure of ours, and every answer is documented.

Two kinds of requests. Schemathesis makes them by the schemas, fitting and not. Beside it, each field of each body, each parameter
and each header gets values that no honest client sends. A model runs meanwhile, so that operations on it have something to do.
`--soak=MINUTES` makes requests for so long.
"""

from __future__ import annotations

import io
import json
import os
import random
import time
import zipfile
from collections import Counter
from pathlib import Path

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.generation.feedback import NO_FEEDBACK
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from stream_scorer.errors import ModelError
from stream_scorer.modelop.client.fleet_client import PREFIX
from stream_scorer.modelop.endpoints import rest
from stream_scorer.modelop.process import import_policy
from stream_scorer.modelop.server import app, engine_api
from stream_scorer.modelop.server.content_types import ATTACHMENT_TYPES, MODEL_TYPES, POLICY, RUN_HERE
from stream_scorer.modelop.server.openapi import document
from stream_scorer.modelop.streams import opening
from support.engine import AT_ONCE, PYTHON3
from tests.support.in_process import InProcess
from tests.support.requests_of_a_document import hostile

pytestmark = pytest.mark.process

INSTANCES = {"engine-1": "engine", "model-manage-1": "model-manage", "connect": "connect"}
DOCUMENT = document({f"{PREFIX}/{name}": app.APIS[api] for name, api in INSTANCES.items()})
ENGINE = f"{PREFIX}/engine-1"
KNOWN = {
    "model": "m",
    "attachment": "a.zip",
    "schema": "s",
    "stream": "t",
    "sensor": "e",
    "slot": "0",
    "in": "0",
    "out": "1",
}
CHECKS = [
    not_a_server_error, status_code_conformance, content_type_conformance, response_headers_conformance,
    response_schema_conformance,
]  # fmt: skip
FITTING, OTHER, HOSTILE = 5, 3, 3000
ECHO = b"def action(x):\n    yield x\n"
SOURCES = [
    ECHO,
    b"# fastscore.slot.2: in-use\n" + ECHO,
    b"def action(x):\n    yield 1 / x\n",
    b"import nothing\n" + ECHO,
    b"x =",
]
REACHING_OUT = ("kafka", "http", "tcp", "udp", "s3")
"""Transports that are checked only: what is sent to other machines is none of the API."""


def _archive():
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as zipped:
        zipped.writestr("helper.py", "x = 1")
    return out.getvalue()


ZIP = _archive()
MULTIPART = b"".join(
    (
        b'--bnd\r\nContent-Disposition: attachment; filename="a.zip"\r\nContent-Type: application/zip\r\n\r\n', ZIP,
        b'\r\n--bnd\r\nContent-Disposition: x-model; name="m"\r\nContent-Type: ', PYTHON3.encode(), b"\r\n\r\n", ECHO,
        b"\r\n--bnd--\r\n",
    )
)  # fmt: skip


def _teach():
    """What a body of each media type is."""
    for kind in MODEL_TYPES:
        schemathesis.openapi.media_type(kind, st.sampled_from(SOURCES) | st.binary(max_size=60))
    for kind in ATTACHMENT_TYPES:
        schemathesis.openapi.media_type(kind, st.sampled_from([ZIP, ZIP[:-9]]) | st.binary(max_size=60))
    for kind in ("multipart/mixed", "multipart/form-data"):
        schemathesis.openapi.media_type(kind, st.sampled_from([MULTIPART, MULTIPART[:-9]]) | st.binary(max_size=60))
    for kind in ("application/x-yaml", *(POLICY + name for name in RUN_HERE)):
        schemathesis.serializer.alias(kind, "application/yaml")


async def _served(scope, receive, send):
    """The application of the fleet that runs: operations are made, with their application, before it starts."""
    await _Served.app(scope, receive, send)


class _Served:
    app = None


_teach()
API = schemathesis.openapi.from_dict(DOCUMENT)
API.app = _served
OPERATIONS = {operation.ok().label: operation.ok() for operation in API.get_all_operations()}


class Fleet(InProcess):
    """An engine that runs a model, and a Model Manage that has one of everything."""

    def ready(self):
        """Let the model run, if what came before has stopped it."""
        if self.ask("GET", f"{ENGINE}/2/engine/state").json()["state"] != "running":
            self.ask("POST", f"{ENGINE}/2/engine/reset")
            assert self.ask("PUT", f"{ENGINE}/1/job/model", ECHO, {"content-type": PYTHON3}).status == 204
            for slot in (1, 0):
                assert self.ask("PUT", f"{ENGINE}/2/active/stream/{slot}", AT_ONCE).status == 204

    def stocked(self):
        for path, kind, body in (
            ("model/m", PYTHON3, ECHO), ("model/m/attachment/a.zip", "application/zip", ZIP), ("schema/s", "", b'"int"'),
            ("stream/t", "", b'{"Transport": "REST"}'), ("sensor/e", "", b'{"Tap": "sys.memory"}'),
            ("model/m/snapshot/0", "", b"x"),
        ):  # fmt: skip
            self.ask("PUT", f"{PREFIX}/model-manage-1/1/{path}", body, {"content-type": kind})


@pytest.fixture(scope="module")
def fleet(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    before = Path.cwd()
    with pytest.MonkeyPatch.context() as patch, Fleet(folder) as fleet:
        os.chdir(tmp_path_factory.mktemp("files"))
        for module, name in (
            (engine_api, "OUTPUT_WAIT_S"), (opening, "SAMPLE_TIMEOUT_S"), (opening, "RATE_TIME_S"), (rest, "POST_TIMEOUT_S"),
        ):  # fmt: skip
            patch.setattr(module, name, 0.01)
        patch.setattr(import_policy, "_install", _no_install)
        _Served.app = fleet.app
        yield fleet
        os.chdir(before)


def _no_install(rule):
    raise ModelError(f"import policy: {rule.library}: nothing is installed in tests.")


def _exercise(operation, mode, count, number, feedback=NO_FEEDBACK):
    @seed(number)
    @settings(
        max_examples=count,
        phases=[Phase.generate],
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode, feedback=feedback))
    def send(case):
        _tame(case)
        case.validate_response(case.call(headers={"host": "localhost"}), checks=CHECKS)

    send()


def _takes_something(operation):
    """Whether there are requests that do not fit: anything is a body of bytes."""
    described = DOCUMENT["paths"][operation.path][operation.method.lower()]
    contents = described.get("requestBody", {}).get("content", {}).values()
    return bool(described.get("parameters")) or any("schema" in content for content in contents)


def _tame(case):
    """Nothing leaves this machine, no program but `true` starts, nothing waits long; names are often those that exist."""
    for name, most in (("timeout", 20), ("duration", 0.01), ("n", 3)):
        if name in (case.query or {}) and str(case.query[name]).replace(".", "").isdigit():
            case.query[name] = min(float(case.query[name]), most)
    for name, value in (case.path_parameters or {}).items():
        if name in KNOWN and hash(str(value)) % 2:
            case.path_parameters[name] = KNOWN[name]
    if (case.media_type or "").startswith("multipart/"):
        case.headers = {**(case.headers or {}), "content-type": f"{case.media_type}; boundary=bnd"}
    if case.body and isinstance(case.body, int):  # 64 jets are 64 processes
        case.body = min(case.body, 2)
    _tame_body(case.body)


def _tame_body(body):
    transport = body.get("Transport") if isinstance(body, dict) else None
    if isinstance(transport, dict) and str(transport.get("Type")).lower() in REACHING_OUT:
        body["Transport"] = {"Type": "inline", "Data": ["1"]}
    elif isinstance(transport, dict) and "Run" in transport:
        transport["Run"] = "true"


@pytest.mark.parametrize("label", OPERATIONS)
def test_every_operation_by_its_document(fleet, label):
    fleet.stocked()
    fleet.ready()
    _exercise(OPERATIONS[label], GenerationMode.POSITIVE, FITTING, 1)
    if _takes_something(OPERATIONS[label]):
        _exercise(OPERATIONS[label], GenerationMode.NEGATIVE, OTHER, 2)


def _send(fleet, request):
    answer = fleet.ask(request.method, request.path.encode("ascii"), request.body, request.headers, request.query)
    _, _, path = request.operation.partition(" ")
    documented = DOCUMENT["paths"][path][request.method.lower()]["responses"]
    described = f"{request} -> {answer.status} {answer.body[:300]!r}"[:3000]
    assert answer.status < 500, described
    assert str(answer.status) in documented, described
    kinds = documented[str(answer.status)].get("content")
    if answer.body or kinds:
        assert answer.headers["content-type"].partition(";")[0] in (kinds or {}), described
    if answer.body and answer.headers["content-type"] == "application/json":
        json.loads(answer.body, parse_constant=lambda word: pytest.fail(f"{word} in JSON: {described}"))
    if answer.status >= 400:
        assert answer.text.strip().isprintable(), described
        assert len(answer.text) < 9000, described
    return answer.status


def _without_leaving(requests):
    """Those that reach out are checked only."""
    for request in requests:
        if any(f'"{name}"'.encode() in request.body for name in (*REACHING_OUT, "exec")):
            if "/stream/sample" in request.path or "/stream/rate" in request.path:
                continue
            request = request._replace(query="dry-run=true")
        if "/sample/cpu" in request.path and request.query in ("", "duration=", "duration=%20"):  # which stand for 1 s
            request = request._replace(query="duration=0.001")
        yield request


def test_every_field_with_what_nobody_expects(fleet):
    fleet.stocked()
    fleet.ready()
    requests = [*_without_leaving(hostile(DOCUMENT, KNOWN))]
    found = Counter(_send(fleet, request) for request in random.Random(7).sample(requests, min(HOSTILE, len(requests))))
    assert found[400] > sum(found.values()) / 2, found


@pytest.mark.soak
def test_the_whole_api_for_long(fleet, pytestconfig):
    until = time.monotonic() + 60 * pytestconfig.getoption("--soak")
    requests = [*_without_leaving(hostile(DOCUMENT, KNOWN))]
    found = Counter()
    for round_ in range(1000):
        for number, operation in enumerate(random.sample([*OPERATIONS.values()], len(OPERATIONS))):
            fleet.stocked()
            fleet.ready()
            _exercise(operation, GenerationMode.POSITIVE, 40, 1000 * round_ + number)
            if _takes_something(operation):
                _exercise(operation, GenerationMode.NEGATIVE, 40, 1000 * round_ + number + 500)
            found += Counter(_send(fleet, each) for each in random.sample(requests, 300))
            if time.monotonic() > until:
                print(f"rounds: {round_}, operations: {number}, hostile: {dict(found)} of {len(requests)}")
                return


def test_every_operation_has_an_id_and_schemas():
    operations = [operation for path in DOCUMENT["paths"].values() for operation in path.values()]
    assert len({operation["operationId"] for operation in operations}) == len(operations)
    for operation in operations:
        for status, response in operation["responses"].items():
            assert (status in ("101", "201", "202", "204")) != ("content" in response), (
                operation["operationId"],
                status,
            )
    json.dumps(DOCUMENT)
