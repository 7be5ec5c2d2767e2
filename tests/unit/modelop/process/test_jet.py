"""A model in a process of its own, and what it may do there without harm."""

from __future__ import annotations

import io
import json
import os
import tarfile
import threading
import time
import zipfile
from pathlib import Path

import pytest

from stream_scorer.errors import ModelError
from stream_scorer.modelop.process.limits import Limits
from stream_scorer.modelop.process.results import ModelFailed
from stream_scorer.modelop.streams.codec_spec import CodecSpec
from stream_scorer.records import Batch
from tests.unit.modelop.process.conftest import batch, told

pytestmark = pytest.mark.process


def _tar(**files: str) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name, text in files.items():
            member = tarfile.TarInfo(name.replace("__", "/"))
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text.encode()))
    return packed.getvalue()


def _zip(**files: str) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as zipped:
        for name, text in files.items():
            zipped.writestr(name, text)
    return packed.getvalue()


def _gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def test_a_jet_from_start_to_end(jet):
    made = jet("""
        import os
        def begin(definition):
            global total
            total, definition = 0, print("begun as", definition["name"])
        def action(x, slot, seqno):
            global total
            total += x
            yield [total, seqno, os.getpid()]
        def end():
            print("ended", end="")
            yield "last"
    """)
    assert not made.explicit
    assert made.said == ["begun as toy\n"]
    assert told(made.feed(batch(1, 2))) == [(1, [1, 1, made.pid]), (1, [3, 2, made.pid])]
    assert told(made.feed(batch(4, first=3))) == [(1, [7, 3, made.pid])]
    assert made.pid != os.getpid()
    assert not made.busy
    assert told(made.end()) == [(1, "last")]
    sandbox = Path(made.sandbox)
    assert sandbox.is_dir()
    made.close()
    assert "".join(made.said) == "begun as toy\nended"
    assert not sandbox.exists()
    assert _gone(made.pid)
    made.close()


def test_codecs_go_with_the_slots(jet):
    specs = {0: CodecSpec("utf-8"), 1: CodecSpec("avro-binary", schema_name="d", schema="double"), 3: CodecSpec(None)}
    made = jet("# fastscore.slot.3: in-use\ndef action(x):\n yield len(x)\n yield 3, x", codecs=specs)
    result = made.feed(Batch(0, 1, ["é".encode(), b"\xff"], None))
    assert result.outputs == [(1, b"\0" * 6 + b"\xf0\x3f"), (3, "é".encode())]
    assert result.rejected_by_encoding == {0: 1}


def test_everything_a_model_prints_is_its_console(jet):
    made = jet("""
        import logging, os, sys
        def action(x):
            print("out", x)
            print("err", x, file=sys.stderr)
            logging.info("info %s", x)
            os.write(1, b"fd 1\\n")
            os.write(2, b"fd 2\\n")
            sys.stdout.write("no end")
    """)
    made.feed(batch(1))
    made.end()
    said = "".join(made.said).splitlines()
    assert sorted(said) == ["INFO:root:info 1", "err 1", "fd 1", "fd 2", "no end", "out 1"]


def test_a_line_is_told_in_one_piece_however_it_is_written(jet):
    made = jet("""
        import os, sys, time
        def action(x):
            print("one", x)
            for part in ("two", " ", "parts"):
                sys.stdout.write(part)
                sys.stdout.flush()
                time.sleep(0.01)
            os.write(1, b"\\n")
            print("no end", end="", flush=True)
            time.sleep(0.3)
    """)
    made.feed(batch(1))
    assert "".join(made.said) == "one 1\ntwo parts\nno end"
    assert {text[-1] for text in made.said[:-1]} == {"\n"}
    assert made.said[-1] == "no end"


def test_rejected_records_come_out_of_the_process(jet):
    made = jet("def action(x): yield x", codecs={0: CodecSpec(None), 1: CodecSpec("avro-binary", schema="double")})
    result = made.feed(batch(b"\xff"))
    assert result.shown("schema", 1) == [repr(b"\xff")]


def test_our_own_log_lines_go_to_our_log(jet, caplog):
    with caplog.at_level("INFO", "stream_scorer.modelop.process"):
        made = jet("import numpy as np\nnp.float(1)\ndef action(x): pass")
    assert "toy.py was written for NumPy 1 (numpy.float at toy.py:2)" in caplog.text
    assert made.said == []


