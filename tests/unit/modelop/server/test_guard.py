"""Who may ask: the token in all the forms clients send it; without one, this machine alone."""

from __future__ import annotations

import base64

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from stream_scorer.errors import SettingsError
from stream_scorer.modelop.server.settings import Baked, EngineSettings, baked_from, is_loopback
from support.engine import PREFIX, EngineProcess

TOKEN = "a-token-of-ours"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    folder = tmp_path_factory.mktemp("guarded")
    (folder / "token").write_text(TOKEN + "\n")
    with EngineProcess(folder, "--token", str(folder / "token"), token=TOKEN) as engine:
        yield engine


def _basic(pair):
    return "Basic " + base64.b64encode(pair.encode()).decode()


@pytest.mark.process
@pytest.mark.parametrize(
    ("header", "status"),
    [
        (f"Bearer {TOKEN}", 200),
        (f"bearer {TOKEN}", 200),
        (f"Bearer Bearer {TOKEN}", 200),
        (TOKEN, 200),
        (_basic(f"anybody:{TOKEN}"), 200),
        (_basic("anybody:wrong"), 401),
        (_basic(TOKEN[:-1]), 401),
        ("Basic %%%", 401),
        ("Bearer wrong", 401),
        ("Bearer é", 401),
        ("", 401),
    ],
)
def test_the_token(guarded, header, status):
    answer = guarded.ask("GET", "/2/engine/state", headers={"Authorization": header})
    assert answer.status == status
    if status == 401:
        assert answer.headers["www-authenticate"].startswith("Bearer")
        assert answer.text.startswith("Authorization required")


@pytest.mark.process
def test_the_document_may_be_read_by_all(guarded):
    assert guarded.ask("GET", "/openapi.json", headers={"Authorization": ""}).status == 200
    assert guarded.ask("GET", "/docs", headers={"Authorization": ""}).status == 200


@pytest.mark.process
def test_probes_are_open_and_metrics_are_not(guarded):
    for path in ("/livez", "/readyz", "/livez/", "/readyz?verbose=1"):
        assert guarded.ask("GET", path, headers={"Authorization": "", "Host": "10.0.0.1"}).text == "ok\n"
        assert guarded.ask("HEAD", path, headers={"Authorization": ""}).status == 200
    assert guarded.ask("GET", "/metrics", headers={"Authorization": ""}).status == 401
    metrics = guarded.ask("GET", "/metrics").text
    assert 'stream_scorer_engine_state{engine="engine-1",state="init"} 1.0' in metrics
    assert "process_resident_memory_bytes" in metrics
    assert TOKEN not in metrics


@pytest.mark.process
@pytest.mark.parametrize("path", ["/1/job/output", "/1/job/output/1", "/1/debug/output"])
def test_a_head_takes_nothing(guarded, path):
    assert guarded.ask("HEAD", path).status == 405


@pytest.mark.process
def test_a_websocket_needs_the_token_too(guarded):
    url = f"ws{guarded.url.removeprefix('http')}{PREFIX}/connect/2/pneumo"
    with pytest.raises(InvalidStatus) as refused:
        connect(url, proxy=None)
    assert refused.value.response.status_code == 401
    with connect(url, proxy=None, additional_headers={"Authorization": f"Bearer {TOKEN}"}):
        pass


@pytest.mark.process
def test_our_command_line_takes_the_token_from_a_file(guarded):
    assert guarded.cli("engine", "inspect", "--token", "token") == "INIT\n"
    refused = guarded.cli("engine", "inspect", check=False)
    assert refused.startswith("1 ")
    assert "Give --token FILE" in refused


HERE = "127.0.0.1:{port}"
PAGES = [
    ({}, 200),
    ({"Host": "localhost"}, 200),
    ({"Host": "[::1]:8003"}, 200),
    ({"Host": "evil.example:80"}, 403),
    ({"Host": "127.0.0.1.evil.example"}, 403),
    ({"Host": ""}, 403),
    ({"Origin": "https://evil.example"}, 403),
    ({"Origin": "null"}, 403),
    ({"Origin": "http://localhost:3000"}, 403),
    ({"Origin": "http://127.0.0.1:3000"}, 403),
    ({"Origin": f"https://{HERE}"}, 200),
    ({"Origin": f"http://{HERE}"}, 200),
    ({"Origin": "http://localhost", "Host": "localhost:80"}, 200),
    ({"Origin": "http://[::1]:9", "Host": "[::1]:9"}, 200),
    ({"Origin": "http://localhost:8003x", "Host": "localhost"}, 403),
    ({"Sec-Fetch-Site": "cross-site"}, 403),
    ({"Sec-Fetch-Site": "same-site"}, 403),
    ({"Sec-Fetch-Site": "same-site", "Origin": f"http://{HERE}"}, 403),
    ({"Sec-Fetch-Site": "anything"}, 403),
    ({"Sec-Fetch-Site": "none"}, 200),
    ({"Sec-Fetch-Site": "same-origin", "Origin": f"http://{HERE}"}, 200),
    ({"Sec-Fetch-Site": "same-origin", "Referer": "https://proxy.example/docs"}, 200),
    ({"Referer": "https://evil.example/page"}, 403),
    ({"Referer": f"http://{HERE}/docs"}, 200),
]


