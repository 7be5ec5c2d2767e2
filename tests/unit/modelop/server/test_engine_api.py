"""The engine's REST API over HTTP: statuses and forms that clients rely on."""

from __future__ import annotations

import base64
import contextlib
import io
import tarfile
from concurrent.futures import ThreadPoolExecutor

import pytest

from stream_scorer.modelop.client.http import Server
from support.engine import AT_ONCE, PREFIX, PYTHON3, REST

pytestmark = pytest.mark.process

ECHO = "def action(x):\n    yield x\n"
HELPED = "# fastscore.module-attached: helper\nimport helper\ndef action(x):\n    yield helper.twice(x)\n"
MM = f"{PREFIX}/model-manage-1/1"


def _archive(**files):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for name, text in files.items():
            info = tarfile.TarInfo(name.replace("__", "."))
            info.size = len(text)
            tar.addfile(info, io.BytesIO(text.encode()))
    return out.getvalue()


ARCHIVE = _archive(helper__py="def twice(x):\n    return 2 * x\n")


def _multipart(*parts, lead=b"\r\n"):
    body = b"".join(
        f"\r\n--bnd\r\nContent-Disposition: {head}\r\nContent-Type: {kind}\r\n\r\n".encode() + data
        for head, kind, data in parts
    )
    return lead + body.removeprefix(b"\r\n") + b"\r\n--bnd--\r\n", {"Content-Type": "multipart/mixed; boundary=bnd"}


def _model(source, name="m"):
    return f'x-model; name="{name}"', PYTHON3, source.encode()


def test_nothing_is_loaded_at_first(idle):
    assert idle.ask("GET", "/2/engine/state").json() == {"state": "init"}
    assert idle.ask("GET", f"{PREFIX}/engine-1/2/engine/state").json() == {"state": "init"}
    assert idle.ask("GET", "/2/active/model").status == 404
    assert idle.ask("DELETE", "/2/active/model").status == 404
    assert idle.ask("GET", "/2/active/stream").json() == []
    assert idle.ask("DELETE", "/2/active/stream/0").status == 404
    for method, path in (("POST", "/1/job/input"), ("POST", "/1/job/input/4"), ("GET", "/1/job/output/1")):
        assert idle.ask(method, path, b"1" if method == "POST" else None).status == 403


@pytest.mark.parametrize("dry_run", ["True", "true"])
def test_a_dry_run_loads_nothing_and_has_lists(idle, dry_run):
    answer = idle.load("m", "# fastscore.schema.0: double\n" + ECHO, **{"dry-run": dry_run})
    info = answer.json()
    assert answer.status == 200
    assert (info["install_libs"], info["warn_libs"], info["attach_libs"], info["snapshots"]) == ([], [], [], "none")
    assert [slot["slot"] for slot in info["slots"]] == [0, 1]
    assert idle.ask("GET", "/2/active/model").status == 404


def test_records_go_round(idle):
    idle.run(ECHO, "né")
    assert idle.ask("GET", "/2/engine/state").json() == {"state": "running"}
    assert idle.score(1, "é", None, {"a": [1.5]}) == [1, "é", None, {"a": [1.5]}]
    model = idle.ask("GET", "/2/active/model").json()
    assert (model["name"], model["mtype"], model["source"]) == ("né", "python3", ECHO)
    assert len(model["jets"]) == 1
    streams = idle.ask("GET", "/2/active/stream").json()
    assert [(one["slot"], one["descriptor"], one["eof"]) for one in streams] == [
        (0, AT_ONCE, False),
        (1, AT_ONCE, False),
    ]
    assert idle.ask("DELETE", "/2/active/stream/0").status == 400
    assert idle.ask("DELETE", "/2/active/model").status == 400
    slots = idle.ask("GET", "/2/active/model").json()["slots"]
    assert [slot["action"] for slot in slots] == ["action", None]
    status = idle.ask("GET", "/1/job/status").json()["slots"]
    assert [{key: slot[key] for key in slots[0]} for slot in status] == slots
    assert idle.ask("GET", "/1/job/status", **{"return": "state,snapshots"}).json() == {
        "state": "running",
        "snapshots": "none",
    }


def test_202_comes_after_a_wait_and_others_are_served_meanwhile(idle):
    idle.run(ECHO)

    def wait(_):
        with contextlib.closing(Server(idle.url)) as server:
            return server.request("GET", "/1/job/output").status

    with ThreadPoolExecutor(60) as pool:
        waiting = pool.map(wait, range(60))
        assert idle.ask("GET", "/2/engine/state").status == 200
        assert {*waiting} == {202}


