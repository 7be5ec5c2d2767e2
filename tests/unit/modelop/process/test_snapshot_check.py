"""A snapshot from outside is refused before a jet meets it, whatever its bytes ask for."""

from __future__ import annotations

import base64
import hashlib
import json

import numpy as np
import pytest

from stream_scorer.errors import ModelError
from stream_scorer.modelop.process import snapshot as snapshots
from stream_scorer.modelop.process import snapshot_check
from stream_scorer.modelop.process.shared import SharedState
from stream_scorer.modelop.process.snapshot import ModelSnapshot
from stream_scorer.state import values

EMPTY = SharedState().dump()
SHA = "0" * 64


def _snapshot(names=(), state=b"", shared=EMPTY, model="toy"):
    return snapshots.write(ModelSnapshot(model, SHA, shared, names, state))


def _of_content(content, **head):
    """A snapshot whose sum is right, whatever is in it."""
    fields = {"model": "toy", "sha256": SHA, "check": hashlib.sha256(content).hexdigest(), **head}
    return b"stream-scorer-snapshot 1 " + json.dumps(fields).encode() + b"\n" + base64.encodebytes(content)


GOOD = _snapshot(("n", "a"), values.dump([1, np.ones((3, 4))]))
DEEP = b"l\x01\x00\x00\x00" * 500 + b"N"
BROKEN = {
    "nothing": b"",
    "no head": b"stream-scorer-snapshot 1 ",
    "a head that nests": b"stream-scorer-snapshot 1 " + b"[" * 100_000 + b"\n",
    "a head that is a list": b"stream-scorer-snapshot 1 []\n",
    "another version": GOOD.replace(b" 1 ", b" 2 ", 1),
    "bytes of no text": b"\xff" + GOOD,
    "a part": GOOD[: len(GOOD) // 2],
    "a changed byte": GOOD[:-8] + b"AAAA" + GOOD[-4:],
    "content of one value": _of_content(values.dump([1])),
    "content of other types": _of_content(values.dump([EMPTY, ["a"], b""])),
    "names that are numbers": _of_content(values.dump([EMPTY, (1, 2), values.dump([1, 2])])),
    "a model that is a number": _of_content(values.dump([EMPTY, (), b""]), model=7),
    "fewer values than names": _snapshot(("a", "b"), values.dump([1])),
    "more values than names": _snapshot(("a",), values.dump([1, 2])),
    "one name twice": _snapshot(("a", "a"), values.dump([1, 2])),
    "a state of no values": _snapshot(("a",), b"\x00\x01"),
    "a state cut off": _snapshot(("a",), values.dump(["text"])[:-1]),
    "a state that nests": _snapshot(("a",), DEEP),
    "a length beyond the end": _snapshot(("a",), b"l\xff\xff\xff\xff"),
    "an array of objects": _snapshot(("a",), values.dump([np.ones(2)]).replace(b"<f8", b"|O8")),
    "cells that are no dict": _snapshot(shared=values.dump([[1]])),
    "cells cut off": _snapshot(shared=EMPTY[:-1]),
    "a cell that nests": _snapshot(shared=values.dump([{("cell", "a"): DEEP}])),
    "a cell of two values": _snapshot(shared=values.dump([{("cell", "a"): values.dump([1, 2])}])),
    "a place that is none": _snapshot(shared=values.dump([{("well", "a"): values.dump([1])}])),
    "a pool without a key": _snapshot(shared=values.dump([{("pool", "a"): values.dump([1])}])),
    "a pool with a key of no hex": _snapshot(shared=values.dump([{("pool", "a", "zz"): values.dump([1])}])),
}


@pytest.mark.parametrize("blob", BROKEN.values(), ids=BROKEN)
def test_broken_ones_are_refused(blob):
    with pytest.raises(ModelError, match=r"^snapshot: ") as refused:
        snapshot_check._read(blob)
    assert len(str(refused.value)) < 400


def test_good_ones_pass():
    shared = SharedState()
    shared.set(("cell", "a"), values.dump([1]))
    shared.set(("pool", "b", values.dump(["key"]).hex()), values.dump([{"x": [1.5]}]))
    snapshot_check._read(_snapshot(("n",), values.dump([1]), shared.dump()))
    snapshot_check._read(GOOD)


@pytest.mark.process
def test_what_takes_too_much_memory_or_time_ends_in_its_own_process(monkeypatch):
    monkeypatch.setattr(snapshot_check, "_MEMORY", 150 << 20)
    monkeypatch.setattr(snapshot_check, "_MEMORY_FACTOR", 0)
    snapshot_check.check(GOOD)
    many = 800_000
    empty_sets = b"l" + many.to_bytes(4, "little") + b"S\x00\x00\x00\x00" * many  # 216 bytes each
    with pytest.raises(ModelError, match=r"not a state|too much memory"):
        snapshot_check.check(_snapshot(("a",), empty_sets))
    monkeypatch.setattr(snapshot_check, "_TIME_S", 0.01)
    with pytest.raises(ModelError, match="within"):
        snapshot_check.check(GOOD)
    monkeypatch.setattr(snapshot_check, "MAX_BYTES", len(GOOD) - 1)
    with pytest.raises(ModelError, match="at most"):
        snapshot_check.check(GOOD)