def _at(engine, headers):
    return {name: value.format(port=engine.url.rpartition(":")[2]) for name, value in headers.items()}


@pytest.mark.process
@pytest.mark.parametrize(("headers", "status"), PAGES)
def test_a_web_page_of_another_origin_cannot_ask(engine, headers, status):
    assert engine.ask("GET", "/2/engine/state", headers=_at(engine, headers)).status == status


@pytest.mark.process
@pytest.mark.parametrize(("headers", "status"), [(h, s) for h, s in PAGES if not {"Host"} & {*h}])
def test_a_browser_that_knows_the_token_is_no_help_to_other_pages(guarded, headers, status):
    headers = {"Authorization": _basic(f"user:{TOKEN}"), **_at(guarded, headers)}
    assert guarded.ask("GET", "/2/engine/state", headers=headers).status == status


@pytest.mark.process
@pytest.mark.parametrize("headers", [{"Origin": "http://localhost:3000"}, {"Sec-Fetch-Site": "cross-site"}])
@pytest.mark.parametrize("method", ["POST", "OPTIONS", "GET", "HEAD", "PUT"])
def test_a_page_on_another_port_runs_no_program(engine, tmp_path, headers, method):
    made = tmp_path / "made"
    stream = {"Transport": {"Type": "exec", "Run": f"touch {made}"}, "Envelope": "delimited", "Encoding": "utf-8"}
    headers = {**headers, "Content-Type": "text/plain", "Access-Control-Request-Method": "POST"}
    answer = engine.ask(method, "/1/stream/sample", stream, headers=headers)
    assert answer.status == 403
    assert not [name for name in answer.headers if name.startswith("access-control")]
    assert not made.exists()


@pytest.mark.process
def test_a_page_of_another_origin_gets_no_websocket(engine):
    url = f"ws{engine.url.removeprefix('http')}/2/pneumo"
    for headers in ({"Origin": "http://localhost:3000"}, {"Sec-Fetch-Site": "cross-site"}):
        with pytest.raises(InvalidStatus) as refused:
            connect(url, proxy=None, additional_headers=headers)
        assert refused.value.response.status_code == 403
    with connect(url, proxy=None, origin=engine.url):  # as some libraries send it
        pass


@pytest.mark.process
def test_insecure_on_this_machine_refuses_pages_all_the_same(tmp_path):
    with EngineProcess(tmp_path, "--insecure") as engine:
        for headers, status in PAGES:
            assert engine.ask("GET", "/2/engine/state", headers=_at(engine, headers)).status == status, headers


@pytest.mark.process
def test_no_answer_is_shown_to_other_pages_or_as_what_it_is_not(engine):
    for path in ("/docs", "/2/engine/state", "/nothing", "/livez"):
        headers = engine.ask("GET", path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cross-origin-resource-policy"] == "same-origin"
    assert "frame-ancestors 'none'" in engine.ask("GET", "/docs").headers["content-security-policy"]


@pytest.mark.parametrize(("host", "yes"), [("127.0.0.1", True), ("::1", True), ("localhost", True), ("0.0.0.0", False)])
def test_loopback(host, yes):
    assert is_loopback(host) is yes


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"listen": "0.0.0.0:8003"}, "Give --token FILE"),
        ({"listen": "8003x"}, "expected a port from 0 to 65535"),
        ({"listen": "localhost:99999"}, "expected a port from 0 to 65535"),
        ({"tls_cert": "x"}, "go together"),
        ({"max_body": 5000}, "--max-body"),
    ],
)
def test_settings_that_cannot_be(given, reason):
    with pytest.raises(SettingsError, match=reason):
        EngineSettings(**given)


def test_other_machines_may_be_served_by_choice():
    assert EngineSettings(listen="0.0.0.0:1", insecure=True).address == ("0.0.0.0", 1)
    assert EngineSettings(listen=":1").address == ("127.0.0.1", 1)
    assert EngineSettings(listen="[::1]:1").address == ("::1", 1)


def test_baked_variables():
    env = {
        "MODEL": "/m.py",
        "SCHEMAS": "a:/a.avsc; b:/b:b.avsc;",
        "STREAMS": "0:/in.json;1:/out.json",
        "ATTACHMENTS": "/a.zip",
    }
    found = baked_from(env)
    assert str(found.model) == "/m.py"
    assert {name: str(path) for name, path in found.schemas.items()} == {"a": "/a.avsc", "b": "/b:b.avsc"}
    assert {slot: str(path) for slot, path in found.streams.items()} == {0: "/in.json", 1: "/out.json"}
    assert [str(path) for path in found.attachments] == ["/a.zip"]
    assert baked_from({}) == Baked(None, {}, {}, (), None)


@pytest.mark.parametrize("env", [{"STREAMS": "in:/x"}, {"SCHEMAS": "x"}, {"SCHEMAS": ":x"}])
def test_baked_variables_that_say_nothing(env):
    with pytest.raises(SettingsError, match="Write"):
        baked_from(env)
