"""The state globals are found from the module's code."""

from __future__ import annotations

from textwrap import dedent

import pytest

from stream_scorer.model.state_names import StateFinder

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
    "a generator that is sent to": ("def go(): yield\ng = go()\ndef action(x): yield g.send(x)", ("g",)),
    "an attribute of a function": ("def action(x): action.n = x", ("action",)),
    "a default that all calls share": ("def action(x, seen=[]): seen.append(x)", ("action",)),
    "not a default that cannot change": ("def action(x, k=None):\n k = k or []\n k.append(x)", ()),
    "loop variable declared global": ("def action(x):\n global i\n for i in x: pass", ("i",)),
    "by another name": ("h = []\ndef action(x):\n w = h\n w.append(x)", ("h",)),
    "a part of it by another name": ("d = {}\ndef action(x):\n for k, v in d.items(): v.append(x)", ("d",)),
    "a part that a method gives": ("d = {}\ndef action(x): d.get('k').append(x)", ("d",)),
    "added to by another name": ("h = []\ndef action(x):\n w = h\n w += [x]", ("h",)),
    "not a number added to by another name": ("n = 0\ndef action(x):\n s = n\n s += x", ()),
    "a slice of an array": ("import numpy\na = numpy.zeros(4)\ndef action(x):\n v = a[:2]\n v[0] = x", ("a",)),
    "not a slice of a list": ("a = [1]\ndef action(x):\n v = a[:2]\n v.append(x)", ()),
    "not what a call made of it": ("a = [1]\ndef action(x):\n v = sorted(a)\n v.append(x)", ()),
    "given to a function that changes it": (
        "h = []\ndef push(to, x): more(to, x)\ndef more(to, x): to.append(x)\ndef action(x): push(h, x)",
        ("h",),
    ),
    "not given to a function that reads it": (
        "d = {}\ndef fill(r, d): r.update(d)\ndef action(x): fill({}, d)",
        (),
    ),
    "changed by the standard library": ("import bisect\nh = []\ndef action(x): bisect.insort(h, x)", ("h",)),
    "written to by NumPy": ("import numpy\na = numpy.zeros(2)\ndef action(x): numpy.add(a, x, out=a)", ("a",)),
    "by globals()": ("n = 0\ndef action(x): globals()['n'] += x", ("n",)),
    "by globals() in another way": ("n = 0\ndef action(x): globals().update(n=x)", ("n",)),
    "what a function gives": (
        "h = {0: []}\ndef get(k): return h[k]\ndef action(x):\n b = get(0)\n b.append(x)",
        ("h",),
    ),
    "not a copy that a function gives": ("h = [1]\ndef get(): return list(h)\ndef action(x): get().append(x)", ()),
    "in pairs": ("a, b = [], []\ndef action(x):\n for t, v in ((a, 1), (b, 2)): t.append(v)", ("a", "b")),
    "by a method that is handed on": ("h = []\ndef action(x): list(map(h.append, [x]))", ("h",)),
    "by match": ("h = []\ndef action(x):\n match h:\n  case w: w.append(x)", ("h",)),
    "in the making of an object": (
        "n = 0\nclass C:\n def __init__(self):\n  global n\n  n += 1\ndef action(x): C()",
        ("n",),
    ),
    "two names of one": ("h = []\ng = h\ndef action(x):\n h.append(x)\n return g", ("g", "h")),
    "in what another holds": ("h = []\nd = {'h': h}\ndef action(x):\n h.append(x)\n return d", ("d", "h")),
    "in a function by another name": ("n = 0\ndef _f(x):\n global n\n n = x\nf = _f\ndef action(x): f(x)", ("n",)),
    "in a function out of a dict": ("n = 0\ndef f(x):\n global n\n n = x\nd = {1: f}\ndef action(x): d[1](x)", ("n",)),
    "in a lambda": ("h = []\nadd = lambda x: h.append(x)\ndef action(x): add(x)", ("h",)),
    "in an action that is a lambda": ("h = []\naction = lambda x: h.append(x)", ("h",)),
    "in an action below if": ("n = 0\nif True:\n def action(x):\n  global n\n  n = x", ("n",)),
    "in a decorated action": (
        "n = 0\ndef deco(f):\n return lambda x: f(x)\n@deco\ndef action(x):\n global n\n n = x",
        ("n",),
    ),
    "in a static method": (
        "n = 0\nclass S:\n @staticmethod\n def f(x):\n  global n\n  n = x\ndef action(x): S.f(x)",
        ("n",),
    ),
    "not in a method of the name of a function of a library": (
        "import json\nn = 0\nclass S:\n def loads(self):\n  global n\n  n = 1\ns = S()\ndef action(x): json.loads(x), s",
        (),
    ),
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
    namespace = {"__name__": "toy"}
    exec(dedent(source), namespace)
    assert tuple(sorted(StateFinder(dedent(source), ["action"], namespace).state())) == expected


