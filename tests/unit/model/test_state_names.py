"""The state globals are found from the module's code."""

from __future__ import annotations

from textwrap import dedent

import pytest

from stream_scorer.model.state_names import find_hidden, find_state

CASES = {
    "rebound by action": ("def action(x):\n global a\n a = x", ("a",)),
    "rebound in a function it reaches": (
        "def action(x): move(x)\ndef move(x): deeper(x)\ndef deeper(x):\n global b\n b = x",
        ("b",),
    ),
    "not what begin alone binds": ("def begin():\n global m\n m = 1\ndef action(x): return m", ()),
    "not what an unreached function binds": ("def other():\n global m\n m = 1\ndef action(x): return x", ()),
    "appended to in place": ("seen = []\ndef action(x): seen.append(x)", ("seen",)),
    "item assigned": ("d = {}\ndef action(x): d['k'][0] = x", ("d",)),
    "item deleted": ("d = {}\ndef action(x):\n del d['k']", ("d",)),
    "augmented": ("n = 0\ndef action(x):\n global n\n n += 1", ("n",)),
    "not a local of the same name": ("seen = []\ndef action(x):\n seen = []\n seen.append(x)", ()),
    "not an argument of the same name": ("x = []\ndef action(x): x.append(1)", ()),
    "not an imported module": ("import numpy as np\ndef action(x): np.random.state = 1", ()),
    "in a nested function": ("def action(x):\n def go():\n  global c\n  c = x\n go()", ("c",)),
    "attribute of a global object": ("o = object()\ndef action(x): o.count = x", ("o",)),
    "an iterator that is taken from": ("it = iter(range(9))\ndef action(x): yield next(it)", ("it",)),
    "a generator that is sent to": ("g = go()\ndef action(x): yield g.send(x)", ("g",)),
    "an attribute of a function": ("def action(x): action.n = x", ("action",)),
    "a default that all calls share": ("def action(x, seen=[]): seen.append(x)", ("action",)),
    "not a default that cannot change": ("def action(x, k=None):\n k = k or []\n k.append(x)", ()),
    "loop variable declared global": ("def action(x):\n global i\n for i in x: pass", ("i",)),
    "the seed's own": (
        """
        def begin():
            global past_days, n_steps, sess
            past_days = []
            n_steps = 30
            sess = 1
        def action(x):
            global past_days
            past_days.append(x)
            past_days = past_days[-n_steps:]
        """,
        ("past_days",),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_state_is(case):
    source, expected = CASES[case]
    assert find_state(dedent(source), ["action"]) == expected


COUNTER = """
class Counter:
    def __init__(self): self.n, self.seen = 0, []
    def load(self): self.n = 7
    def step(self, x):
        self.n += x
        return self.n
    def note(self, x): self.seen.append(x)
    def all(self, x): return self.more(x)
    def more(self, x): return self.step(x)
    def look(self): return self.n
    def __call__(self, x): self.n = x
class Special(Counter): pass
class Plain:
    def __init__(self): self.k = 2
    def score(self, x): return x * self.k
def outer():
    n = 0
    def count(x):
        nonlocal n
        n += 1
        return n
    return count
def inner():
    def count(x):
        n = 0
        def more():
            nonlocal n
            n += 1
        more()
        return n
    return count
c, s, p = Counter(), Special(), Plain()
"""
HIDDEN = {
    "changed by a method": ("def action(x): yield c.step(x)", ("c",)),
    "changed in place by a method": ("def action(x): c.note(x)", ("c",)),
    "changed by a method of a method": ("def action(x): c.all(x)", ("c",)),
    "changed by a method of its base": ("def action(x): s.step(x)", ("s",)),
    "not read by action": ("def begin(): c.step(1)\ndef action(x): yield x", ()),
    "not changed": ("def action(x): yield p.score(x)", ()),
    "a method": ("action = s.step", ("action",)),
    "a method that changes nothing": ("action = p.score", ()),
    "a closure that counts": ("action = outer()", ("action",)),
    "a closure that counts within a call": ("action = inner()", ()),
}


@pytest.mark.parametrize("case", HIDDEN)
def test_hidden_state_is(case):
    source, expected = HIDDEN[case]
    namespace = {"__name__": "toy"}
    exec(COUNTER + source, namespace)
    entries = ["action", getattr(namespace["action"], "__name__", "")]
    assert find_hidden(COUNTER + source, entries, namespace) == expected


def test_what_only_reads_an_object_changes_nothing_of_it():
    """But for `__call__`, which no name tells of."""
    source = (
        COUNTER.replace("    def __call__(self, x): self.n = x\n", "")
        + "def begin(): c.load()\ndef action(x): yield c.look()"
    )
    namespace = {"__name__": "toy"}
    exec(source, namespace)
    assert find_hidden(source, ["action"], namespace) == ()
