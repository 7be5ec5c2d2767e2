"""Model Manage over HTTP: statuses, exact content types, and what is kept."""

from __future__ import annotations

import json

import pytest

from support.engine import PREFIX, PYTHON3

pytestmark = pytest.mark.process

MM = f"{PREFIX}/model-manage-1/1"


@pytest.mark.parametrize("kind", ["schema", "stream", "sensor"])
def test_json_by_name(engine, kind):
    path = f"{MM}/{kind}/a%20name"
    assert engine.ask("PUT", path, {"type": "double", "é": 1}).status == 201
    assert engine.ask("PUT", path, {"type": "int"}).status == 204
    found = engine.ask("GET", path)
    assert (found.status, found.json(), found.headers["content-type"]) == (200, {"type": "int"}, "application/json")
    assert "a name" in engine.ask("GET", f"{MM}/{kind}").json()
    assert engine.ask("DELETE", path).status == 204
    for method in ("GET", "DELETE"):
        answer = engine.ask(method, path)
        assert (answer.status, answer.text) == (404, f"{kind.capitalize()} 'a name' not found")


def test_what_is_no_json_is_refused_in_one_line(engine):
    for path, body in (("schema/x", b"{"), ("stream/x", b"[1]"), ("sensor/x", b'"x"')):
        answer = engine.ask("PUT", f"{MM}/{path}", body)
        assert answer.status == 400
        assert "\n" not in answer.text
        assert answer.headers["content-type"].startswith("text/plain")


@pytest.mark.parametrize(
    ("sent", "kept", "name"),
    [
        (PYTHON3, PYTHON3, "python3"),
        (PYTHON3 + "; charset=utf-8", PYTHON3, "python3"),
        ("application/vnd.fastscore.model-python2", "application/vnd.fastscore.model-python", "python"),
        ("application/vnd.fastscore.model-pfa+json", "application/vnd.fastscore.model-pfa+json", "pfa-json"),
        ("application/vnd.fastscore.model-R", "application/vnd.fastscore.model-r", "R"),
    ],
)
def test_a_model_comes_back_under_its_own_type_without_a_charset(engine, sent, kept, name):
    source = "# é\nx = 1\n".encode()
    engine.ask("DELETE", f"{MM}/model/m")
    assert engine.ask("PUT", f"{MM}/model/m", source, {"Content-Type": sent}).status == 201
    found = engine.ask("GET", f"{MM}/model/m")
    assert (found.body, found.headers["content-type"]) == (source, kept)
    assert engine.ask("GET", f"{MM}/model").json() == ["m"]
    assert engine.ask("GET", f"{MM}/model", **{"return": "type"}).json() == [{"name": "m", "type": name}]


def test_a_model_of_no_type_is_refused(engine):
    answer = engine.ask("PUT", f"{MM}/model/m", b"x", {"Content-Type": "text/plain"})
    assert (answer.status, "not a type of model" in answer.text) == (400, True)


def test_attachments(engine):
    engine.ask("PUT", f"{MM}/model/m", b"x", {"Content-Type": PYTHON3})
    path, data = f"{MM}/model/m/attachment/a.tar.gz", bytes(range(256)) * 1000
    gzip = {"Content-Type": "application/gzip"}
    assert engine.ask("PUT", path, data, gzip).status == 201
    assert engine.ask("PUT", path, data, gzip).status == 204
    assert engine.ask("GET", f"{MM}/model/m/attachment").json() == ["a.tar.gz"]
    head = engine.ask("HEAD", path)
    assert (head.status, head.body) == (200, b"")
    assert (head.headers["content-type"], head.headers["content-length"]) == ("application/gzip", "256000")
    found = engine.ask("GET", path)
    assert (found.body, found.headers["content-type"]) == (data, "application/gzip")
    assert engine.ask("DELETE", path).status == 204
    assert [engine.ask(method, path).status for method in ("GET", "HEAD", "DELETE")] == [404, 404, 404]


def test_attachments_of_no_model_and_of_no_archive(engine):
    gzip = {"Content-Type": "application/gzip"}
    assert engine.ask("PUT", f"{MM}/model/none/attachment/a.zip", b"", gzip).status == 404
    assert engine.ask("GET", f"{MM}/model/none/attachment").status == 403
    engine.ask("PUT", f"{MM}/model/m", b"x", {"Content-Type": PYTHON3})
    assert engine.ask("PUT", f"{MM}/model/m/attachment/a.csv", b"", {"Content-Type": "text/csv"}).status == 400
    assert engine.ask("PUT", f"{MM}/model/m/attachment/%2e%2e", b"", gzip).status in (400, 404)


def test_snapshots(engine):
    engine.ask("PUT", f"{MM}/model/s", b"x", {"Content-Type": PYTHON3})
    path = f"{MM}/model/s/snapshot"
    assert engine.ask("GET", path).json() == []
    assert engine.ask("GET", f"{MM}/model/none/snapshot").status == 403
    for id_ in ("aaaaaaaa", "aabbbbbb"):
        assert (
            engine.ask("PUT", f"{path}/{id_}", id_.encode(), {"Content-Type": "application/octet-stream"}).status == 201
        )
    assert engine.ask("PUT", f"{path}/aaaaaaaa", b"other").status == 400
    (latest,) = engine.ask("GET", path, count=1).json()
    assert latest.keys() == {"id", "created_on", "type", "size"}
    assert (latest["id"], latest["type"], latest["size"]) == ("aabbbbbb", "ETS1", 8)
    assert engine.ask("GET", f"{path}/aab/metadata").json() == latest
    assert engine.ask("GET", f"{path}/aab/contents").body == b"aabbbbbb"
    both = engine.ask("GET", f"{path}/aab")
    assert both.headers["content-type"].startswith("multipart/mixed; boundary=")
    ambiguous = engine.ask("GET", f"{path}/aa/metadata")
    assert (ambiguous.status, "aaaaaaaa, aabbbbbb" in ambiguous.text) == (300, True)
    assert engine.ask("DELETE", f"{path}/aa").status == 300
    assert engine.ask("GET", f"{path}/x/contents").status == 404
    day = latest["created_on"][:10]
    assert len(engine.ask("GET", path, date_range=f"{day}--{day}").json()) == 2
    assert engine.ask("GET", path, date_range="2017-04-11--2017-04-13").json() == []
    assert engine.ask("GET", path, date_range="nonsense").status == 400
    # what GET gives, PUT takes
    engine.ask("DELETE", f"{path}/aabbbbbb")
    assert (
        engine.ask("PUT", f"{path}/cccccccc", both.body, {"Content-Type": both.headers["content-type"]}).status == 201
    )
    assert engine.ask("GET", f"{path}/c/contents").body == b"aabbbbbb"


def test_paths_without_prefix_reach_model_manage_too(engine):
    """An engine run apart asks at a host and port of its own."""
    engine.ask("PUT", f"{MM}/schema/bare", {"type": "double"})
    assert engine.ask("GET", "/1/schema/bare").json() == {"type": "double"}
    assert "bare" in engine.ask("GET", "/1/schema").json()


def test_a_body_too_large_is_refused(tmp_path):
    from support.engine import EngineProcess

    with EngineProcess(tmp_path, "--max-body", "1") as engine:
        answer = engine.ask("PUT", f"{MM}/schema/x", json.dumps("x" * (1 << 20)).encode())
        assert (answer.status, "--max-body" in answer.text) == (413, True)
        assert engine.ask("PUT", f"{MM}/schema/x", b'"int"').status == 201