COUNTER = """
import functools, itertools, random
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
    def add(self, x): return x + self.update(x)
    def update(self, x): return x + self.k
    def go(self, x): return self.c.step(x)
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
def keeping():
    seen = []
    def keep(x):
        seen.append(x)
    return keep
def push(to, x): to.append(x)
def total(weights, x): return sum(weights) * x
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
    "a closure that action calls": ("f = outer()\ndef action(x): yield f(x)", ("f",)),
    "a closure that keeps a list": ("action = keeping()", ("action",)),
    "one of many": ("d = {'a': [c]}\ndef action(x):\n for one in d['a']: yield one.step(x)", ("d",)),
    "in an object that changes nothing of itself": ("p.c = c\ndef action(x): yield p.go(x)", ("p",)),
    "changed by setattr": ("def action(x): setattr(p, 'k', x)", ()),
    "a method of a list": ("add = [].append\ndef action(x): add(x)", ("add",)),
    "a partial that keeps a list": ("action = functools.partial(push, [])", ("action",)),
    "a partial of weights": ("action = functools.partial(total, [1, 2])", ()),
    "an iterator": ("n = itertools.count()\ndef action(x):\n for a, b in zip([x], n): yield b", ("n",)),
    "random numbers": ("r = random.Random(1)\ndef action(x): yield r.random()", ("r",)),
    "random numbers that were seeded": ("random.seed(1)\ndef action(x): yield random.random()", ("random",)),
    "random numbers seeded by the input": ("def action(x):\n random.seed(x)\n yield random.random()", ()),
    "random numbers of no seed": ("def action(x): yield random.random()", ()),
    "NumPy's that were seeded": (
        "import numpy\nnumpy.random.seed(1)\ndef action(x): yield numpy.random.rand()",
        ("numpy",),
    ),
    "NumPy's that are not used": ("import numpy\nnumpy.random.seed(1)\ndef action(x): yield numpy.sqrt(x)", ()),
    "a file to read": ("import io\nf = io.StringIO('1')\ndef action(x): yield f.readline()", ("f",)),
    "the console": ("import sys\nf = sys.stderr\ndef action(x): print(x, file=f)", ()),
    "methods of a list among others": ("d = [[].append]\ndef action(x):\n for one in d: one(x)", ("d",)),
    "changed by a decorator, once": (
        "class R:\n def __init__(self): self.all = {}\n def keep(self, f):\n  self.all[1] = f\n  return f\n"
        " def run(self, x): return self.all[1](x)\nr = R()\n@r.keep\ndef f(x): return x\ndef action(x): yield r.run(x)",
        (),
    ),
    "a list of a class": (
        "class L:\n seen = []\n def add(self, x): self.seen.append(x)\ndef action(x): L().add(x)",
        ("L",),
    ),
    "a list of its own in place of the class's": (
        "class L:\n seen = []\n def __init__(self): self.seen = []\n def add(self, x): self.seen.append(x)\n"
        "def action(x): L().add(x)",
        (),
    ),
    "a cache of what changes": (
        "n = 0\n@functools.cache\ndef f(x):\n global n\n n += 1\n return n\ndef action(x): yield f(x)",
        ("f",),
    ),
    "a cache of what does not": ("@functools.cache\ndef f(x): return x\ndef action(x): yield f(x)", ()),
    "random numbers made anew": ("def action(x): yield random.Random(x).random()", ()),
    "its own method of a name that else changes": ("def action(x): yield p.add(x)", ()),
    "only made": ("def action(x):\n one = Counter()\n yield one.step(x)", ()),
}


@pytest.mark.parametrize("case", HIDDEN)
def test_hidden_state_is(case):
    source, expected = HIDDEN[case]
    namespace = {"__name__": "toy"}
    exec(COUNTER + source, namespace)
    entries = ["action", getattr(namespace["action"], "__name__", "")]
    assert tuple(sorted(StateFinder(COUNTER + source, entries, namespace).hidden())) == expected


def test_what_only_reads_an_object_changes_nothing_of_it():
    """But for `__call__`, which no name tells of."""
    source = (
        COUNTER.replace("    def __call__(self, x): self.n = x\n", "")
        + "def begin(): c.load()\ndef action(x): yield c.look()"
    )
    namespace = {"__name__": "toy"}
    exec(source, namespace)
    assert tuple(sorted(StateFinder(source, ["action"], namespace).hidden())) == ()


def test_two_looks_at_one_array_are_told():
    source = "import numpy\na = numpy.zeros(4)\nv = a[:2]\nw = a[:1].copy()\ndef action(x):\n v[0] += x\n yield a, w"
    namespace = {"__name__": "toy"}
    exec(source, namespace)
    assert StateFinder(source, ["action"], namespace).views() == [("v", "a")]
    assert StateFinder(source.replace("v[0] += x", "global v\n v = a[:2]"), ["action"], namespace).views() == []
