"""`stream-scorer score` with a stream at each slot: record sets, several slots, explicit models, descriptors."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
import tarfile

import fastavro
import pytest

pytestmark = pytest.mark.process

SCORE = "import sys; from stream_scorer.cli import main; sys.exit(main(['score', *sys.argv[1:]]))"


def _score(*args, text="", cwd=None, before=""):
    done = subprocess.run(
        [sys.executable, "-c", before + SCORE, *map(str, args)],
        input=text,
        capture_output=True,
        text=True,
        timeout=60,
        cwd=cwd,
    )
    return done.returncode, done.stdout.splitlines(), done.stderr


SETS = """
# fastscore.recordsets: true
# fastscore.schema.0: point
def action(frame):
    print("a set of", len(frame))
    frame["sum"] = frame.sum(axis=1)
    yield frame
"""
POINT = {"type": "record", "name": "p", "fields": [{"name": "x", "type": "double"}, {"name": "y", "type": "double"}]}


def test_record_sets(write):
    model = write("sets.py", SETS)
    write("point.avsc", json.dumps(POINT))
    lines = ['{"x": 1, "y": 2}', '{"x": 2}', "{", '{"x": 0.5, "y": 1}', '{"$fastscore": "set"}', '{"x": 1, "y": 1}']
    code, out, err = _score(model, text="\n".join(lines))
    marker = {"$fastscore": "set"}
    assert [json.loads(line) for line in out] == [
        {"x": 1.0, "y": 2.0, "sum": 3.0}, {"x": 0.5, "y": 1.0, "sum": 1.5}, marker, {"x": 1, "y": 1, "sum": 2}, marker
    ]  # fmt: skip
    assert code == 0
    assert err.splitlines() == [
        "slot 0: schema: field 'y' is missing The record: {\"x\": 2}",
        "slot 0: decode: expected JSON, got b'{': Expecting property name enclosed in double quotes: line 1 column 2 "
        "(char 1) The record: {",
        "a set of 2",
        "a set of 1",
    ]


TWO = """
# fastscore.action.0: left
# fastscore.action.2: right
# fastscore.slot.3: in-use
import fastscore
def left(x, slot, seqno):
    fastscore.cells("n").update(lambda n: (n or 0) + x)
    yield ["left", x, seqno]
def right(x, slot, seqno):
    yield 3, ["right", x, seqno]
def end():
    yield fastscore.cells("n").value