def test_the_end_of_the_input_is_204_at_the_output(idle):
    idle.run(ECHO)
    assert idle.score(1, {"$fastscore": "end"}, expect=1) == [1]
    idle.wait_for_state("finished")
    assert idle.ask("GET", "/1/job/output").status == 204


@pytest.mark.parametrize("lead", [b"", b"\r\n"])
def test_an_attachment_sent_along(idle, lead):
    attachment = ('attachment; filename="a.tar.gz"', "application/gzip", ARCHIVE)
    body, headers = _multipart(attachment, _model(HELPED), lead=lead)
    assert idle.ask("PUT", "/1/job/model", body, headers, dry_run="True").json()["attach_libs"] == ["helper"]
    assert idle.ask("PUT", "/1/job/model", body, headers, dry_run="False").status == 204
    idle.attach()
    assert idle.score(4) == [8]
    assert idle.ask("GET", "/2/active/model").json()["attachments"] == ["a.tar.gz"]


@pytest.mark.parametrize("ref", ['"urn:fastscore:attachment:m:a.tar.gz"', '"urn:fastscore:attachment:m":a.tar.gz'])
def test_an_attachment_by_reference(idle, ref):
    idle.ask("PUT", f"{MM}/model/m", b"", {"Content-Type": PYTHON3})
    idle.ask("PUT", f"{MM}/model/m/attachment/a.tar.gz", ARCHIVE, {"Content-Type": "application/gzip"})
    kind = f"message/external-body; access-type=x-model-manage; ref={ref}"
    inner = f"Content-Type: application/gzip\r\nContent-Length: {len(ARCHIVE)}\r\n\r\n".encode()
    body, headers = _multipart(('attachment; filename="a.tar.gz"', kind, inner), _model(HELPED))
    answer = idle.ask("PUT", "/1/job/model", body, headers)
    assert (answer.status, answer.text) == (204, "")
    idle.ask("DELETE", f"{MM}/model/m")
    answer = idle.ask("PUT", "/1/job/model", body, headers)
    assert (answer.status, "a.tar.gz" in answer.text) == (400, True)


def test_a_schema_sent_along(idle):
    body, headers = _multipart(
        ('x-schema; name="mine"', "application/vnd.fastscore.schema-avro", b'{"type": "int"}'),
        _model("# fastscore.schema.0: mine\n" + ECHO),
    )
    slots = idle.ask("PUT", "/1/job/model", body, headers, dry_run="True").json()["slots"]
    assert slots[0]["schema"] == {"type": "int"}


@pytest.mark.parametrize(
    ("body", "headers", "reason"),
    [
        (b"x = (", {"Content-Type": PYTHON3}, "m.py:1"),
        (b"x = 1", {"Content-Type": PYTHON3}, "action"),
        (b"x = 1", {"Content-Type": "application/vnd.fastscore.model-r"}, "type R do not run here"),
        (b"x = 1", {"Content-Type": "text/plain"}, "not a type of model"),
        (b"# fastscore.schema.0: gone\ndef action(x): yield x", {"Content-Type": PYTHON3}, "'gone'"),
        (*_multipart(("attachment; filename=../a.zip", "application/zip", b""), _model(ECHO)), "plain file name"),
        (*_multipart(("attachment; filename=a.zip", "text/csv", b""), _model(ECHO)), "neither"),
        (*_multipart(("attachment; filename=a.zip", "message/external-body; x=y", b""), _model(ECHO)), "no ref"),
        (*_multipart(('x-schema; name="s"', "application/json", b"{"), _model(ECHO)), "embedded schema 's'"),
        (*_multipart(('x-schema; name="s"', "application/json", b"1")), "has no model"),
        (*_multipart(("x-other", "text/plain", b"1"), _model(ECHO)), "'x-other'"),
    ],
)
def test_a_load_that_cannot_be_says_why_in_one_line(idle, body, headers, reason):
    given = {"Content-Disposition": 'x-model; name="m"', **headers}
    answer = idle.ask("PUT", "/1/job/model", body, given)
    assert answer.status == 400
    assert reason in answer.text
    assert "\n" not in answer.text
    assert idle.ask("GET", "/2/engine/state").json() == {"state": "init"}


def test_a_stream_that_cannot_be_attached_says_why(idle):
    for body, reason in ((b"{", "not JSON"), (b'{"Transport": "pigeon", "Encoding": "json"}', "pigeon"), (b"[]", "")):
        answer = idle.ask("PUT", "/2/active/stream/0", body, {"Content-Type": "application/json"})
        assert (answer.status, reason in answer.text, "\n" in answer.text) == (400, True, False)
    assert idle.ask("PUT", "/2/active/stream/x", REST).status == 400
    inline = {"Transport": {"Type": "inline", "Data": ["1"]}, "Encoding": "json"}
    found = idle.ask("PUT", "/2/active/stream/1", inline, dry_run="True")
    assert (found.status, found.json()["transport"]["type"]) == (200, "inline")


