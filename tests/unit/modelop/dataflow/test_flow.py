"""Batches between readers and jets: order, bounds, barriers, portions, numbers."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_scorer.modelop.dataflow import flow as flows
from stream_scorer.modelop.dataflow.flow import Flow, Rules
from stream_scorer.modelop.dataflow.lifecycle import Lifecycle
from stream_scorer.records import Batch, Control

STAY = lambda: False  # noqa: E731
PIG, END, SET = Control("pig", 7), Control("end"), Control("set")


def _flow(*slots, record_sets=(), explicit=False):
    life = Lifecycle(lambda state: None)
    life.begin()
    return Flow(life, Rules(frozenset(slots or (0,)), frozenset(record_sets), explicit)), life


def _records(*texts):
    return [text.encode() for text in texts]


def _batch(slot, *texts, end=None):
    return Batch(slot, 1, _records(*texts), end)


def test_batches_come_in_the_order_they_arrived_over_all_slots():
    flow, _ = _flow(0, 2)
    flow.put(_batch(0, "a"))
    flow.put(_batch(2, "b"))
    flow.put(_batch(0, "c"))
    assert [(batch.slot, batch.records) for batch in (flow.take(STAY) for _ in range(3))] == [
        (0, [b"a"]),
        (2, [b"b"]),
        (0, [b"c"]),
    ]


def test_small_batches_that_wait_are_merged_and_long_ones_divided(monkeypatch):
    monkeypatch.setattr(flows, "FIRST_RECORDS", 3)
    flow, _ = _flow(0)
    for text in "abcd":
        flow.put(_batch(0, text))
    flow.put(_batch(0, *"efghi"))
    assert [flow.take(STAY).records for _ in range(4)] == [
        _records(*"abc"),
        _records("d"),
        _records(*"efg"),
        _records(*"hi"),
    ]


def test_portions_follow_the_time_of_a_record():
    flow, _ = _flow(0)
    flow.put(_batch(0, *map(str, range(100))))
    first = flow.take(STAY)
    assert len(first.records) == flows.FIRST_RECORDS
    flow.done(first, took_s=0.025 * flows.FIRST_RECORDS)
    assert len(flow.take(STAY).records) == 2


def test_of_several_jets_each_gets_a_batch_whole():
    flow, _ = _flow(0)
    flow.alone = False
    flow.put(_batch(0, *map(str, range(100))))
    assert len(flow.take(STAY).records) == 100


def test_record_sets_stay_as_they_are():
    flow, _ = _flow(0, record_sets=(0,))
    flow.put(_batch(0, "a"))
    flow.put(_batch(0, end=SET))
    flow.put(_batch(0, *map(str, range(50))))
    assert [len(flow.take(STAY).records) for _ in range(3)] == [1, 0, 50]


def test_an_empty_set_is_nothing_where_records_go_one_by_one():
    flow, life = _flow(0)
    flow.put(_batch(0, end=SET))
    flow.put(_batch(0, "a", end=END))
    assert flow.take(STAY).records == [b"a"]
    assert life.state == "finishing"


def test_numbers_count_what_was_not_rejected():
    flow, _ = _flow(0)
    flow.put(_batch(0, "a", "bad", "c"))
    batch = flow.take(STAY)
    assert batch.first == 1
    flow.done(batch, rejected=1)
    flow.put(_batch(0, "d"))
    assert flow.take(STAY).first == 3


def test_numbers_that_were_given_meanwhile_are_kept():
    flow, _ = _flow(0)
    flow.alone = False
    flow.put(_batch(0, *map(str, range(20))))
    flow.put(_batch(0, *map(str, range(20))))
    one, two = flow.take(STAY), flow.take(STAY)
    flow.done(one, rejected=5)
    flow.put(_batch(0, "x"))
    assert (two.first, flow.take(STAY).first) == (21, 41)


def test_a_pig_waits_for_what_is_under_way_and_holds_what_comes_after():
    flow, life = _flow(0)
    flow.put(_batch(0, "a", end=PIG))
    flow.put(_batch(0, "b"))
    assert life.state == "pigging"
    first = flow.take(STAY)
    taken = []
    other = threading.Thread(target=lambda: taken.append(flow.take(STAY)))
    other.start()
    other.join(0.05)
    assert taken == []
    flow.done(first)
    other.join(5)
    assert taken[0].control == PIG
    other = threading.Thread(target=lambda: taken.append(flow.take(STAY)))
    other.start()
    other.join(0.05)
    assert len(taken) == 1
    flow.pig_written()
    other.join(5)
    assert taken[1].records == [b"b"]
    assert life.state == "running"


def test_a_reader_waits_while_enough_is_there():
    flow, _ = _flow(0, record_sets=(0,))
    assert flow.wait_for_room(0, STAY)
    flow.put(_batch(0, "a"))
    flow.put(_batch(0, "b"))
    done = []
    reader = threading.Thread(target=lambda: done.append(flow.wait_for_room(0, STAY)))
    reader.start()
    reader.join(0.05)
    assert done == []
    flow.take(STAY)
    reader.join(5)
    assert done == [True]


def test_readers_and_jets_rest_while_paused():
    flow, life = _flow(0)
    flow.put(_batch(0, "a"))
    life.pause()
    done = []
    waiting = [
        threading.Thread(target=lambda: done.append(flow.wait_for_room(0, STAY))),
        threading.Thread(target=lambda: done.append(flow.take(STAY).records)),
    ]
    for thread in waiting:
        thread.start()
    for thread in waiting:
        thread.join(0.05)
    assert done == []
    life.unpause()
    for thread in waiting:
        thread.join(5)
    assert sorted(map(str, done)) == ["True", "[b'a']"]


def test_the_end_of_all_inputs_ends_the_takers():
    flow, life = _flow(0, 2)
    flow.put(_batch(0, end=END))
    assert life.state == "running"
    flow.put(_batch(2, "a", end=END))
    assert life.state == "finishing"
    assert flow.take(STAY).records == [b"a"]
    assert flow.take(STAY) is None


def test_an_input_without_slots_is_at_its_end_at_once():
    life = Lifecycle(lambda state: None)
    life.begin()
    flow = Flow(life, Rules(frozenset(), frozenset(), explicit=False))
    assert life.state == "finishing"
    assert flow.take(STAY) is None


def test_an_explicit_model_takes_from_the_slot_it_asks_for():
    flow, life = _flow(0, 2, explicit=True)
    flow.put(_batch(0, "a"))
    flow.put(_batch(2, "b", end=END))
    assert flow.take(STAY, 2).records == [b"b"]
    assert flow.take(STAY, 2) is None
    assert life.state == "running"
    flow.abandon_inputs()
    assert life.state == "finishing"
    assert flow.empty


def test_a_slot_is_shut_until_what_was_read_is_through():
    flow, _ = _flow(0)
    assert flow.wait_for_room(0, STAY)
    flow.put(_batch(0, "a"))
    assert not flow.shut(0, 0.01)
    done = []
    shutting = threading.Thread(target=lambda: done.append(flow.shut(0, 5)))
    shutting.start()
    batch = flow.take(STAY)
    reader = threading.Thread(target=lambda: done.append(flow.wait_for_room(0, STAY)))
    reader.start()
    flow.done(batch)
    shutting.join(5)
    assert done == [True]
    flow.reopen(0)
    reader.join(5)
    assert done == [True, True]


def test_closing_lets_everybody_go():
    flow, _ = _flow(0)
    gone = []
    waiting = [
        threading.Thread(target=lambda: gone.append(flow.take(STAY))),
        threading.Thread(target=lambda: gone.append(flow.take(STAY, 0))),
    ]
    for thread in waiting:
        thread.start()
    flow.close()
    for thread in waiting:
        thread.join(5)
    assert gone == [None, None]
    assert not flow.wait_for_room(0, STAY)


@pytest.mark.parametrize("jets", [1, 3])
@given(st.lists(st.tuples(st.integers(0, 4), st.sampled_from([None, None, "pig", "set"])), max_size=30))
def test_nothing_is_lost_and_no_pig_is_passed(jets, sizes):
    """Whatever the batches, and however many jets take them."""
    flow, life = _flow(0)
    flow.alone = jets == 1
    came, lock = [], threading.Lock()

    def jet():
        while (batch := flow.take(STAY)) is not None:
            if batch.closed_by == "pig":
                came.append("pig")
                flow.pig_written()
            else:
                with lock:
                    came.extend(batch.records)
                flow.done(batch, took_s=0.001)

    workers = [threading.Thread(target=jet) for _ in range(jets)]
    for worker in workers:
        worker.start()
    sent, number = [], 0
    for size, end in sizes:
        records = [b"%d" % (number + at) for at in range(size)]
        number += size
        sent += [*records, *(["pig"] if end == "pig" else [])]
        flow.put(Batch(0, 1, records, None if end is None else Control(end)))
    flow.put(Batch(0, 1, [], END))
    for worker in workers:
        worker.join(10)
        assert not worker.is_alive()
    assert _between_pigs(came) == _between_pigs(sent)
    if jets == 1:
        assert came == sent
    assert life.state == "finishing"


def _between_pigs(items):
    parts = [set()]
    for item in items:
        if item == "pig":
            parts.append(set())
        else:
            parts[-1].add(item)
    return parts
