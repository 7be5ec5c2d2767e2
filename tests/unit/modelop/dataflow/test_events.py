"""Events reach their listener in order; too many are dropped and counted, by number and by length."""

from __future__ import annotations

import threading

from stream_scorer.modelop.dataflow.events import MAX_WAITING_CHARACTERS, Events


def _slow():
    """Events whose listener waits until `go` is set; what it got."""
    got, go, waits = [], threading.Event(), threading.Event()

    def listener(event):
        waits.set()
        go.wait(60)
        got.append(event)

    events = Events(listener)
    events.console("first")
    waits.wait(60)
    return events, got, go


def test_long_texts_do_not_pile_up():
    events, got, go = _slow()
    for _ in range(100):
        events.console("x" * (MAX_WAITING_CHARACTERS // 10))
    events.console("y" * (MAX_WAITING_CHARACTERS + 1))
    go.set()
    events.close()
    assert [len(event["text"]) for event in got[1:-1]] == [MAX_WAITING_CHARACTERS // 10] * 9
    assert got[-1]["text"].startswith("92 events were dropped")


def test_room_comes_back_when_the_listener_has_taken_events():
    taken = threading.Semaphore(0)
    events = Events(lambda _: taken.release())
    for _ in range(5):
        events.console("x" * (MAX_WAITING_CHARACTERS * 2 // 3))
        assert taken.acquire(timeout=60)
    events.close()
