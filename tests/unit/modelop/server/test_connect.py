"""Connect over HTTP and WebSocket: instances, configuration, Pneumo."""

from __future__ import annotations

import json

import pytest
from websockets.sync.client import connect

from support.engine import PREFIX

pytestmark = pytest.mark.process

C = f"{PREFIX}/connect"


def test_instances_with_all_that_clients_read(engine):
    found = engine.ask("GET", f"{C}/1/connect").json()
    assert [(one["name"], one["api"]) for one in found] == [
        ("model-manage-1", "model-manage"), ("engine-1", "engine"), ("engine-2", "engine"),
    ]  # fmt: skip
    host, port = engine.url.removeprefix("http://").split(":")
    for one in found:
        assert one.keys() == {"id", "name", "api", "host", "port", "release", "built_on", "health"}
        assert (one["host"], one["port"], one["health"]) == (host, int(port), "ok")
    assert len({one["id"] for one in found}) == 3


@pytest.mark.parametrize(
    ("header", "told"),
    [("localhost:99", ("localhost", 99)), ("localhost", ("localhost", 80)), ("[::1]:7", ("[::1]", 7))],
)
def test_the_address_is_the_one_the_client_came_by(engine, header, told):
    found = engine.ask("GET", f"{C}/1/connect", headers={"Host": header}, api="model-manage").json()[0]
    assert (found["host"], found["port"]) == told


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ({"api": "engine"}, ["engine-1", "engine-2"]),
        ({"name": "engine-2"}, ["engine-2"]),
        ({"api": "model-manage", "health": "ok"}, ["model-manage-1"]),
        ({"name": "none"}, []),
        ({"api": "dashboard"}, []),
    ],
)
def test_filters(engine, query, names):
    assert [one["name"] for one in engine.ask("GET", f"{C}/1/connect", **query).json()] == names


def test_fields_to_return(engine):
    found = engine.ask("GET", f"{C}/1/connect", api="model-manage", **{"return": "name,api"}).json()
    assert found == [{"name": "model-manage-1", "api": "model-manage"}]
    assert engine.ask("GET", f"{C}/1/connect", **{"return": "nonsense"}).status == 400


@pytest.mark.parametrize("instance", ["connect", "model-manage-1", "engine-1", "engine-2"])
def test_health_and_document_of_each(engine, instance):
    health = engine.ask("GET", f"{PREFIX}/{instance}/1/health").json()
    assert health.keys() == {"id", "release", "built_on"}
    document = engine.ask("GET", f"{PREFIX}/{instance}/1/swagger").json()
    assert "/1/health" in document["paths"]
    as_yaml = engine.ask("GET", f"{PREFIX}/{instance}/1/swagger", headers={"Accept": "application/x-yaml"})
    assert as_yaml.text.startswith("openapi:")
    assert engine.ask("GET", f"{PREFIX}/{instance}/2/active/sensor/points").json()[0] == "sys.memory"


def test_configuration(engine):
    assert engine.ask("GET", f"{C}/1/config").status == 404
    text = b"!!python/unicode 'fleet':\n- !!python/unicode 'api': !!python/unicode 'engine'\n  port: 8003\ndb: {}\n"
    as_yaml = {"Content-Type": "application/x-yaml"}
    assert engine.ask("PUT", f"{C}/1/config", text, as_yaml).status == 201
    assert engine.ask("PUT", f"{C}/1/config", text, as_yaml).status == 204
    assert engine.ask("GET", f"{C}/1/config").json() == {"fleet": [{"api": "engine", "port": 8003}], "db": {}}
    assert engine.ask("GET", f"{C}/1/config", q="fleet").json() == [{"api": "engine", "port": 8003}]
    assert engine.ask("GET", f"{C}/1/config", q="none").status == 404


BOMB = "a: &a [x, x, x]\n" + "\n".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 9)).replace(
    "*a0", "*a"
)


