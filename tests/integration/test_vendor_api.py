"""The engine as a process, driven as the vendor's tutorial drives theirs, and as operators run it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import pytest

from support.engine import AT_ONCE, PREFIX, PYTHON3, REST, EngineProcess, clean_environment
from tests.support.tutorial import Tutorial

pytestmark = pytest.mark.process

FLAGSHIP = Path(__file__).parents[2] / "stream_scorer" / "models"
TINY = """\
# fastscore.schema.0: double
# fastscore.schema.1: double
import window

def begin():
    global past
    past = []

def action(x):
    global past
    past = (past + [x])[-window.LENGTH:]
    if len(past) == window.LENGTH:
        yield sum(past) / window.LENGTH
"""
VENDOR_CLI = os.environ.get("FASTSCORE_CLI") or shutil.which("fastscore")


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    with EngineProcess(tmp_path_factory.mktemp("engine")) as engine:
        yield engine


@pytest.fixture
def files(tmp_path):
    """The tutorial's files, for the model without TensorFlow."""
    (tmp_path / "double.avsc").write_text('{"type": "double"}')
    (tmp_path / "rest.json").write_text(json.dumps(REST, indent=2))
    (tmp_path / "tiny.py").write_text(TINY)
    (tmp_path / "window.py").write_text("LENGTH = 30\n")
    with tarfile.open(tmp_path / "attachment.tar.gz", "w:gz") as tar:
        tar.add(tmp_path / "window.py", "window.py")
    return tmp_path


def _deployment(name, folder, module):
    """The commands of the tutorial's deployment section, in its order."""
    return [
        ["schema", "add", "double", f"{folder}/double.avsc"],
        ["model", "add", "-type:python3", name, str(module)],
        ["attachment", "upload", name, f"{folder}/attachment.tar.gz"],
        ["stream", "add", "rest", f"{folder}/rest.json"],
        ["model", "load", name],
        ["stream", "attach", "rest", "1"],
        ["stream", "attach", "rest", "0"],
    ]


