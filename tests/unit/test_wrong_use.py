"""Wrong use of any command: one line, the documented exit code, no traceback, and no wait for what cannot come."""

from __future__ import annotations

import argparse
import contextlib
import importlib.metadata
import io
import os
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

import pytest

from stream_scorer.cli import COMMANDS, main
from stream_scorer.errors import BrokerError
from stream_scorer.kafka import admin as kafka_admin
from stream_scorer.modelop.client import options
from stream_scorer.settings.arguments import Parser
from stream_scorer.system import extras

ROOT = Path(__file__).parents[2]
MODEL = "# fastscore.schema.0: double\n# fastscore.schema.1: double\ndef action(x):\n    yield x\n"
RUN = ["run", "m.py", "--input-topic", "a", "--output-topic", "b"]
REPLAY = ["replay", "p.csv", "--topic", "t"]


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    """A folder with a model and prices. No broker and no engine answer, and nobody has TensorFlow."""
    (tmp_path / "m.py").write_text(MODEL)
    (tmp_path / "p.csv").write_text("Date,Close\n2001-01-01,5\n2001-01-02,6\n")
    (tmp_path / "binary").write_bytes(bytes(range(256)) * 10)
    (tmp_path / "empty").touch()
    (tmp_path / "folder").mkdir()
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("STREAM_SCORER_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setitem(sys.modules, "tensorflow", None)

    def away(_):
        raise BrokerError("no Kafka broker answers")

    monkeypatch.setattr(kafka_admin.Cluster, "_read", away)
    monkeypatch.setattr(options, "WAIT_S", 0.0)
    monkeypatch.setattr(importlib.metadata, "packages_distributions", dict)  # for `export`, which takes its time
    return tmp_path


def _run(argv: list[str], stdin: str = os.devnull) -> tuple[object, str]:
    """Exit code and stderr of a command in this process; an exception is one that a user would see as a traceback."""
    told = io.StringIO()
    with Path(stdin).open() as nothing, contextlib.redirect_stderr(told), _stdin(nothing):
        try:
            code: object = main(argv)
        except SystemExit as ended:
            code = ended.code
    return code, told.getvalue()


@contextlib.contextmanager
def _stdin(file):
    before, sys.stdin = sys.stdin, file
    try:
        yield
    finally:
        sys.stdin = before


WRONG = [
    ([*REPLAY, "--limit", "-1"], "argument --limit: -1 is not between 1 and 2,147,483,647"),
    ([*REPLAY, "--rate", "nan"], "argument --rate: 'nan' is not a number"),
    ([*REPLAY, "--rate", "0"], "argument --rate: 0 is not above 0 and below 2,147,483,647"),
    ([*REPLAY, "--rate=-inf"], "argument --rate: -inf is not above 0"),
    ([*REPLAY, "--schema-id", "99999999999"], "argument --schema-id: 99999999999 is not between 0 and"),
    ([*REPLAY, "--kafka", "nonsense"], "--kafka: pair 1 is not KEY=VALUE."),
    ([*REPLAY, "--kafka", "sasl.pasword=x"], "--kafka sasl.pasword: No such configuration property"),
    (["replay", "gone.csv", "--topic", "t"], "gone.csv: cannot be read (No such file or directory)."),
    (["replay", "folder", "--topic", "t"], "folder: cannot be read (Is a directory)."),
    (["replay", "binary", "--topic", "t"], "binary: not a CSV file"),
    (["tail", "--output-topic", "t", "--limit", "0"], "argument --limit: 0 is not between 1 and"),
    (["dead-letters", "list", "--topic", "t", "--last", "-5"], "argument --last: -5 is not between 1 and"),
    (["dead-letters", "lst"], "invalid choice: 'lst'"),
    (["score", "m.py", "--batch", "-1"], "argument --batch: -1 is not between 1 and"),
    (["score", "m.py", "--batch", "0"], "argument --batch: 0 is not between 1 and"),
    (["score", "m.py", "--log-level", "foo"], "argument --log-level: invalid choice: 'FOO'"),
    (["score", "m.py", "--rejects", "/proc/x"], "/proc/x: No such file or directory"),
    (["score", "m.py", "--rejects", "folder"], "folder: Is a directory"),
    (["score", "m.py", "--schema", "nonsense"], "--schema: 'nonsense' is not KEY=VALUE."),
    (["demo", "--days", "-5"], "argument --days: -5 is not between 31 and 50,000"),
    (["demo", "--out", "p.csv"], "argument --out:"),
    (["train", "--prices", "p.csv", "--cpi", "p.csv", "--out", "p.csv/x"], "p.csv is not a folder"),
    (["train", "--prices", "p.csv", "--cpi", "p.csv", "--out", "o"], "pip install 'stream-scorer[train]'"),
    (["train-forecaster", "--prices", "p.csv", "--cpi", "p.csv", "--out", "/proc/x"], "/proc cannot be written (No such"),
    (["backtest", "m.py", "--prices", "p.csv", "--out", "/proc/x/y"], "argument --out: /proc cannot be written (No"),
    (["export", "m.py", "--out", "p.csv"], "p.csv is not a folder"),
    ([*RUN, "--kafka", "nonsense"], "--kafka: pair 1 is not KEY=VALUE."),
    ([*RUN, "--batch", "9" * 5000], "--batch:"),
    ([*RUN, "--http", "9" * 5000], "--http"),
    ([*RUN, "--log-level", "foo"], "--log-level: 'foo' is not one of DEBUG, INFO"),
    ([*RUN, "--input-topics", "x"], "unrecognized arguments: --input-topics x. Did you mean --input-topic?"),
    ([*RUN, "--group", os.fsdecode(b"\xff")], r"--group: '\udcff' is not text in UTF-8."),
    ([*RUN, "--kafka", "sasl.mechanisms=OAUTHBEARER"], "no source of tokens is set. Give --kafka sasl.oauthbearer.method=oidc"),
    (["fleet", "--server", "http://[::1"], "server 'http://[::1' is not a URL."),
    (["connect", "localhost:8003"], "server 'localhost:8003' is not a URL."),
    (["connect", "http://x", "--wait", "nan"], "argument --wait: 'nan' is not a number"),
    (["model", "scale", "-1"], "-1"),
    (["sroce"], "no command 'sroce'. Did you mean score?"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("argv", "text"), WRONG, ids=lambda value: " ".join(value)[:60] if isinstance(value, list) else ""
)
def test_wrong_use_is_told_in_one_line_and_ends_with_2(argv, text):
    code, told = _run(argv)
    assert code == 2, told
    assert text in told
    if argv[0] in COMMANDS:
        assert told.startswith(f"stream-scorer {argv[0]}: ")
        assert told.count("\n") == 1


ABSURD_NUMBERS = ("", "-1", "nan", "-inf", "1e400", "9" * 30, "9" * 5000, "x", "1.5")
ABSURD_TEXTS = ("", "-1", "nan", "9" * 40 + "=x", "folder", "gone", "binary", "empty", "=", "a=b", "\n", "a" * 5000,
                os.fsdecode(b"\xff\xe8"), "http://[::1", "localhost:99999")  # fmt: skip
FILL = {"MODEL": "m.py", "MODEL_OR_BUNDLE": "m.py", "FILE": "gone", "CSV": "p.csv", "SOURCE": "p.csv", "SLOT": "0", "DIR": "new",
        "BUNDLE": "new", "URL": "http://127.0.0.1:9", "N": "1", "ID": "1", "STREAM": "rest:"}  # fmt: skip
ALWAYS = {
    "run": ["--input-topic", "a", "--output-topic", "b"],
    "tail": ["--output-topic", "a"],
    "dead-letters": ["--topic", "a"],
    "connect": ["--nowait"],
    "engine": ["--listen", "x"],  # a server that began to serve would not end
}
TOLD_ONCE = {"server", "engine", "token", "ca"}
"""Of every verb of the client: tried with one command."""


def _verbs(parser: argparse.ArgumentParser, words: tuple[str, ...] = ()):
    inner = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    for action in inner:
        for word, of_word in action.choices.items():
            yield from _verbs(of_word, (*words, word))
    if not inner or not inner[0].required:
        yield words, parser


def _wrong_lines(name: str):
    """Command lines with one absurd value each, and the rest as it may be."""
    command = importlib.import_module(COMMANDS[name][0])
    whole = Parser(prog=name)
    command.add_arguments(whole)
    for words, parser in _verbs(whole):
        actions = [one for one in parser._actions if one.nargs != 0 and not isinstance(one, argparse._SubParsersAction)]
        always = ALWAYS.get(name, []) if name != "engine" or words in ((), ("serve",)) else []
        needed = [one for one in actions if one.required]
        for action in actions:
            if action.dest in TOLD_ONCE and name != "fleet" and words != ("serve",):
                continue
            if name == "engine" and action.dest == "listen":
                continue
            numeric = action.type is not None and action.type not in (Path, str.upper)
            for value in ABSURD_NUMBERS if numeric else ABSURD_TEXTS:
                line = [name, *words, *always]
                others = [one for one in needed if one is not action and one.option_strings]
                line += [f"{one.option_strings[0]}={FILL.get(one.metavar, 'x')}" for one in others]
                if action.option_strings:
                    line.append(f"{action.option_strings[0]}={value}")
                places = [one for one in needed if not one.option_strings]
                values = [value if one is action else FILL.get(one.metavar, "x") for one in places]
                if not action.option_strings and action not in needed:
                    values.append(value)
                yield [*line, *(["--"] if any(one.startswith("-") for one in values) else []), *values]


@pytest.mark.slow  # several hundred command lines
@pytest.mark.parametrize("name", COMMANDS)
def test_no_absurd_value_of_any_argument_is_a_traceback(name, place):
    lines = list(_wrong_lines(name))
    assert lines
    for line in lines:
        code, told = _run(line)  # what raises fails here
        assert code in (0, 1, 2, 3, 4), (line, told)
        assert "Traceback" not in told, line
        assert code == 0 or told, line


def test_misspelled_variables_are_warned_of(monkeypatch):
    for name in ("BOOTSTRAP_SERVER", "SERVICE_HOST", "SERVICE_PORT_HTTP", "PORT", "PORT_80_TCP_ADDR", "UI_PORT_80_TCP",
                 "TEST_BROKER", "TOKEN", "BATCH", "LISTEN"):  # fmt: skip
        monkeypatch.setenv(f"STREAM_SCORER_{name}", "1")
    code, told = _run(["fleet", "--server", "x"])
    assert code == 2
    assert told.splitlines()[:-1] == [
        "stream-scorer fleet: warning: STREAM_SCORER_BOOTSTRAP_SERVER is set, and there is no such setting. "
        "Did you mean STREAM_SCORER_BOOTSTRAP_SERVERS?"
    ]
    monkeypatch.setenv("STREAM_SCORER_WORKER", "1")
    assert "warning" not in _run(["fleet", "--server", "x"])[1]


def test_a_package_of_an_extra_is_named_with_it():
    error = ModuleNotFoundError("No module named 'pandas.core'", name="pandas.core")
    assert extras.install_hint(error) == "pip install 'stream-scorer[adjust]'"
    assert extras.install_hint(ModuleNotFoundError("x", name="nobodys")) is None
    assert extras.install_hint(OSError()) is None


def test_every_package_of_an_extra_is_known():
    told = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    other_names = {"yaml": "pyyaml", "sklearn": "scikit-learn", "botocore": "boto3"}
    for package, extra in extras.EXTRA.items():
        needs = [line.split("[")[0].split(">")[0].split("=")[0] for line in told[extra]]
        assert other_names.get(package, package) in needs, (package, extra)
    told_of = {
        name
        for one in (set(told) - {"test", "dev", "all"})
        for name in told[one]
        if not name.startswith("stream-scorer") and name != "confluent-kafka[schemaregistry]"  # told by --registry
    }
    known = {other_names.get(package, package) for package in extras.EXTRA}
    assert {name.split(">")[0] for name in told_of} <= known


def test_a_model_that_lacks_tensorflow_names_the_extra(place):
    (place / "tf.py").write_text(MODEL.replace("def action", "import tensorflow\ndef action"))
    code, told = _run(["score", "tf.py"])
    assert code == 3
    assert "pip install 'stream-scorer[tensorflow]'" in told


def test_no_home_is_told(monkeypatch):
    monkeypatch.delenv("XDG_CONFIG_HOME")
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)

    def homeless():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", homeless)
    assert _run(["connect", "http://127.0.0.1:9", "--nowait"])[1].endswith(
        "there is no home directory. Set XDG_CONFIG_HOME, or HOME.\n"
    )
    assert "there is no home directory. Set XDG_DATA_HOME, or HOME." in _run(["engine", "--listen", "127.0.0.1:0"])[1]


def test_no_room_for_temporary_files_is_told(monkeypatch):
    """As with a root file system that can only be read."""
    monkeypatch.setattr(tempfile, "tempdir", "/proc/none")
    code, told = _run(["score", "m.py"])
    assert code == 2
    assert "no temporary files can be made (No such file or directory). Set TMPDIR" in told


def _child(*argv: str, stdin: str = "1\n2\n", **how) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "stream_scorer", *argv]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        line, input=stdin, text=True, stderr=subprocess.PIPE, env=environment, timeout=120, check=False, **how
    )