def test_attachments_are_unpacked_into_the_directory_it_runs_in(jet):
    made = jet(
        """
        # fastscore.module-attached: helper
        import os, zipfile, helper
        def action(x):
            yield sorted(name for name in os.listdir(".") if name != "__pycache__")
            yield open("data/weights.txt").read() + " " + open("same.txt").read()
            yield zipfile.ZipFile("b.zip").namelist()
            yield [helper.NAME, __file__ == os.path.abspath("toy.py")]
        """,
        attachments=(
            ("b.zip", _zip(**{"same.txt": "second"})),
            ("a.tar.gz", _tar(**{"data__weights.txt": "w", "same.txt": "first", "helper.py": "NAME = 'help'"})),
            ("notes.txt", b"plain"),
        ),
    )
    listed, read, names, helped = [value for _, value in told(made.feed(batch(0)))]
    assert listed == ["a.tar.gz", "b.zip", "data", "helper.py", "notes.txt", "same.txt", "toy.py"]
    assert read == "w second", "the later in name order wins"
    assert names == ["same.txt"]
    assert helped == ["help", True]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("bad.zip", b"no archive", "cannot be unpacked"),
        ("out.tar.gz", _tar(**{"..__evil": "x"}), "points outside"),
    ],
    ids=["no archive", "points outside"],
)
def test_a_bad_attachment_is_refused(name, content, message, jet):
    with pytest.raises(ModelError, match=message):
        jet("def action(x): pass", attachments=((name, content),))


def test_each_jet_has_a_directory_of_its_own(jet):
    source = "import os\ndef action(x):\n open(str(x), 'w').close()\n yield sorted(os.listdir('.'))"
    one, two = jet(source), jet(source)
    assert told(one.feed(batch(1))) == [(1, ["1", "toy.py"])]
    assert told(two.feed(batch(2))) == [(1, ["2", "toy.py"])]


def test_a_file_of_an_attachment_may_have_the_models_name(jet):
    made = jet(
        "import os\ndef action(x): yield [open('toy.py').read(), os.path.basename(__file__)]",
        attachments=(("a.zip", _zip(**{"toy.py": "mine"})),),
    )
    assert told(made.feed(batch(0))) == [(1, ["mine", "toy.py"])]


def test_a_failure_comes_with_what_was_given_before_it(jet):
    made = jet("def action(x):\n    print('at', x)\n    yield 1 / x")
    result = made.feed(batch(1, 0, 2))
    assert result.outputs == [(1, b"1.0")]
    assert result.failure.reason == "ZeroDivisionError: division by zero"
    assert 'toy.py", line 3, in action\n    yield 1 / x' in result.failure.traceback
    assert result.failure.input == {"slot": 0, "seqno": 2, "data": ["0"], "batch_len": 3, "encoding": "json"}
    assert "".join(made.said) == "at 1\nat 0\n", "told by the time the failure is"


def test_a_start_that_fails_leaves_nothing_behind(jet):
    made = jet("import os\ndef begin():\n    raise OSError(os.getpid())\ndef action(x): pass", start=False)
    with pytest.raises(ModelFailed, match=r"toy\.py:3: begin\(\) raised OSError"):
        made.start()
    assert made.failure.where == "begin()"
    assert _gone(int(made.failure.reason.split()[-1]))
    assert not Path(made.sandbox).exists()


ENDS = {
    "leaves": ("os._exit(3)", "ended by itself with exit status 3"),
    "is killed": ("os.kill(os.getpid(), 9)", r"ended by signal 9 \(SIGKILL\), perhaps for want of memory"),
    "reads where nothing is": ("ctypes.string_at(0)", r"ended by signal 11 \(SIGSEGV\)"),
}


@pytest.mark.parametrize("case", ENDS)
def test_a_process_that_ends_is_told_with_the_record_in_hand(case, jet):
    what, message = ENDS[case]
    made = jet(f"""
        import ctypes, os
        class Odd(BaseException): pass
        def action(x):
            if x == 2:
                print("last words", flush=True)
                {what}
            yield x
    """)
    result = made.feed(batch(1, 2, 3, first=5))
    assert message.partition(r" \(")[0] in result.failure.reason
    assert "last words" in result.failure.traceback
    assert result.failure.input == {"slot": 0, "seqno": 6, "data": ["2"], "batch_len": 3, "encoding": "json"}
    assert made.feed(batch(1)).failure is not None, "and it stays so"


def test_a_call_that_does_not_come_back_is_ended_and_shown(jet):
    made = jet(
        """
        import time
        def action(x):
            time.sleep(0.02)
            while x < 0:
                pass
            yield x
        """,
        limits=Limits(call_s=0.3),
    )
    assert len(told(made.feed(batch(*range(30))))) == 30, "a long batch of quick records is no such call"
    result = made.feed(batch(1, -1))
    assert result.failure.reason == "it had not come back within 0.3 s, the limit of a call"
    assert (
        'toy.py", line 6 in action' in result.failure.traceback
        or 'toy.py", line 5 in action' in result.failure.traceback
    )
    assert result.failure.input["data"] == ["-1"]


def test_a_begin_that_does_not_come_back_is_ended(jet):
    with pytest.raises(ModelFailed, match=r"begin\(\): it had not come back within 0\.2 s"):
        jet("def begin():\n while True: pass\ndef action(x): pass", limits=Limits(start_s=0.2))