"""


def test_several_slots(write, tmp_path):
    model = write("two.py", TWO)
    right = write("right.jsonl", '"a"\n"b"\n{"$fastscore": "pig", "id": 7}\n"c"\n{"$fastscore": "end"}\n"never"\n')
    out = tmp_path / "out.jsonl"
    code, lines, err = _score(model, "--input", f"2={right}", "--output", f"3={out}", text="1\n2\n3\n")
    assert (code, err) == (0, "")
    pig = {"$fastscore": "pig", "id": 7}
    found = [json.loads(line) for line in lines]
    assert [one for one in found if one != pig] == [["left", 1, 1], ["left", 2, 2], ["left", 3, 3], 6]
    assert found.count(pig) == 1
    assert [json.loads(line) for line in out.read_text().splitlines()] == [
        ["right", "a", 1], ["right", "b", 2], pig, ["right", "c", 3]
    ]  # fmt: skip


def test_outputs_without_a_place_share_stdout_in_order(write):
    model = write(
        "many.py", "# fastscore.slot.3: in-use\nimport fastscore\ndef action(x):\n yield x\n yield 3, -x\n yield x"
    )
    assert _score(model, text="1\n2\n")[1] == ["1", "-1", "1", "2", "-2", "2"]


def test_descriptors_say_how(write, tmp_path):
    model = write("echo.py", "def action(x): yield x['a'] + x['b']")
    source, out = write("in.csv", "a,b\r\n1,2\r\n3,4\r\n"), tmp_path / "out.bin"
    schema = {"type": "record", "name": "r", "fields": [{"name": n, "type": "int"} for n in "ab"]}
    given = {"Transport": {"Type": "file", "Path": str(source)}, "Encoding": "csv", "Schema": schema}
    taken = {"Transport": {"Type": "file", "Path": str(out)}, "Encoding": "avro-binary", "Schema": "int"}
    streams = [write("in.json", json.dumps(given)), write("out.json", json.dumps(taken))]
    code, lines, err = _score(model, "--stream", f"0={streams[0]}", "--stream", f"1={streams[1]}")
    assert (code, lines, err) == (0, [], "")
    assert out.read_bytes() == b"\x06\x0e"


def test_an_explicit_model(write):
    source = "# fastscore.action: unused\nfrom fastscore.io import Slot\nfor s in Slot(0):\n for x in s: Slot(1).write(x * 2)"
    text = '1\n2\n{"$fastscore": "pig"}\n3\n'
    code, lines, _ = _score(write("explicit.py", source), text=text)
    assert code == 0
    assert [json.loads(line) for line in lines] == [2, 4, {"$fastscore": "pig"}, 6]


def test_a_model_that_fails_ends_the_run(write):
    model = write("fails.py", "import fastscore\ndef action(x):\n    yield 1 / x")
    code, lines, err = _score(model, text="1\n0\n2\n")
    assert (code, lines) == (3, ["1.0"])
    assert 'fails.py", line 3, in action' in err
    last = err.splitlines()[-1]
    assert last.startswith(
        f"stream-scorer score: {model}: action() failed: ZeroDivisionError: division by zero. The input: {{"
    )
    assert '"seqno": 2, "data": ["0"]' in last


WRONG = {
    "no stream for an input": ([], "slots 0 and 2 are inputs of two.py, .* Give --input 2=FILE"),
    "a slot not in use": (["--input", "2=x", "--output", "5=y"], "slot 5, which two.py does not use. It uses 0, 1, 2, 3;"),
    "an odd input": (["--input", "1=x"], "--input 1=x: expected SLOT=FILE, with SLOT an even number"),
    "an even output": (["--output", "2=x"], "SLOT an odd number"),
    "no number": (["--stream", "a=x"], "with SLOT a number"),
    "twice": (["--input", "2=x", "--stream", "2=y"], "slot 2 has a stream already"),
    "no descriptor": (["--stream", "2=gone.json"], "--stream .*gone.json: .*No such file"),
    "no file": (["--input", "2=gone.jsonl"], "gone.jsonl.*cannot be read"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_what_cannot_be_is_told(case, write, tmp_path):
    arguments, message = WRONG[case]
    code, out, err = _score(write("two.py", TWO), *arguments, cwd=tmp_path)
    assert code in (2, 4)
    assert out == []
    assert re.search(message, err), err
    assert len(err.splitlines()) == 1


def test_control_records_on_the_quick_way(write):
    model = write("mean.py", "def action(x): yield x + 1")
    text = (
        '1\n{"$fastscore": "set"}\n{ "$fastscore":"pig", "id": 4}\n2\n{"$fastscoring": 1}\n{"$fastscore": "end"}\n3\n'
    )
    code, lines, err = _score(model, text=text)
    assert code == 0
    pig = {"$fastscore": "pig", "id": 4}
    assert [json.loads(line) for line in lines] == [2, pig, 3]
    assert "fastscoring" in err
    assert len(err.splitlines()) == 1


def test_simple_models_need_not_wait_for_pandas(write):
    model = write(
        "plain.py", "import sys\ndef action(x): yield sorted({'pandas', 'confluent_kafka'} & sys.modules.keys())"
    )
    assert _score(model, text="1\n")[1] == ["[]"]


def test_lines_are_told_by_their_number(write):
    """Blank lines and control records count."""
    model = write("mean.py", "def action(x):\n if x == 3: raise ValueError('\\ud800')\n yield x")
    text = '\n1\n  \r\n{"$fastscore": "pig"}\n{"$fastscore": "set"}\n5\n3\r\n{x\n2'
    code, lines, err = _score(model, text=text)
    assert code == 0
    assert [json.loads(line) for line in lines if "pig" not in line] == [1, 5, 2]
    assert [line.partition(" The line: ")[::2] for line in err.splitlines()] == [
        ("stdin:7: action: mean.py:2: action() raised ValueError: \\ud800", "3"),
        (err.splitlines()[1].partition(" The line: ")[0], "{x"),
    ]
    assert err.splitlines()[1].startswith("stdin:8: decode: ")


def test_end_gives_outputs_and_a_record_that_fails_costs_itself_alone(write):
    """By whatever way `end` has become a generator."""
    source = "n = 0\ndef action(x, slot, seqno):\n global n\n n += x\n 1 / (x - 2)\n yield seqno\n"
    for end in ("def end():\n yield n\n yield 'no'", "def last():\n yield n\n yield 'no'\nend = last"):
        model = write("ends.py", f"# fastscore.schema.1: double\n{source}{end}")
        write("double.avsc", '"double"')
        code, lines, err = _score(model, text="1\n2\n4\n")
        assert (code, lines) == (0, ["1", "2", "5"])
        assert [line.partition(": ")[0] for line in err.splitlines()] == ["stdin:2", "slot 1"]


def test_the_only_output_slot_takes_what_names_none(write):
    model = write("three.py", "# fastscore.slot.1: unused\n# fastscore.slot.3: in-use\ndef action(x): yield x")
    assert _score(model, text="1\n")[:2] == (0, ["1"])


def test_begin_is_told_the_same_either_way(write):
    model = write("told.py", "def begin(d):\n global k\n k = d\ndef action(x): yield k")
    with tarfile.open(model.with_name("a.tar.gz"), "w:gz") as tar:
        tar.add(model, "told.py")
    told = {"name": "told", "type": "python3", "attachments": ["a.tar.gz"]}
    lines = write("lines", "1\n")
    for how in ([], ["--input", f"0={lines}"]):
        found = _score(model, "--attachment", model.with_name("a.tar.gz"), *how, text="1\n")
        assert [json.loads(line) for line in found[1]] == [told]


def test_a_model_whose_state_cannot_be_kept_is_scored_all_the_same(write):
    model = write("count.py", "import itertools\nn = itertools.count(1)\ndef action(x): yield next(n)")
    code, lines, err = _score(model, text="5\n5\n")
    assert (code, lines) == (0, ["1", "2"])
    assert "global 'n' is part of the model's state and holds a value of type itertools.count" in err


PIG = '{"mine":1.50, "$fastscore":"pig"}'


@pytest.mark.parametrize("simple", [True, False])
def test_a_pig_comes_out_as_it_went_in(write, tmp_path, simple):
    more = "" if simple else "# fastscore.slot.3: in-use\n"
    model = write("pigs.py", f"{more}def action(x):\n    yield x\n")
    text = tmp_path / "text"
    descriptor = {"Transport": {"Type": "file", "Path": str(text)}, "Encoding": "utf-8"}
    stream = write("out.json", json.dumps(descriptor))
    args = () if simple else ("--stream", f"3={stream}")
    code, out, err = _score(model, *args, text=f'1\n{PIG}\n2\n{{"$fastscore":"pig"}}\n')
    assert (code, out, err) == (0, ["1", PIG, "2", '{"$fastscore":"pig"}'], "")
    assert simple or text.read_text() == "\u262efastscore.pig\n" * 2


def test_what_came_before_a_broken_stream_is_scored(write, tmp_path):
    model = write("sums.py", "# fastscore.schema.0: row\ndef action(x):\n    yield x['a'] + 1\n")
    row = {"type": "record", "name": "row", "fields": [{"name": "a", "type": "int"}]}
    write("row.avsc", json.dumps(row))
    out = io.BytesIO()
    fastavro.writer(out, row, [{"a": number} for number in range(10)], sync_interval=1)
    (tmp_path / "x.avro").write_bytes(out.getvalue()[:-1] + b"!")
    file = {"Transport": {"Type": "file", "Path": str(tmp_path / "x.avro")}}
    stream = write("in.json", json.dumps({**file, "Encoding": "avro-binary", "Envelope": "ocf-block"}))
    code, lines, err = _score(model, "--stream", f"0={stream}")
    assert [json.loads(line) for line in lines] == list(range(1, 10))
    assert code not in (0, 1)
    assert "sync marker" in err


def test_a_record_too_long_to_be_kept_is_rejected(write):
    model = write("echo.py", "def action(x): yield x")
    before = "from stream_scorer.modelop.streams import envelopes; envelopes.MAX_LINE = 100; "
    code, lines, err = _score(model, text=f'"{"x" * 300}"', before=before)
    assert (code, lines) == (1, [])
    assert err.splitlines()[0].startswith("slot 0: decode: its end has not come within ")
    assert err.splitlines()[1].startswith(
        "stream-scorer score: all 1 records were rejected; the first at slot 0: decode: "
    )