@pytest.mark.parametrize(
    "text",
    [
        "a: [",
        "- 1",
        "!!python/object/apply:os.system ['touch x']",
        b"\xff",
        BOMB,
        "a: &a [*a]",
        "[" * 50_000,
        "? {a: b}\n: c",
    ],
)
def test_what_is_no_configuration_is_refused(engine, text):
    body = text if isinstance(text, bytes) else text.encode()
    answer = engine.ask("PUT", f"{C}/1/config", body, {"Content-Type": "application/x-yaml"})
    assert (answer.status, "\n" in answer.text) == (400, False)


def test_a_websocket_gets_what_passes_its_filters(engine):
    address = f"ws{engine.url.removeprefix('http')}{C}/2/pneumo"
    with (
        connect(f"{address}?src=engine-2&type=engine-config", proxy=None) as some,
        connect(address, proxy=None) as everything,
    ):
        for instance in ("engine-1", "engine-2"):
            engine.ask("PUT", f"{PREFIX}/{instance}/2/active/stream/1", {"Transport": "discard", "Encoding": None})
        message = json.loads(some.recv(5))
        assert message.pop("timestamp").endswith("Z")
        assert message == {"src": "engine-2", "type": "engine-config", "item": "stream", "op": "attach", "ref": 1}
        seen = [json.loads(everything.recv(5)) for _ in range(2)]
        assert {one["src"] for one in seen if one["type"] == "engine-config"} <= {"engine-1", "engine-2"}
    for instance in ("engine-1", "engine-2"):
        engine.ask("POST", f"{PREFIX}/{instance}/2/engine/reset")


def test_a_listener_may_send_what_it_likes(engine):
    with connect(f"ws{engine.url.removeprefix('http')}{C}/2/pneumo?type=engine-config", proxy=None) as socket:
        for sent in (b"\x00\xff", "text", b""):
            socket.send(sent)
        engine.ask("PUT", f"{PREFIX}/engine-1/2/active/stream/1", {"Transport": "discard", "Encoding": None})
        assert json.loads(socket.recv(30))["op"] in ("attach", "reattach")
    engine.ask("POST", f"{PREFIX}/engine-1/2/engine/reset")
    assert "Traceback" not in engine.log()


def test_history_is_of_60_messages_and_not_of_sensor_reports_alone(engine):
    for _ in range(40):
        engine.ask("PUT", "/2/active/stream/1", {"Transport": "discard", "Encoding": None})
    engine.ask("POST", "/2/engine/reset")
    found = engine.ask("GET", f"{C}/2/pneumo").json()
    assert len(found) <= 60
    assert sum(one["type"] == "engine-config" for one in found) >= 40
    assert {one["type"] for one in engine.ask("GET", f"{C}/2/pneumo", type="engine-config").json()} == {"engine-config"}


def test_a_sensor_of_an_instance_without_a_manifold(engine):
    path = f"{PREFIX}/model-manage-1/2/active/sensor"
    number = engine.ask("POST", path, {"Tap": "sys.memory", "Report": {"Interval": 60}}).json()["id"]
    assert engine.ask("GET", path).json() == [{"id": number, "tap": "sys.memory"}]
    assert engine.ask("DELETE", f"{path}/{number}").status == 204
    assert engine.ask("DELETE", f"{path}/{number}").status == 404
    assert engine.ask("POST", path, {"Tap": "manifold.0.records.count"}).status == 400
    assert engine.ask("POST", path, [1]).status == 400


def test_pages_and_what_is_not_there(engine):
    document = engine.ask("GET", "/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    assert "/api/1/service/engine-2/2/engine/state" in document["paths"]
    assert "/1/job/input/{slot}" in engine.ask("GET", "/docs").text
    assert engine.ask("GET", "/").headers["location"] == "/docs"
    for path, status in (("/1/nothing", 404), (f"{PREFIX}/engine-9/1/health", 404), ("/2/engine/state/", 404)):
        assert engine.ask("GET", path).status == status
    answer = engine.ask("POST", "/2/engine/state")
    assert (answer.status, "\n" in answer.text) == (405, False)
