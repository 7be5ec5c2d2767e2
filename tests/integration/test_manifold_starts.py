"""Jets that start together, or later: which of them has begun when records are scored. The sleeps make a wrong order sure."""

from __future__ import annotations

import json
import time

import pytest

from support.manifold import REST, Engine, package, until

pytestmark = pytest.mark.process

BOTH = {0: REST, 1: REST}
COUNTING = """
    # fastscore.snapshots: eof
    import time
    import fastscore
    begun, total, order = fastscore.cells("begun"), fastscore.cells("total"), fastscore.cells("order")

    def begin():
        order.update(lambda n: (n or 0) + 1)
        at = order.value
        if total.value is None or at > 1:  # as documented models do it, but that two may find it unset
            time.sleep(0.4 * at)
            total.set(0)
        begun.update(lambda n: (n or 0) + 1)

    def action(x):
        if x is not None:
            total.update(lambda n: n + x)
        yield [begun.value, total.value]
"""


@pytest.fixture
def engine():
    engine = Engine()
    yield engine
    engine.close()


def _score(engine, count):
    """So many records, then the total of all: [how many jets had begun at each, the total]."""
    for _ in range(count):
        engine.input(0, b"1")
    engine.input(0, b'{"$fastscore":"pig"}')
    engine.input(0, b"null")
    found = [json.loads(one) for one in engine.outputs(count + 2)]
    begun = {one[0] for one in found if isinstance(one, list)}
    return sorted(begun), found[-1][1]


@pytest.mark.parametrize("records_first", [False, True])
def test_no_record_is_scored_before_every_jet_has_begun(engine, records_first):
    engine.scale(3)
    engine.load(package(COUNTING))
    engine.attach(0, "in", REST)
    if records_first:  # they wait at the stream
        for _ in range(50):
            engine.input(0, b"1")
    engine.attach(1, "out", REST)
    if records_first:
        assert {json.loads(one)[0] for one in engine.outputs(50)} == {3}
        assert _score(engine, 0) == ([3], 50)
    else:
        assert _score(engine, 200) == ([3], 200)


def test_no_record_after_a_scale_is_scored_before_the_new_jets_have_begun(engine):
    engine.run_model(COUNTING, BOTH)
    assert _score(engine, 10) == ([1], 10)
    engine.scale(3)
    assert _score(engine, 200) == ([3], 200)  # their begin() has set the total to 0, and none has been added before it
    engine.scale(1)
    until(lambda: len(engine.pids()) == 1)
    assert _score(engine, 10) == ([3], 210)


def test_records_wait_for_all_the_jets_that_follow_none(engine):
    engine.scale(0)
    engine.run_model(COUNTING, BOTH)
    engine.input(0, b"1")
    engine.scale(2)
    assert json.loads(engine.outputs(1)[0]) == [2, 1]


def test_a_model_that_takes_over_begins_in_all_jets_first(engine):
    engine.scale(2)
    engine.run_model(COUNTING.replace("cells(", "cells('a' + "), BOTH)
    assert _score(engine, 20) == ([2], 20)
    engine.load(package(COUNTING))
    assert _score(engine, 100) == ([2], 100)


def test_a_jet_that_is_given_up_while_it_starts_holds_nobody(engine):
    slow = COUNTING.replace("time.sleep(0.4 * at)", "time.sleep(600 if at > 1 else 0)")
    engine.run_model(slow, BOTH)
    assert _score(engine, 10) == ([1], 10)
    engine.scale(3)
    engine.input(0, b"1")
    until(lambda: engine._shared.get(("cell", "order")) is not None)
    time.sleep(0.2)
    assert engine.output(1, 0) is None
    engine.scale(1)
    assert json.loads(engine.outputs(1)[0]) == [1, 11]
    assert len(engine.pids()) == 1


def test_a_jet_that_cannot_begin_ends_the_run_and_does_not_hang_it(engine):
    source = COUNTING.replace("total.set(0)", "total.set(0 if at == 1 else 1 / 0)")
    engine.scale(3)
    engine.run_model(source, BOTH)
    until(lambda: engine.state == "error")
    assert "ZeroDivisionError" in engine.status()["error"]


RESTORED = """
    # fastscore.snapshots: eof
    import time
    import fastscore
    total, order = fastscore.cells("total"), fastscore.cells("order")
    order.update(lambda n: (n or 0) + 1)
    time.sleep(0.5 * (order.value - 1))
    total.set(0)  # what a body sets does not count where a snapshot is restored

    def action(x):
        total.update(lambda n: n + x)
        yield total.value

    def end():
        yield total.value
"""


def _ended(engine, count):
    for _ in range(count):
        engine.input(0, b"1")
    engine.input(0, b'{"$fastscore":"end"}')
    return max(json.loads(one) for one in engine.outputs())


def test_a_snapshot_is_restored_after_the_bodies_of_all_jets(engine):
    engine.run_model(RESTORED, BOTH)
    assert _ended(engine, 5) == 5
    engine.reaches("finished")
    ((_, blob),) = engine.snapshots
    engine.reset()
    engine.restore(blob)
    engine.scale(3)
    engine.run_model(RESTORED, BOTH)
    assert _ended(engine, 5) == 10


def test_jets_that_are_exchanged_have_the_cells_of_the_last_that_left(engine):
    engine.scale(2)
    engine.run_model(RESTORED.replace("total.set(0)", "total.value or total.set(0)"), BOTH)
    for _ in range(20):
        engine.input(0, b"1")
    found = [json.loads(one) for one in engine.outputs(20)]
    engine.attach(0, "other", {**REST, "Encoding": "utf-8"} | {"Encoding": {"Type": "json", "Strict": True}})
    assert max(found) == 20
    assert _ended(engine, 5) == 25