@pytest.mark.parametrize("path", ["1/policy", "2/active/stream/0", "1/schema/x", "1/job/model", "1/config"])
def test_a_body_nested_without_end_is_refused(idle, path):
    headers = {"Content-Type": "application/vnd.fastscore.import-policy-python3" if "policy" in path else PYTHON3}
    assert idle.ask("PUT", f"/{path}", b"[" * 100_000, headers).status == 400


def test_older_names_of_the_same(idle):
    assert idle.load("m", ECHO).status == 204
    assert idle.ask("PUT", "/1/job/stream/out", REST).status == 204
    assert idle.ask("PUT", "/1/job/stream/in", REST).status == 204
    assert idle.score(1) == [1]
    assert idle.ask("POST", "/1/job/scale", n=2).status == 204
    idle.wait_for_jets(2)
    assert idle.ask("POST", "/1/job/scale").status == 403
    assert idle.ask("POST", "/1/job/scale", n="x").status == 403
    assert idle.ask("POST", "/1/job/sample/cpu", duration=0.1).json()["duration"] > 0
    assert idle.ask("POST", "/1/job/sample/cpu", duration=-1).status == 403
    assert {one["active"] for one in idle.ask("GET", "/1/control/sensor").json()} == {True}
    assert "sys.memory" in idle.ask("GET", "/1/control/sensor/available").json()
    assert idle.ask("GET", "/1/control/sensor/1").json()["permanent"] is True
    assert idle.ask("GET", "/1/control/sensor/999").status == 404
    assert idle.ask("DELETE", "/1/job").status == 204
    assert idle.ask("GET", "/2/engine/state").json() == {"state": "init"}


def test_scale(idle):
    idle.run(ECHO)
    assert idle.ask("POST", "/2/active/model/scale", 3).status == 204
    idle.wait_for_jets(3)
    assert idle.ask("POST", "/2/active/model/scale").status == 204  # a client that leaves out what is falsy means 0
    idle.wait_for_jets(0)
    for wrong in (-1, "two", 1.5, True):
        assert idle.ask("POST", "/2/active/model/scale", wrong).status == 400


def test_roundtrip(idle):
    idle.run(ECHO)
    answer = idle.ask("POST", "/2/active/model/roundtrip/0/1", b"5")
    assert (answer.status, answer.body) == (200, b"5")
    idle.ask("POST", "/2/engine/reset")
    assert idle.ask("POST", "/2/active/model/roundtrip/0/1", b"5").status == 403


def test_a_roundtrip_without_an_answer_ends(idle):
    idle.run("def action(x):\n    pass\n")
    answer = idle.ask("POST", "/2/active/model/roundtrip/0/1", b"5", timeout=100)
    assert answer.status not in (200, 202, 204, 500)
    assert answer.text


def test_pause_and_unpause(idle):
    idle.run(ECHO)
    assert idle.ask("POST", "/2/engine/pause").status == 204
    assert idle.ask("GET", "/2/engine/state").json() == {"state": "paused"}
    idle.score(1, expect=0)
    assert idle.ask("GET", "/1/job/output").status == 202
    assert idle.ask("POST", "/2/engine/unpause").status == 204
    assert idle.score(expect=1) == [1]


def test_schemas_and_data_are_verified(idle):
    path = "/2/active/schema/verify"
    assert idle.ask("POST", path, "foobar").text == 'Type "foobar" is undefined'
    number = idle.ask("POST", path, {"type": "int"}).json()["id"]
    assert idle.ask("POST", f"{path}/{number}", {"data": 0}).status == 204
    answer = idle.ask("POST", f"{path}/{number}", {"data": "fastscore"})
    assert (answer.status, answer.text) == (400, 'Int expected, not "fastscore"')
    assert idle.ask("POST", f"{path}/{number}", 5).status == 400
    assert idle.ask("DELETE", f"{path}/{number}").status == 204
    assert [idle.ask(method, f"{path}/{number}", {"data": 0}).status for method in ("POST", "DELETE")] == [404, 404]


def test_samples_and_rates_of_streams(idle):
    inline = {"Transport": {"Type": "inline", "Data": ["1", "2", "3"]}, "Encoding": "json"}
    found = idle.ask("POST", "/1/stream/sample", inline, n=2).json()
    assert [base64.b64decode(one) for one in found] == [b"1", b"2"]
    assert idle.ask("POST", "/1/stream/rate", inline).json()[0].keys() >= {"rps", "mbps"}
    assert idle.ask("POST", "/1/stream/sample", {"Transport": "pigeon"}).status == 400


