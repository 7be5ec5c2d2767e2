"""Whatever is asked of the manifold, in whatever order: the documented states, no hang, no process left."""

from __future__ import annotations

import random
import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_scorer.errors import EndOfInput, NoSuchStream, StateError, StreamScorerError
from stream_scorer.modelop.dataflow.lifecycle import MOVES
from support.manifold import DISCARD, REST, Engine, alive, inline, package, until

pytestmark = pytest.mark.process

MODEL = package("def action(x):\n    yield x['v']\n")
PIG = b'{"$fastscore": "pig"}'
FINITE = inline('{"v": 1}', '{"v": 2}')
OPERATIONS = [
    *("load", "unload", "attach 0 rest", "attach 0 finite", "attach 1", "detach 0", "detach 1", "pause", "unpause"),
    *("reset", "scale 0", "scale 1", "scale 2", "input", "pig", "fail"),
]
STARTS = [["load", "attach 1", "attach 0 rest"], ["attach 0 finite", "load", "attach 1"], ["reset", "pause"]]
STEPS = st.one_of(st.sampled_from(OPERATIONS).map(lambda operation: [operation]), st.sampled_from(STARTS))


class Reference:
    """What the state must be when all has settled."""

    def __init__(self):
        self.model, self.ends, self.paused, self.jets = False, {}, False, 1
        self.state = "init"

    def settle(self):
        if self.state == "init" and self.model and self.ends.keys() == {0, 1}:
            self.state = "paused" if self.paused else "running"
        if self.state == "paused" and not self.paused:
            self.state = "running"
        if self.state == "running" and self.paused:
            self.state = "paused"
        if self.state == "running" and self.ends[0] == "finite":
            self.state = "finishing"
        if self.state == "finishing" and self.jets:
            self.state = "finished"

    def do(self, operation):
        """The error that is due, or None."""
        what, _, which = operation.partition(" ")
        state = self.state
        flowing = state in ("running", "paused")
        if what == "load":
            if not (flowing or state == "init"):
                return StateError
            self.model = True
        elif what == "unload":
            if state != "init" or not self.model:
                return StateError
            self.model = False
        elif what == "attach":
            if not (flowing or state == "init"):
                return StateError
            self.ends[int(which[0])] = which[2:]
        elif what == "detach":
            if state not in ("init", "finished", "error"):
                return StateError
            if int(which) not in self.ends:
                return NoSuchStream
            del self.ends[int(which)]
        elif what in ("pause", "unpause"):
            if state in ("finishing", "finished", "error"):
                return StateError
            self.paused = what == "pause"
        elif what == "reset":
            self.__init__()
        elif what == "scale":
            self.jets = int(which)
        return None


def _act(engine, operation):
    what, _, which = operation.partition(" ")
    match what:
        case "load":
            engine.load(MODEL)
        case "attach":
            engine.attach(int(which[0]), which, {"rest": REST, "finite": FINITE, "": DISCARD}[which[2:]])
        case "detach":
            engine.detach(int(which))
        case "scale":
            engine.scale(int(which))
        case "input" | "pig" | "fail":
            engine.input(0, {"input": b'{"v": 3}', "pig": PIG, "fail": b"{}"}[what])
        case _:
            getattr(engine, what)()


def _moves(states):
    return zip(["init", *states], states, strict=False)


@settings(max_examples=6, deadline=None)
@given(st.lists(STEPS, min_size=4, max_size=12).map(lambda steps: [operation for step in steps for operation in step]))
def test_the_states_are_those_of_the_reference(operations):
    engine, reference, pids = Engine(), Reference(), set()
    try:
        for operation in operations:
            if operation in ("input", "pig", "fail"):
                # Records are for a run that takes them at once; what waits would act later.
                if reference.state != "running" or not reference.jets:
                    continue
                due = None
            else:
                due = reference.do(operation)
            if due is None:
                _act(engine, operation)
            else:
                with pytest.raises(due):
                    _act(engine, operation)
            if operation == "fail":
                reference.state = "error"
            reference.settle()
            until(lambda: engine.state == reference.state)
            until(lambda: len(engine.pids()) == (reference.jets if reference.state in ("running", "paused") else 0))
            pids.update(engine.pids())
    finally:
        engine.close()
    assert all(there in MOVES[here] for here, there in _moves(engine.states()) if here != there)
    assert not any(map(alive, pids))


def test_many_clients_at_once_neither_hang_nor_leak():
    engine, pids, wrong = Engine(), set(), []
    until_then = time.monotonic() + 1.5

    def client(seed):
        choices = random.Random(seed)
        while time.monotonic() < until_then:
            operation = choices.choice([*OPERATIONS, "load", "attach 0 rest", "attach 1", "input", "input", "unpause"])
            try:
                _act(engine, operation)
            except (StreamScorerError, EndOfInput):
                pass
            except BaseException as error:  # noqa: BLE001 - whatever it is, it is wrong
                wrong.append((operation, error))
            pids.update(engine.pids())
            assert engine.state in MOVES

    clients = [threading.Thread(target=client, args=(seed,)) for seed in range(4)]
    for one in clients:
        one.start()
    for one in clients:
        one.join(20)
        assert not one.is_alive()
    engine.close()
    assert wrong == []
    assert all(there in MOVES[here] for here, there in _moves(engine.states()) if here != there)
    until(lambda: not any(map(alive, pids)))
    left = [thread.name for thread in threading.enumerate() if thread.name.startswith(("jet-", "reader-", "finisher"))]
    assert left == []
