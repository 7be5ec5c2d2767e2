"""The command line: exit codes, messages, and a help that costs nothing."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from confluent_kafka import Producer

from stream_scorer import __version__
from stream_scorer.cli import COMMANDS, main
from stream_scorer.kafka.embedded import embedded_broker


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch):
    for name in [name for name in os.environ if name.startswith("STREAM_SCORER_")]:
        monkeypatch.delenv(name)


def test_help_names_every_command(capsys):
    assert main(["--help"]) == 0
    out = capsys.readouterr().out
    assert all(f"\n  {name} " in out for name in COMMANDS)
    assert main([]) == 2


def test_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"stream-scorer {__version__}\n"


def test_an_unknown_command_ends_with_2_and_the_list(capsys):
    assert main(["scroe"]) == 2
    err = capsys.readouterr().err
    assert err.startswith("stream-scorer: no command 'scroe'. Did you mean score?\n")
    assert "usage: stream-scorer COMMAND" in err


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name, capsys):
    with pytest.raises(SystemExit) as ended:
        main([name, "--help"])
    assert ended.value.code == 0
    assert f"usage: stream-scorer {name} " in capsys.readouterr().out


def test_missing_settings_end_with_2(capsys):
    assert main(["run", "model.py"]) == 2
    assert capsys.readouterr().err.startswith("stream-scorer run: --input-topic is not set. Give the flag, STREAM_SC")


def test_a_wrong_config_file_ends_with_2(capsys, tmp_path):
    assert main(["run", "model.py", "--config", str(tmp_path / "x.toml")]) == 2
    assert "cannot be read" in capsys.readouterr().err


@pytest.mark.parametrize(
    "command",
    [
        ["run", "gone.py", "--input-topic", "a", "--output-topic", "b"],
        ["score", "gone.py"],
        ["export", "gone.py", "--out", "x"],
    ],
    ids=lambda command: command[0],
)
def test_a_model_that_is_not_there_ends_with_3(command, capfd, monkeypatch):
    with Path(os.devnull).open() as nothing:
        monkeypatch.setattr(sys, "stdin", nothing)
        assert main(command) == 3
    assert f"stream-scorer {command[0]}: model 'gone.py': no such file." in capfd.readouterr().err


def test_a_model_that_does_not_verify_ends_with_1(capsys, write):
    assert main(["verify", str(write("empty.py", "x = 1"))]) == 1
    assert capsys.readouterr().err.startswith("NOT ok  ")


def _child(code, *arguments, **how):
    return subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False, **how)


@pytest.mark.process
@pytest.mark.parametrize("flag", ["--help", "--version"])
def test_help_imports_nothing_heavy(flag):
    code = f"import sys, json; from stream_scorer.cli import main; main([{flag!r}]); print(json.dumps([*sys.modules]))"
    imported = json.loads(_child(code).stdout.splitlines()[-1])
    assert not {"tensorflow", "numpy", "confluent_kafka", "pandas", "fastavro", "rich"} & set(imported)


@pytest.mark.process
def test_help_of_run_needs_neither_kafka_nor_numpy():
    code = (
        "import sys; from stream_scorer.cli import main\ntry: main(['run', '--help'])\nfinally: print([*sys.modules])"
    )
    imported = _child(code).stdout.splitlines()[-1]
    assert "confluent_kafka" not in imported
    assert "numpy" not in imported


SCORE = "import sys; from stream_scorer.cli import main; sys.exit(main(sys.argv[1:]))"


@pytest.mark.process
def test_score_takes_lines_and_keeps_scores_apart_from_prints(write):
    model = write(
        "loud.py",
        """
        # fastscore.schema.0: double
        # fastscore.schema.1: double
        def action(x):
            print("loud")
            if x < 0:
                raise ValueError("negative")
            yield x * 2
        """,
    )
    rejects = model.with_name("rejects")
    done = _child(SCORE, "score", str(model), "--rejects", str(rejects), input='1\n\n-1\n2.5\n"x"\n3')
    assert (done.returncode, done.stdout) == (0, "2\n5.0\n6\n")
    assert done.stderr.count("loud") == 4
    told = rejects.read_text().splitlines()
    assert told[0].startswith("stdin:3: action: loud.py:7: action() raised ValueError: negative The line: -1")
    assert told[1].startswith('stdin:5: schema: expected double, not "x" (str)')


@pytest.mark.process
def test_score_ends_quietly_when_its_reader_goes(write):
    """As `| head -1` does."""
    model = write("echo.py", "# fastscore.schema.0: double\n# fastscore.schema.1: double\ndef action(x):\n    yield x")
    with subprocess.Popen(
        [sys.executable, "-c", SCORE, "score", str(model)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        process.stdin.write(b"1\n")
        process.stdin.flush()
        assert process.stdout.readline() == b"1\n"
        process.stdout.close()
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(b"2\n" * 100_000)
        assert process.wait(20) == 0
        assert process.stderr.read() == b""


@pytest.mark.parametrize(("values", "code"), [([b"x", b"y"], 1), ([b"x", b"1"], 0), ([], 0)])
def test_run_says_that_every_record_was_rejected(values, code, write, capfd):
    """On the embedded broker, whose transactions are enough for this."""
    model = write("echo.py", "# fastscore.schema.0: double\n# fastscore.schema.1: double\ndef action(x):\n    yield x")
    with embedded_broker("a", "b") as servers:
        producer = Producer({"bootstrap.servers": servers})
        for value in values:
            producer.produce("a", value, partition=0)
        producer.flush(30)
        line = [
            "run",
            str(model),
            "--bootstrap-servers",
            servers,
            "--input-topic",
            "a",
            "--output-topic",
            "b",
            "--until-end",
        ]
        assert main([*line, "--input-encoding", "json", "--on-bad-record", "skip"]) == code
    said = "all 2 records were rejected; the first at a[0]@0: decode: " in capfd.readouterr().err
    assert said == (code == 1)


@pytest.mark.parametrize(
    ("in_use", "given", "told"),
    [
        ("1 3", "b", "output slot 3 of m.py is in use and has no topic. Give --output-topic 1=b,3=TOPIC, or say"),
        ("3", "b", "output slot 3 of m.py is in use and has no topic. Give --output-topic 3=TOPIC, or say"),
        ("1 3", "3=c", "output slot 1 of m.py is in use and has no topic. Give --output-topic 1=TOPIC,3=c, or say"),
    ],
)
def test_an_output_without_topic_is_told_before_anything_is_opened(in_use, given, told, capsys, write):
    comments = "# fastscore.slot.1: unused\n" + "".join(f"# fastscore.slot.{slot}: in-use\n" for slot in in_use.split())
    line = ["run", str(write("m.py", f"{comments}def action(x): pass"))]
    line += ["--bootstrap-servers", "127.0.0.1:9", "--input-topic", "a", "--output-topic", given]
    assert main(line) == 2
    assert told in capsys.readouterr().err