def test_what_models_print_is_told_once(idle):
    idle.ask("GET", "/1/debug/output")
    idle.run("print('hello')\n" + ECHO)
    assert idle.score(1) == [1]
    assert "hello" in "".join(idle.ask("GET", "/1/debug/output").json())
    assert idle.ask("GET", "/1/debug/output").json() == []


def test_a_model_that_fails_leaves_the_engine_in_error(idle):
    idle.run("def action(x):\n    yield 1 / x\n")
    assert idle.score(2) == [0.5]
    idle.score(0, expect=0)
    idle.wait_for_state("error")
    (told,) = idle.ask("GET", f"{PREFIX}/connect/2/pneumo", type="model-error").json()[-1:]
    assert "ZeroDivisionError" in told["console"]
    assert told["input"]["data"] == ["0"]
    assert told["src"] == "engine-1"


def test_snapshots_are_kept_and_restored(idle):
    source = (
        "# fastscore.snapshots: eof\ntotal = 0\ndef action(x):\n    global total\n    total += x\n    yield total\n"
    )
    idle.ask("PUT", f"{MM}/model/sum", source.encode(), {"Content-Type": PYTHON3})
    idle.run(source, "sum")
    assert idle.score(1, 2, {"$fastscore": "end"}, expect=2) == [1, 3]
    idle.wait_for_state("finished")
    (kept,) = idle.ask("GET", f"{MM}/model/sum/snapshot", count=1).json()
    assert kept["size"] > 0
    blob = idle.ask("GET", f"{MM}/model/sum/snapshot/{kept['id'][:7]}/contents").body
    assert blob.isascii()
    idle.ask("POST", "/2/engine/reset")
    assert idle.ask("PUT", "/1/job/state", blob).status == 204
    idle.run(source, "sum")
    assert idle.score(4) == [7]
    idle.ask("POST", "/2/engine/reset")
    assert idle.ask("PUT", "/1/job/state", b"nonsense").status == 400
    inner = blob.replace(b"sha256", b"sha-1")
    assert idle.ask("PUT", "/1/job/state", inner).status == 400
    assert idle.ask("PUT", "/1/job/state", b"").status == 400
    idle.load("other", source)
    foreign = idle.ask("PUT", "/1/job/state", blob)
    assert (foreign.status, "of model 'sum'" in foreign.text) == (400, True)
    idle.ask("POST", "/2/engine/reset")
    idle.ask("PUT", "/1/job/state", blob)
    assert idle.load("other", source).status == 400
    assert idle.load("sum", source).status == 204
    idle.attach()
    assert idle.ask("PUT", "/1/job/state", blob).status == 403, "too late"


def test_an_import_policy_is_kept_and_obeyed(idle):
    yaml = {"Content-Type": "application/vnd.fastscore.import-policy-python3"}
    accept = {"Accept": yaml["Content-Type"]}
    assert idle.ask("PUT", "/1/policy", b"colorsys: prohibit\n", yaml, preinstall="False").status == 201
    found = idle.ask("GET", "/1/policy", headers=accept)
    assert (found.body, found.headers["content-type"]) == (b"colorsys: prohibit\n", accept["Accept"])
    answer = idle.load("m", "import colorsys\n" + ECHO)
    assert (answer.status, "colorsys" in answer.text) == (400, True)
    assert idle.ask("PUT", "/1/policy", b"colorsys: perhaps\n", yaml).status == 400
    assert idle.ask("PUT", "/1/policy", b"colorsys: warn\n", yaml).status == 201
    assert idle.load("m", "import colorsys\n" + ECHO, **{"dry-run": "True"}).json()["warn_libs"] == ["colorsys"]
    assert idle.ask("PUT", "/1/policy", b"", yaml).status == 201
    assert idle.ask("GET", "/1/policy", headers={"Accept": "application/vnd.fastscore.import-policy-r"}).status == 400


def test_engines_of_one_fleet_are_apart(idle):
    other = f"{PREFIX}/engine-2"
    idle.run(ECHO)
    assert idle.ask("GET", f"{other}/2/engine/state").json() == {"state": "init"}
    headers = {"Content-Type": PYTHON3, "Content-Disposition": 'x-model; name="b"'}
    assert idle.ask("PUT", f"{other}/1/job/model", b"def action(x):\n    yield -x\n", headers).status == 204
    for slot in (1, 0):
        assert idle.ask("PUT", f"{other}/2/active/stream/{slot}", AT_ONCE).status == 204
    assert idle.score(5, prefix=other) == [-5]
    assert idle.score(5) == [5]
    assert idle.ask("POST", f"{other}/2/engine/reset").status == 204
    assert idle.ask("GET", "/2/engine/state").json() == {"state": "running"}
