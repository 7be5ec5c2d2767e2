"""A model hosted and wired."""

from __future__ import annotations

import pytest

from stream_scorer.errors import ModelError
from stream_scorer.model.locate import locate
from stream_scorer.records import Outgoing, Partition, Record
from stream_scorer.scoring.hosting import host_model


def _hosted(path, **how):
    return host_model(locate(str(path)), {}, **how)


def test_an_end_that_fails_does_not_hide_what_has_failed_before(write, caplog):
    path = write("toy.py", "def action(x): pass\ndef end(): 1 / 0")
    with pytest.raises(ModelError, match="no schema for slot 0"), _hosted(path) as found:
        found.codec(0, "avro-binary")
    assert "end() raised ZeroDivisionError" in caplog.text
    with pytest.raises(ModelError, match=r"end\(\) raised ZeroDivisionError"), _hosted(path):
        pass


def test_what_needs_the_end_of_an_input_is_refused_where_there_is_none(write):
    path = write("toy.py", "def action(x): pass\ndef end(): yield 1")
    with pytest.raises(ModelError, match=r"its end\(\) yields outputs"), _hosted(path):
        pass
    given = []
    with _hosted(path, endless=False) as found:
        found.module.end(lambda slot, datum: given.append((slot, datum)))
    assert given == [(1, 1)]


def test_a_model_is_wired_with_codecs_sessions_and_scorer(write):
    path = write("toy.py", "n = 0\ndef action(x, slot, seqno):\n global n\n n += x\n yield [n, seqno]")
    records = [Record(Partition("in", 0), at, b"ab"[at % 2 :][:1], b"%d" % at, None, None) for at in range(4)]
    with _hosted(path) as found:
        wired = found.wire_json()
        scored = wired.score(records, [1, 2])
        assert [one.value for one in scored if isinstance(one, Outgoing)] == [
            b"[0, 1]",
            b"[1, 1]",
            b"[2, 2]",
            b"[4, 2]",
        ]
        wired.sessions.reset()
        assert [one.value for one in found.wire_json(by_key=False).score(records, [])][-1] == b"[6, 4]"


HIDDEN = {
    "an object": (
        "class C:\n n = 0\n def step(self): self.n += 1\ndef begin():\n global c\n c = C()\ndef action(x): c.step()",
        "'c'",
    ),
    "a closure": (
        "def make():\n n = 0\n def action(x):\n  nonlocal n\n  n += 1\n return action\naction = make()",
        "'action'",
    ),
    "a default": ("def action(x, seen=[]): seen.append(x)", "'action'"),
    "an iterator": ("import itertools\nn = itertools.count()\ndef action(x): yield next(n)", "'n'"),
}


@pytest.mark.parametrize("case", HIDDEN)
def test_state_that_no_session_can_have_is_refused_by_name(case, write):
    source, name = HIDDEN[case]
    with (
        pytest.raises(ModelError, match=f"global {name} is part of the model's state and holds a value of type"),
        _hosted(write("toy.py", source)) as found,
    ):
        found.wire_json()
    with _hosted(write("toy.py", f"# stream-scorer.state:\n{source}")) as found:
        found.wire_json()
