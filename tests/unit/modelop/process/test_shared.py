"""Cells, pools and snapshots. Section [k]."""

from __future__ import annotations

import sys
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_scorer.errors import ModelError
from stream_scorer.modelop.process import snapshot
from stream_scorer.modelop.process.fastscore import Cell, Pool, importable
from stream_scorer.modelop.process.shared import SharedState
from tests.unit.modelop.process.conftest import batch, told

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(JSON)
def test_a_cell_keeps_a_value(value):
    cell = Cell(SharedState(), "a")
    assert cell.value is None
    cell.set(value)
    assert cell.value == value


@given(st.dictionaries(st.text() | st.integers(), JSON, max_size=4))
def test_a_pool_keeps_values_by_key(items):
    pool = Pool(SharedState(), "a")
    for key, value in items.items():
        pool.set(key, value)
    assert {key: pool.get(key) for key in items} == items
    assert pool.get("not there") is None


def test_names_keys_and_kinds_are_apart(shared):
    Cell(shared, "a").set(1)
    Pool(shared, "a").set("a", 2)
    Pool(shared, "b").set("a", 3)
    assert (Cell(shared, "a").value, Pool(shared, "a").get("a"), Pool(shared, "b").get("a")) == (1, 2, 3)
    Pool(shared, "a").set(np.int64(5), 4)
    assert Pool(shared, "a").get(5) == 4


def test_an_update_of_what_is_not_set_begins_with_none(shared):
    Cell(shared, "a").update(lambda value: [value])
    Pool(shared, "a").update("k", lambda value: (value, 1))
    assert (Cell(shared, "a").value, Pool(shared, "a").get("k")) == ([None], (None, 1))


def test_a_value_is_nobody_elses_object(shared):
    given = [1]
    Cell(shared, "a").set(given)
    given.append(2)
    Cell(shared, "a").value.append(3)
    assert Cell(shared, "a").value == [1]


def test_what_cannot_be_shared_is_told(shared):
    with pytest.raises(TypeError, match=r"cell 'a': a value of type builtins\.object cannot be shared.*NumPy arrays"):
        Cell(shared, "a").set(object())
    with pytest.raises(TypeError, match=r"pool 'p', key 1: a value of type builtins\.complex"):
        Pool(shared, "p").set(1, 1j)


COUNTER = """
import fastscore
def begin():
    fastscore.cells("begun").update(lambda n: (n or 0) + 1)
def action(x):
    for _ in range(x):
        fastscore.cells("sum").update(lambda n: (n or 0) + 1)
        fastscore.pools("by").update("key", lambda n: (n or 0) + 1)
        fastscore.cells("outer").update(lambda n: fastscore.pools("by").get("key"))
    yield fastscore.cells("sum").value
"""


@pytest.mark.process
def test_updates_of_many_jets_are_atomic(jet, shared):
    jets = [jet(COUNTER) for _ in range(3)]
    threads = [threading.Thread(target=one.feed, args=(batch(200),)) for one in jets]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Cell(shared, "sum").value == 600
    assert Pool(shared, "by").get("key") == 600
    assert Cell(shared, "begun").value == 3


@pytest.mark.process
def test_updates_of_a_models_threads_are_atomic(jet):
    made = jet("""
        import fastscore, threading
        def count():
            for _ in range(100):
                fastscore.cells("n").update(lambda n: (n or 0) + 1)
        def action(x):
            threads = [threading.Thread(target=count) for _ in range(4)]
            [thread.start() for thread in threads]
            [thread.join() for thread in threads]
            yield fastscore.cells("n").value
    """)
    assert told(made.feed(batch(1))) == [(1, 400)]


@pytest.mark.process
def test_a_jet_that_ends_within_an_update_frees_it(jet):
    made = jet("""
        import fastscore, os
        def action(x):
            if x:
                fastscore.cells("a").update(lambda value: os._exit(1))
            fastscore.cells("a").update(lambda value: (value or 0) + 1)
            yield fastscore.cells("a").value
    """)
    assert made.feed(batch(1)).failure is not None
    assert told(
        jet("import fastscore\ndef action(x):\n fastscore.cells('a').update(lambda v: x)\n yield 0").feed(batch(7))
    )


@pytest.mark.process
def test_an_update_that_raises_changes_nothing_and_frees_it(jet, shared):
    result = jet("import fastscore\ndef action(x): fastscore.cells('a').update(lambda v: 1 / x)").feed(batch(0))
    assert "ZeroDivisionError" in result.failure.reason
    Cell(shared, "a").update(lambda value: value)
    assert Cell(shared, "a").value is None