def _scored(module, attachment, folder, inputs):
    """What `stream-scorer score` makes of the same."""
    done = subprocess.run(
        [sys.executable, "-m", "stream_scorer", "score", str(module), "--attachment", str(attachment)],
        input="".join(f"{json.dumps(value)}\n" for value in inputs),
        capture_output=True,
        text=True,
        check=True,
        cwd=folder,
        env=clean_environment(folder),
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def _drive(engine, name, folder, module):
    """Deploy; 29 inputs give no output, the 30th and later ones give one each."""
    engine.cli("engine", "reset")
    for words in _deployment(name, folder, module):
        engine.cli(*words)
    assert engine.cli("engine", "inspect") == "RUNNING\n"
    inputs = [100 + at + at % 7 / 8 for at in range(160)]
    engine.cli("model", "input", stdin="".join(f"{value}\n" for value in inputs[:29]))
    assert engine.cli("model", "output", "-nowait") == ""
    outputs = []
    for value in inputs[29:32]:
        engine.cli("model", "input", stdin=f"{value}\n")
        outputs.append(json.loads(engine.cli("model", "output")))
    outputs += engine.score(*inputs[32:])
    assert engine.ask("GET", "/1/job/output").status == 202
    assert len(outputs) == len(inputs) - 29
    assert outputs == _scored(module, folder / "attachment.tar.gz", folder, inputs)  # bit for bit
    engine.cli("engine", "reset")
    assert engine.cli("engine", "inspect") == "INIT\n"


def test_the_tutorials_deployment_command_by_command(engine, files):
    shutil.copy(files / "double.avsc", files / "schema.avsc")
    _drive(engine, "tiny", files, files / "tiny.py")


@pytest.mark.tensorflow
def test_the_tutorials_deployment_with_its_model(engine, files):
    shutil.copy(FLAGSHIP / "attachment.tar.gz", files)
    shutil.copy(FLAGSHIP / "tf_sp500_lstm.py", files)
    _drive(engine, "tf_sp500_lstm", files, files / "tf_sp500_lstm.py")


@pytest.mark.tensorflow
@pytest.mark.slow
def test_the_tutorials_own_script_deployed_by_its_own_commands(tmp_path, reference_data):
    """Its text gives the model byte for byte, the descriptors and every command; TensorFlow 1.4 gave the scores."""
    tutorial = Tutorial(reference_data)
    tutorial.write(tmp_path)
    golden = tutorial.golden()
    inputs, expected = golden["stream"].tolist(), golden["pred_tf1_4_0"].tolist()
    commands = tutorial.commands()
    assert [words[:2] for words in commands] == [
        ["schema", "add"],
        ["model", "add"],
        ["attachment", "upload"],
        ["stream", "add"],
        ["model", "load"],
        ["stream", "attach"],
        ["stream", "attach"],
    ]
    with EngineProcess(tmp_path) as engine:
        for words in commands:
            assert engine.cli(*words) == ""
        assert engine.cli("engine", "inspect") == "RUNNING\n"
        engine.cli("model", "input", stdin="".join(f"{value!r}\n" for value in inputs[:29]))
        engine.wait_for_jets(1, seconds=120)
        assert engine.cli("model", "output", "-nowait") == ""
        assert engine.ask("GET", "/1/job/output").status == 202
        found = []
        for value in inputs[29:31]:
            engine.cli("model", "input", stdin=f"{value!r}\n")
            found.append(json.loads(engine.cli("model", "output")))
        for value in inputs[31:]:
            found += engine.score(value)  # an output each
        assert engine.ask("GET", "/1/job/output").status == 202
        assert engine.ask("GET", "/2/active/model").json()["source"].encode() == tutorial.script
    assert len(found) == len(expected) == 500
    assert max(abs(one - other) for one, other in zip(found, expected, strict=True)) <= 5e-6


def test_every_noun_can_be_listed_shown_verified_and_removed(engine, files):
    engine.cli("engine", "reset")
    for words in _deployment("other", files, files / "tiny.py")[:4]:
        assert engine.cli(*words) == ""
    assert ["other", "python3"] in [line.split() for line in engine.cli("model", "list").splitlines()]
    assert {"name": "other", "type": "python3"} in json.loads(engine.cli("model", "list", "-json"))
    assert engine.cli("model", "show", "other") == TINY
    verified = engine.cli("model", "verify", "other", "-v")
    assert verified.endswith("the model contains no errors\n")
    assert engine.cli("schema", "list").split() == sorted({"double", *engine.cli("schema", "list").split()})
    assert json.loads(engine.cli("schema", "show", "double")) == {"type": "double"}
    (files / "data").write_text('1.5\n\n"x"\n{\n')
    checked = engine.cli("schema", "verify", "double", str(files / "data"), check=False)
    assert checked.startswith('1 OK    1.5\nFAIL  "x"\n')
    assert engine.cli("attachment", "list", "other", "-v").splitlines()[-1].split()[:2] == [
        "attachment.tar.gz",
        "application/gzip",
    ]
    engine.cli("attachment", "download", "other", "attachment.tar.gz", "--out", str(files / "back"))
    assert (files / "back").read_bytes() == (files / "attachment.tar.gz").read_bytes()
    assert json.loads(engine.cli("stream", "show", "rest")) == REST
    assert engine.cli("stream", "verify", "rest", "0").strip() == "the stream descriptor contains no errors"
    assert "1: 1\n" in engine.cli("stream", "sample", "inline:1,2,3", "-count:2")
    engine.cli("sensor", "add", "memory", stdin='{"Tap": "sys.memory", "Report": {"Interval": 60}}')
    number = engine.cli("sensor", "install", "memory").strip()
    assert f"{number}" in engine.cli("sensor", "inspect")
    engine.cli("sensor", "uninstall", number)
    assert "manifold.0.records.count" in engine.cli("sensor", "points")
    for words in (
        ["attachment", "remove", "other", "attachment.tar.gz"],
        ["model", "remove", "other"],
        ["schema", "remove", "double"],
        ["stream", "remove", "rest"],
        ["sensor", "remove", "memory"],
    ):
        engine.cli(*words)
        assert engine.cli(*words, check=False).startswith("1 stream-scorer")


def test_a_run_with_literals_to_its_end(engine, files):
    engine.cli("engine", "reset")
    engine.cli("model", "add", "-type:python3", "sum", stdin=(
        "# fastscore.snapshots: eof\ntotal = 0\ndef action(x):\n    global total\n    total += x\n    yield total\n"
    ))  # fmt: skip
    engine.cli("job", "run", "sum", "inline:1,2,3", "discard:", "-wait")
    assert engine.cli("engine", "inspect", "-json") == '{\n  "state": "FINISHED"\n}\n'
    (kept,) = json.loads(engine.cli("snapshot", "list", "sum", "-json"))
    assert engine.cli("snapshot", "show", "sum", kept["id"][:7]).startswith(f"id:          {kept['id']}\n")
    engine.cli("job", "stop")
    engine.cli("snapshot", "restore", "sum")
    engine.cli("model", "load", "sum")
    engine.cli("stream", "attach", "rest:", "1")
    engine.cli("stream", "attach", "rest:", "0")
    engine.cli("model", "input", stdin="4\n")
    assert engine.cli("model", "output") == "10\n"
    told = engine.cli("model", "interact", stdin='5\n"x\n6\n\n').splitlines()
    assert told[0] == "15"
    assert sorted(told[1:]) == ["21", 'rejected by encoding at slot 0: "x']
    engine.cli("engine", "reset")


def test_config_fleet_and_use(engine, files):
    (files / "config.yaml").write_text("fleet:\n- api: engine\n  host: localhost\n")
    engine.cli("config", "set", str(files / "config.yaml"))
    assert json.loads(engine.cli("config", "show")) == {"fleet": [{"api": "engine", "host": "localhost"}]}
    assert engine.cli("fleet").splitlines()[2:] == [
        "model-manage-1  model-manage  ok",
        "engine-1        engine        ok",
    ]
    engine.cli("connect", engine.url)
    assert engine.cli("use", "engine-1", "-v") == "engine-1 is the engine in use\n"
    assert engine.cli("use") == "engine-1\n"
    assert engine.cli("use", "engine-7", check=False).startswith("2 stream-scorer use: no instance 'engine-7'")
    assert len(engine.cli("pneumo", "history").splitlines()) > 3
    # an engine that stands alone has no Connect to ask
    assert engine.cli("engine", "inspect", "--server", f"{engine.url}{PREFIX}/engine-1") == "INIT\n"


def test_import_policy(engine):
    assert engine.cli("policy", "set", "-type:python3", stdin="colorsys: prohibit\n") == ""
    assert engine.cli("policy", "show", "-type:python3") == "colorsys: prohibit\n"
    engine.cli("model", "add", "-type:python3", "colours", stdin="import colorsys\ndef action(x):\n    yield x\n")
    assert "colorsys" in engine.cli("model", "verify", "colours", check=False)
    engine.cli("policy", "set", "-type:python3", stdin="{}\n")
    assert engine.cli("model", "verify", "colours") == "the model contains no errors\n"


def test_errors_are_a_line_that_helps(engine):
    for words, reason in (
        (["model", "show", "gone"], "Model 'gone' not found"),
        (["model", "load", "gone"], "Model 'gone' not found"),
        (["stream", "attach", "gone", "0"], "Stream 'gone' not found"),
        (["stream", "attach", "pigeon:", "0"], "expected a stream literal"),
        (["model", "output", "0"], "slot 0 is not an output"),
        (["model", "input", "3"], "slot 3 is not an input"),
        (["engine", "inspect", "--engine", "engine-9"], "no instance 'engine-9'"),
        (["engine", "inspect", "--server", "http://127.0.0.1:1"], "no answer"),
    ):
        told = engine.cli(*words, check=False)
        assert told[0] in "124"
        assert told.count("\n") == 1
        assert reason in told


def test_a_restart_loses_nothing(tmp_path, files):
    folder = tmp_path / "engine"
    with EngineProcess(folder) as engine:
        for words in _deployment("tiny", files, files / "tiny.py")[:4]:
            engine.cli(*words)
        engine.ask("PUT", f"{PREFIX}/model-manage-1/1/model/tiny/snapshot/abcdefgh", b"state")
        ids = [one["id"] for one in engine.ask("GET", "/1/connect").json()]
        assert engine.stop(signal.SIGKILL) == -signal.SIGKILL
    with EngineProcess(folder) as engine:
        assert [one["id"] for one in engine.ask("GET", "/1/connect").json()] == ids
        assert engine.cli("model", "show", "tiny") == TINY
        assert engine.ask("GET", "/1/model/tiny/snapshot/a/contents").body == b"state"
        for words in _deployment("tiny", files, files / "tiny.py")[4:]:
            engine.cli(*words)
        assert engine.score(*range(30), expect=1) == [14.5]
        with pytest.raises(AssertionError, match="another engine uses it"):
            EngineProcess(folder).start()


def test_an_engine_apart_finds_schemas_and_attachments_and_leaves_snapshots(tmp_path, files):
    source = TINY.replace("schema.0: double", "schema.0: price") + "\n# fastscore.snapshots: eof\n"
    source = source.replace("    global past\n    past = []", "    pass").replace(
        "import window", "import window\npast = []"
    )
    (files / "tiny.py").write_text(source)
    with EngineProcess(tmp_path / "fleet") as fleet:
        for words in _deployment("tiny", files, files / "tiny.py")[:4]:
            fleet.cli(*words)
        fleet.cli("schema", "add", "price", str(files / "double.avsc"))
        for prefix in (fleet.url, f"{fleet.url}{PREFIX}/connect"):
            with EngineProcess(tmp_path / "apart", "--no-model-manage", CONNECT_PREFIX=prefix) as apart:
                assert [one["api"] for one in apart.ask("GET", "/1/connect").json()] == ["engine"]
                kind = 'message/external-body; access-type=x-model-manage; ref="urn:fastscore:attachment:tiny:attachment.tar.gz"'
                body = (
                    '\r\n--b\r\nContent-Disposition: attachment; filename="attachment.tar.gz"\r\n'
                    f"Content-Type: {kind}\r\n\r\nContent-Type: application/gzip\r\n\r\n"
                    f'\r\n--b\r\nContent-Disposition: x-model; name="tiny"\r\nContent-Type: {PYTHON3}\r\n\r\n{source}'
                    "\r\n--b--\r\n"
                ).encode()
                answer = apart.ask("PUT", "/1/job/model", body, {"Content-Type": "multipart/mixed; boundary=b"})
                assert answer.status == 204, answer.text
                apart.attach()
                assert apart.score(*range(30), expect=1) == [14.5]
                apart.score({"$fastscore": "end"}, expect=0)
                apart.wait_for_state("finished")
        assert len(json.loads(fleet.cli("snapshot", "list", "tiny", "-json"))) == 2


def test_an_engine_whose_connect_does_not_answer_serves_all_the_same(tmp_path):
    with EngineProcess(tmp_path, "--no-model-manage", CONNECT_PREFIX="https://127.0.0.1:1") as engine:
        answer = engine.load("m", "# fastscore.schema.0: price\ndef action(x):\n    yield x\n")
        assert (answer.status, "no answer" in answer.text) == (400, True)
        engine.run("# fastscore.schema.0: double\ndef action(x):\n    yield x\n")
        assert engine.score(1.5) == [1.5]


def test_a_baked_engine_runs_from_its_start(tmp_path, files):
    (files / "rest.json").write_text(json.dumps(AT_ONCE))
    baked = {
        "MODEL": str(files / "tiny.py"),
        "SCHEMAS": f"double:{files}/double.avsc",
        "STREAMS": f"0:{files}/rest.json;1:{files}/rest.json",
        "ATTACHMENTS": str(files / "attachment.tar.gz"),
    }
    with EngineProcess(tmp_path / "engine", "--no-model-manage", **baked) as engine:
        engine.wait_for_state("running")
        assert engine.score(*range(31), expect=2) == [14.5, 15.5]
    for name, value, reason in (
        ("MODEL", "/gone.py", "MODEL /gone.py: cannot be read"),
        ("SCHEMAS", "price:/gone.avsc", "SCHEMAS: price /gone.avsc: cannot be read"),
        ("STREAMS", "zero:/x", "'zero' is not a slot"),
    ):
        with pytest.raises(AssertionError, match=reason):
            EngineProcess(tmp_path / "not", **{**baked, name: value}).start()


def test_tls_by_two_files(tmp_path):
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    made = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", *subject]
    if shutil.which("openssl") is None:
        pytest.skip("no openssl to make a certificate with")
    subprocess.run([*made, "-keyout", "key.pem", "-out", "cert.pem"], cwd=tmp_path, check=True, capture_output=True)
    flags = ["--tls-cert", str(tmp_path / "cert.pem"), "--tls-key", str(tmp_path / "key.pem")]
    with EngineProcess(tmp_path, *flags, tls=True) as engine:
        assert engine.url.startswith("https://")
        assert engine.cli("engine", "inspect", "--ca", "cert.pem") == "INIT\n"
        assert engine.cli("engine", "inspect", "--insecure") == "INIT\n"
        assert "--insecure" in engine.cli("engine", "inspect", check=False)
        engine.cli("pneumo", "--count", "1", "--insecure", "--type", "sensor-report")


def _lives(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_jets_end_with_their_engine(tmp_path, number):
    with EngineProcess(tmp_path) as engine:
        engine.run("import time\ndef action(x):\n    time.sleep(x)\n    yield x\n")
        engine.ask("POST", "/2/active/model/scale", 2)
        engine.score(60, 60, expect=0)
        pids = engine.wait_for_jets(2)
        started = time.monotonic()
        assert engine.stop(number) == {signal.SIGTERM: 0, signal.SIGINT: 130}.get(number, -number)
        assert time.monotonic() - started < 12
    deadline = time.monotonic() + 60
    while any(map(_lives, pids)):
        assert time.monotonic() < deadline, "jets live on"
        time.sleep(0.05)


def test_the_server_imports_neither_tensorflow_nor_pandas():
    code = "import sys, stream_scorer.modelop.server.serve\n"
    code += "print([n for n in ('tensorflow', 'pandas', 'sklearn') if n in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


@pytest.mark.skipif(not VENDOR_CLI, reason="the vendor's command line is not installed (FASTSCORE_CLI names it)")
def test_the_vendors_own_command_line(engine, files):
    """fastscore-cli 1.10.3 of PyPI, in a virtual environment of its own."""
    engine.cli("engine", "reset")

    def fastscore(*words, stdin=""):
        done = subprocess.run(
            [str(VENDOR_CLI), *words], input=stdin, capture_output=True, text=True, check=False, timeout=60,
            cwd=files, env=clean_environment(files),
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr + engine.log()
        return done.stdout

    fastscore("connect", engine.url)
    for words in _deployment("vendors", files, files / "tiny.py"):
        fastscore(*words)
    assert "RUNNING" in fastscore("engine", "inspect")
    fastscore("model", "input", stdin="".join(f"{at}\n" for at in range(31)))
    assert [fastscore("model", "output").strip() for _ in range(2)] == ["14.5", "15.5"]
    assert fastscore("model", "output", "-nowait") == ""
    assert "no errors" in fastscore("model", "verify", "vendors", "-v")
    assert "vendors" in fastscore("model", "inspect")
    assert "REST" in fastscore("stream", "inspect")
    fastscore("engine", "reset")
    assert "INIT" in fastscore("engine", "inspect")
