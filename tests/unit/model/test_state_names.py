"""The state globals are found from the module's code."""

from __future__ import annotations

from textwrap import dedent

import pytest

from stream_scorer.model.state_names import find_state

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