def test_cleared_is_as_at_the_start(shared):
    Cell(shared, "a").set(1)
    shared.clear()
    assert Cell(shared, "a").value is None


SUMS = """
# fastscore.snapshots: eof
import fastscore
fastscore.cells("body").set("from the body")
count = 0
seen = object()
def begin():
    cell = fastscore.cells("sum")
    if cell.value == None:
        cell.set(0)
def action(x):
    global count, seen
    count += 1
    seen = object()
    cell = fastscore.cells("sum")
    cell.update(lambda y: x + y)
    fastscore.cells("body").set(x)
    yield [cell.value, count, fastscore.cells("body").value]
"""


@pytest.mark.process
def test_a_snapshot_carries_on(jet, caplog):
    one = jet(SUMS)
    assert told(one.feed(batch(1, 2)))[-1] == (1, [3, 2, 2])
    blob = one.snapshot()
    assert blob.isascii()
    assert "snapshot of toy: without seen, whose types cannot be kept" in caplog.text
    shared = SharedState()
    again = jet(SUMS, shared=shared, snapshot=blob)
    assert Cell(shared, "body").value == 2, "restored after the body, before begin"
    assert told(again.feed(batch(10))) == [(1, [13, 3, 10])]
    later = jet(SUMS, shared=shared, snapshot=blob)
    assert told(later.feed(batch(10))) == [(1, [23, 3, 10])], "a jet that comes later does not set the others back"


@pytest.mark.process
def test_a_snapshot_of_an_explicit_model_is_there_when_its_body_runs(jet):
    source = """
        # fastscore.action: unused
        import fastscore
        from fastscore.io import Slot
        fastscore.cells("runs").update(lambda n: (n or 0) + 1)
        Slot(1).write(fastscore.cells("runs").value)
    """
    one, written = jet(source), []
    one.run_explicit(lambda slot: None, lambda result: written.extend(result.outputs))
    again = jet(source, shared=SharedState(), snapshot=one.snapshot())
    again.run_explicit(lambda slot: None, lambda result: written.extend(result.outputs))
    assert [record for _, record in written] == [b"1", b"2"]


@pytest.mark.process
def test_a_snapshot_of_another_model_is_refused(jet):
    blob = jet("def action(x): pass", name="other").snapshot()
    with pytest.raises(ModelError, match="it is of model 'other', and 'toy' is loaded"):
        jet("def action(x): pass", snapshot=blob)


WHOLE = snapshot.write(snapshot.ModelSnapshot("m", "0" * 64, SharedState().dump(), ("a",), b"N"))


@pytest.mark.parametrize(
    "blob", [b"", b"hello", b"\xff\xfe", WHOLE[:-10], WHOLE.replace(b"A", b"B"), WHOLE.partition(b"\n")[0] + b"\n"]
)
def test_a_snapshot_that_is_not_whole_is_refused(blob):
    with pytest.raises(ModelError, match=r"snapshot: \d+ bytes cannot be read"):
        snapshot.read(blob)


@given(st.binary(), st.lists(st.text(max_size=5), max_size=3).map(tuple), st.text(max_size=9))
def test_a_snapshot_comes_back(state, names, model):
    kept = snapshot.ModelSnapshot(model, "0" * 64, b"shared", names, state)
    assert snapshot.read(snapshot.write(kept)) == kept


def test_the_vendors_own_module_shows_through(tmp_path, monkeypatch, shared):
    """Models are met that use the SDK of the same name too."""
    folder = tmp_path / "fastscore"
    (folder / "suite").mkdir(parents=True)
    (folder / "__init__.py").write_text("from fastscore.stream import Stream\ncells = 'not theirs'")
    (folder / "stream.py").write_text("class Stream: pass")
    (folder / "suite" / "__init__.py").write_text("class Connect: pass")
    monkeypatch.syspath_prepend(str(tmp_path))
    with importable(shared):
        import fastscore
        from fastscore import Stream
        from fastscore.suite import Connect

        assert (Stream.__name__, Connect.__name__) == ("Stream", "Connect")
        fastscore.cells("a").set(1)
        with pytest.raises(AttributeError, match=r"models get cells, pools and io\.Slot"):
            fastscore.nothing  # noqa: B018
    assert Cell(shared, "a").value == 1
    assert "fastscore" not in sys.modules
