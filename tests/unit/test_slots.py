"""Slots: numbers no two living processes share."""

from __future__ import annotations

import subprocess
import sys
import tempfile

import pytest

from stream_scorer.slots import Slot

HOLD = "import sys; from stream_scorer.slots import Slot; s = Slot(sys.argv[1]); print(s.number, flush=True); sys.stdin.read()"


@pytest.fixture(autouse=True)
def _own_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))


def test_another_process_gets_the_next_number_and_its_death_frees_it():
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, "group"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout.readline() == b"0\n"
        mine = Slot("group")
        assert mine.number == 1
        other.kill()
    again = Slot("group")
    assert again.number == 0
    again.release()
    mine.release()


def test_names_do_not_meet():
    slots = [Slot("one"), Slot("two"), Slot("one")]
    assert [slot.number for slot in slots] == [0, 0, 1]
    for slot in slots:
        slot.release()
    released = Slot("one")
    assert released.number == 0
    released.release()
