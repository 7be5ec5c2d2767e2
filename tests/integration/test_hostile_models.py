"""Models that never return, flood, hang, fork or write where they should not: the engine goes on, and a reset helps."""

from __future__ import annotations

import json
import pathlib
import resource

import pytest

from stream_scorer.modelop.dataflow.processes import has_exited
from stream_scorer.modelop.process import jet_folder
from support.manifold import REST, Engine, alive, until

pytestmark = pytest.mark.process

BOTH = {0: REST, 1: REST}
GOOD = "def action(x):\n    yield x + 1\n"


@pytest.fixture(scope="module")
def _engine():
    engine = Engine()
    yield engine
    engine.close()


@pytest.fixture
def engine(_engine):
    """One engine for all tests of this file, reset. After each test its processes and folders are gone."""
    _engine.events.clear()
    yield _engine
    pids = _engine.pids()
    _engine.reset()
    assert _engine.state == "init"
    assert not any(map(alive, pids))


def _works(engine):
    """After a reset the engine runs a model."""
    engine.reset()
    engine.run_model(GOOD, BOTH)
    engine.input(0, b"1")
    assert engine.outputs(1) == [b"2"]


def _peak_mb():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10


def test_a_generator_that_never_ends_delivers_and_waits_for_its_readers(engine):
    """1 MB an output: without backpressure the queue, or the jet, would hold thousands of them in these seconds."""
    engine.run_model(
        "def action(x):\n    n = 0\n    while True:\n        yield str(n) + 'x' * 1_000_000\n        n += 1\n", BOTH
    )
    before = _peak_mb()
    engine.input(0, b"1")
    outputs = engine.outputs(30)
    assert [int(json.loads(output).rstrip("x")) for output in outputs] == [*range(30)]
    engine.pause()
    engine.unpause()
    engine.outputs(10)
    assert _peak_mb() - before < 600
    _works(engine)


@pytest.mark.parametrize(
    "source",
    [
        "import time\ndef action(x):\n    yield x\n    yield x\n    while True: time.sleep(9)\n",
        "def action(x):\n    yield x\n    yield x\n    while True: pass\n",
        "def action(x):\n    yield 0\ndef end():\n    yield 1\n    yield 1\n    while True: pass\n",
    ],
    ids=["sleeps", "computes", "at the end"],
)
def test_what_a_call_has_yielded_comes_though_it_does_not_return(engine, source):
    engine.run_model(source, BOTH)
    engine.input(0, b"1")
    if "end" in source:
        engine.input(0, b'{"$fastscore": "end"}')
        assert engine.outputs(3) == [b"0", b"1", b"1"]
    else:
        assert engine.outputs(2) == [b"1", b"1"]
    _works(engine)


def test_parts_and_the_rest_keep_their_order(engine):
    engine.run_model(
        "import time\ndef action(x):\n    for n in range(x):\n        yield n\n        if n % 3 == 0: time.sleep(0.3)\n",
        BOTH,
    )
    engine.input(0, b"12")
    engine.input(0, b"3")
    assert engine.outputs(15) == [b"%d" % n for n in [*range(12), *range(3)]]


def _spraying(message):
    """A model that writes bytes to every descriptor that it has not opened."""
    return f"""
import os, struct
def action(x):
    for descriptor in range(3, 64):
        try: os.write(descriptor, {message})
        except OSError: pass
    yield x
"""


ANSWER = b'{"do": "answer", "encoding": [], "count": 7}'
HOSTILE = {
    "exits": ("import os\ndef action(x):\n    os._exit(3)\n", "exit status 3"),
    "kills itself": ("import os\ndef action(x):\n    os.kill(os.getpid(), 9)\n", "SIGKILL"),
    "closes its descriptors": ("import os\ndef action(x):\n    os.closerange(3, 256)\n    yield x\n", ""),
    "closes its console": (
        "import os\ndef action(x):\n    os.close(1); os.close(2)\n    print('x')\n    yield 1 / 0\n",
        "",
    ),
    "writes garbage": (_spraying(r"b'\xff' * 100"), "message"),
    "writes a message that is no object": (_spraying("struct.pack('<IQ', 2, 0) + b'[]'"), "message"),
    "answers what is no result": (_spraying(f"struct.pack('<IQ', {len(ANSWER)}, 0) + {ANSWER!r}"), "not a result"),
    "writes to a slot that is not there": ("def action(x):\n    yield (77, x)\n", "77"),
}


@pytest.mark.parametrize(("source", "said"), HOSTILE.values(), ids=HOSTILE)
def test_a_model_that_breaks_its_process_ends_in_error_and_the_engine_goes_on(engine, source, said):
    engine.run_model(source, BOTH)
    engine.input(0, b"1")
    (failed,) = until(lambda: engine.of_type("model-error"))
    assert engine.state == "error"
    assert said in failed["console"]
    _works(engine)


def test_a_process_that_the_model_forks_does_not_answer_for_it(engine):
    """The child comes back from action, too: its answer would be taken for that of the next record."""
    engine.run_model(
        "import os\ndef action(x):\n    child = os.fork()\n    if child: os.waitpid(child, 0)\n    yield x\n", BOTH
    )
    for number in range(5):
        engine.input(0, b"%d" % number)
        assert engine.outputs(1) == [b"%d" % number]


ESCAPING = """
import os, time, fastscore
cell = fastscore.cells("a")
def escape(_):
    if not os.fork():
        os.setsid()
        print(os.getpid(), flush=True)
        time.sleep(600)
        os._exit(0)
    time.sleep(600)
def action(x):
    cell.update(escape)
"""


def test_a_process_that_leaves_the_group_ends_too_and_does_not_keep_the_lock(engine):
    """It holds the sockets of its parent, which was in `update`: a reset waited for its end."""
    engine.run_model(ESCAPING, BOTH)
    engine.input(0, b"1")
    until(lambda: "\n" in _console(engine))
    escaped = int(_console(engine))
    assert alive(escaped)
    _works(engine)
    until(lambda: has_exited(escaped))


def test_what_is_printed_past_python_is_console_and_escapes_are_text(engine):
    engine.run_model(
        r"import os"
        "\n"
        r"def action(x):"
        "\n"
        r"    os.write(1, b'one \x1b[31m\xff' + b'\n'); os.write(2, b'two' + b'\n')"
        "\n"
        r"    yield x"
        "\n",
        BOTH,
    )
    engine.input(0, b"1")
    engine.outputs(1)
    until(lambda: _console(engine).count("\n") >= 2)
    assert _console(engine) == "one \x1b[31m\ufffd\ntwo\n"


def _console(engine):
    return "".join(event["text"] for event in engine.of_type("model-console"))


CLOSING = """
import os
def action(x):
    os.makedirs("a/b/c")
    for folder in ("a/b", "a", "."):
        os.chmod(folder, 0)
    yield os.getcwd()
"""


def test_a_closed_folder_of_a_model_is_removed(engine):
    engine.run_model(CLOSING, BOTH)
    engine.input(0, b"1")
    (folder,) = map(json.loads, engine.outputs(1))
    assert jet_folder.PREFIX in folder
    engine.reset()
    assert not pathlib.Path(folder).parent.exists()
