"""An engine that is killed takes all processes of its models with it; the next engine removes their folders."""

from __future__ import annotations

import os
import signal

import pytest

from stream_scorer.modelop.dataflow.processes import has_exited
from support.engine import EngineProcess
from support.manifold import until

pytestmark = pytest.mark.process

MODEL = """
import os, time
def begin():
    os.makedirs("closed/inner")
    os.chmod("closed", 0)
    if not os.fork():
        os.setsid()
        time.sleep(600)
def action(x):
    yield [os.getcwd(), os.getpid()]
"""


def test_folders_of_a_killed_engine_go_and_those_of_a_living_one_stay(tmp_path):
    folders = tmp_path / "tmp"
    folders.mkdir()

    def run(engine):
        engine.run(MODEL)
        ((folder, pid),) = engine.score(1)
        return os.path.dirname(folder), pid  # noqa: PTH120

    killed = EngineProcess(tmp_path / "killed", TMPDIR=str(folders)).start()
    with EngineProcess(tmp_path / "living", TMPDIR=str(folders)) as living:
        left, pid = run(killed)
        kept, _ = run(living)
        group = [pid, *_started_by(pid)]
        assert len(group) == 2
        killed.process.send_signal(signal.SIGKILL)
        killed.process.wait()
        killed.server.close()
        until(lambda: all(map(has_exited, group)))
        assert os.path.isdir(left)  # noqa: PTH112
        with EngineProcess(tmp_path / "killed", TMPDIR=str(folders)) as again:
            assert not os.path.exists(left)  # noqa: PTH110
            assert "1 folders of jets were removed" in again.log()
        assert os.path.isdir(kept)  # noqa: PTH112
        assert living.score(1)[0][0].startswith(kept)
    assert [*folders.glob("stream-scorer-jet-*")] == []


def _started_by(parent):
    """Ids of the processes whose parent it is."""
    with open(f"/proc/{parent}/task/{parent}/children") as file:  # noqa: PTH123
        return [int(word) for word in file.read().split()]