def test_a_model_that_takes_too_much_memory_fails_alone(jet):
    made = jet("def action(x): yield len(bytearray(x))", limits=Limits(memory=500 << 20))
    assert told(made.feed(batch(1000))) == [(1, 1000)]
    assert "MemoryError" in made.feed(batch(1 << 30)).failure.reason


def test_closing_ends_a_call_and_all_that_the_model_has_started(jet):
    made = jet("""
        import subprocess, time
        def action(x):
            print(subprocess.Popen(["sleep", "60"]).pid, flush=True)
            time.sleep(60)
    """)
    got = []
    feeding = threading.Thread(target=lambda: got.append(made.feed(batch(1))))
    feeding.start()
    while not made.said:
        time.sleep(0.01)
    assert made.busy
    started = time.monotonic()
    made.close()
    feeding.join(2)
    assert time.monotonic() - started < 2
    assert got[0].failure is not None
    child = int(made.said[0])
    for _ in range(100):
        if _gone(child) or _zombie(child):
            break
        time.sleep(0.01)
    else:
        pytest.fail("the model's own process lives on")


def _zombie(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"


def test_a_process_that_ends_is_noticed_though_its_fork_lives_on(jet):
    made = jet("import os, time\ndef action(x):\n if os.fork() == 0:\n  time.sleep(60)\n os._exit(4)")
    started = time.monotonic()
    assert "exit status 4" in made.feed(batch(1)).failure.reason
    assert time.monotonic() - started < 5


def test_a_console_that_nobody_can_take_is_emptied_all_the_same(jet, caplog):
    made = jet("def action(x):\n for _ in range(100): print('x' * 10_000)\n yield x", start=False)
    made._on_console = lambda text: 1 / 0
    made.start()
    assert told(made.feed(batch(1))) == [(1, 1)]


def test_settings_of_the_engine_are_not_for_the_model(jet, monkeypatch):
    monkeypatch.setenv("STREAM_SCORER_TOKEN", "secret")
    monkeypatch.setenv("SOME_OTHER", "seen")
    made = jet("import os\ndef action(x): yield [os.environ.get('STREAM_SCORER_TOKEN'), os.environ['SOME_OTHER']]")
    assert told(made.feed(batch(0))) == [(1, [None, "seen"])]


def test_a_record_set_and_pandas_only_where_it_is_needed(jet):
    made = jet("import sys\ndef action(x): yield ['pandas' in sys.modules, 'tensorflow' in sys.modules]")
    assert told(made.feed(batch(0))) == [(1, [False, False])]
    sets = jet("# fastscore.recordsets: true\ndef action(x): yield x * 2")
    assert [value for _, value in told(sets.feed(batch(1, 2)))] == [2, 4, {"$fastscore": "set"}]


EXPLICIT = """
# fastscore.action: unused
from fastscore.io import Slot
print("running")
for frame in Slot(0):
    for value in frame:
        Slot(1).write(value * 2)
        if value < 0:
            raise ValueError(value)
"""


def _batches(*batches):
    waiting = list(batches)
    return lambda slot: waiting.pop(0) if waiting else None


def test_an_explicit_model_runs_when_it_is_told_to(jet):
    made = jet(EXPLICIT)
    assert made.explicit
    assert made.said == []
    written = []
    result = made.run_explicit(_batches(batch(1, 2), batch(3, first=3)), lambda result: written.extend(result.outputs))
    assert [json.loads(record) for _, record in written] == [2, 4, 6]
    assert told(result) == []
    assert "".join(made.said) == "running\n"


def test_what_an_explicit_model_is_not_given_is_told_as_it_reads(jet):
    made, passed = jet(EXPLICIT), []
    made.run_explicit(_batches(batch(1, b"{"), batch(2)), passed.append)
    assert [
        (result.shown("encoding", 0), [json.loads(record) for _, record in result.outputs]) for result in passed
    ] == [
        (["{"], [2]),
        ([], [4]),
    ]


def test_an_explicit_model_that_fails_shows_its_last_batch(jet):
    written = []
    result = jet(EXPLICIT).run_explicit(_batches(batch(1, -2)), lambda result: written.extend(result.outputs))
    assert result.failure.reason == "ValueError: -2"
    assert result.failure.input["data"] == ["1", "-2"]
    assert [record for _, record in written] == [b"2", b"-4"]


def test_a_stream_that_breaks_under_an_explicit_model_is_for_the_caller(jet):
    def broken(slot: int) -> None:
        raise ConnectionError("gone")

    with pytest.raises(ConnectionError):
        jet(EXPLICIT).run_explicit(broken, lambda result: None)


def test_reading_may_wait_longer_than_a_call(jet):
    def slow(slot: int) -> None:
        time.sleep(0.4)

    result = jet(EXPLICIT, limits=Limits(call_s=0.3)).run_explicit(slow, lambda result: None)
    assert result.failure is None