@pytest.mark.process
def test_a_full_disk_is_told():
    with Path("/dev/full").open("w") as full:
        for argv in (["score", "m.py"], ["--help"]):
            done = _child(*argv, stdout=full)
            assert done.returncode == 2
            assert done.stderr.endswith("No space left on device\n")
            assert done.stderr.count("\n") == 1
    code, told = _run(["score", "m.py", "--rejects", "/dev/full"], stdin="binary")
    assert (code, told) == (2, "stream-scorer score: No space left on device\n")


@pytest.mark.process
@pytest.mark.parametrize("argv", [["--help"], ["run", "--help"], ["score", "m.py"]], ids=" ".join)
def test_a_reader_that_has_gone_is_no_error(argv):
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as gone:
        done = _child(*argv, stdout=gone)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.process
def test_closed_descriptors_are_told():
    def close(number):
        return lambda: os.close(number)

    done = _child("score", "m.py", stdout=None, preexec_fn=close(1))
    assert (done.returncode, done.stderr) == (2, "stream-scorer score: stdin or stdout is closed\n")
    line = [sys.executable, "-m", "stream_scorer", "score", "m.py"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        line, preexec_fn=close(0), capture_output=True, text=True, env=environment, check=False, timeout=120
    )
    assert (done.returncode, done.stderr) == (2, "stream-scorer score: stdin or stdout is closed\n")
    done = subprocess.run(line, input="1\n", preexec_fn=close(2), stdout=subprocess.PIPE, text=True, env=environment,
                          check=False, timeout=120)  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "1\n")


@pytest.mark.parametrize("by_slots", [False, True])
def test_score_says_that_every_record_was_rejected(by_slots, place):
    place.joinpath("lines").write_text('"a"\n"b"\n')
    place.joinpath("half").write_text('"a"\n2\n')
    how = ["--input", f"0={place / 'lines'}", "--output", f"1={place / 'out'}"] if by_slots else []
    code, told = _run(["score", "m.py", *how], stdin="lines")
    assert code == 1
    assert told.splitlines()[-1].startswith(
        "stream-scorer score: all 2 records were rejected; the first at "
        + ("slot 0: schema: " if by_slots else "stdin[0]@0: schema: expected double")
    )
    how = ["--input", f"0={place / 'half'}", "--output", f"1={place / 'out'}"] if by_slots else []
    assert _run(["score", "m.py", *how], stdin="half")[0] == 0
    how = ["--input", f"0={place / 'empty'}", "--output", f"1={place / 'out'}"] if by_slots else []
    assert _run(["score", "m.py", *how], stdin="empty")[0] == 0
