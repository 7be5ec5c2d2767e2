"""State read back: all of it, or an error."""

from __future__ import annotations

import pytest

from stream_scorer.errors import ModelError, Unavailable
from stream_scorer.kafka import changelog as kafka_changelog
from stream_scorer.kafka import clients as kafka_clients
from stream_scorer.kafka import reader as kafka_reader
from stream_scorer.kafka.changelog import KafkaChangelog
from stream_scorer.records import Partition
from stream_scorer.state.snapshots import POSITION_KEY, SnapshotWriter
from tests.support.messages import Fetched, Script, eof

INPUT, PLACE = Partition("prices", 0), Partition("kept", 0)


class Clock:
    def __init__(self):
        self.now = 0.0

    def monotonic(self):
        return self.now


class Shown:
    def __init__(self):
        self.seen = []

    def reading(self, partition, at, end, count):
        self.seen.append((partition, at, end, count))


@pytest.fixture
def changelog(monkeypatch):
    """(stable end, end, batches) -> a changelog of them, and what it showed."""

    def made(stable, end, *batches):
        clock, shown = Clock(), Shown()
        committed, uncommitted = Script(*batches, clock=clock), Script()
        committed.bounds, uncommitted.bounds = (0, stable), (0, end)
        monkeypatch.setattr(kafka_reader, "open_outside_group", lambda *_, **__: committed)
        monkeypatch.setattr(kafka_clients, "open_outside_group", lambda *_, **__: uncommitted)
        for module in (kafka_reader, kafka_changelog):
            monkeypatch.setattr(module, "time", clock)
        monkeypatch.setattr(kafka_changelog, "find_hanging", lambda *_, **__: [])
        return KafkaChangelog({}, "kept", shown), shown

    return made


@pytest.fixture
def position():
    writer = SnapshotWriter("model")

    def made(offset, at):
        return Fetched(PLACE, offset, key=POSITION_KEY, value=writer.position(INPUT, at))

    return made


def test_the_last_position_is_found_and_how_far_it_is_is_shown(changelog, position):
    store, shown = changelog(4, 4, [position(0, 100), position(2, 200), eof(PLACE, 4)])
    (saved,) = store.read(INPUT, 200, lambda: None)
    assert (saved.offset, saved.snapshot) == (200, None)
    assert shown.seen == [(INPUT, 4, 4, 1)]


def test_a_read_that_stalls_at_the_right_position_is_not_all_there_is(changelog, position):
    """After a rebuild the same position was saved twice: what stands behind the first is not of the model before."""
    store, _ = changelog(9, 9, [position(0, 100)])
    with pytest.raises(Unavailable, match=r"^changelog kept\[0\]: stuck at offset 1 of 9\. "):
        store.read(INPUT, 100, lambda: None)


def test_what_an_open_transaction_may_yet_commit_is_waited_for(changelog, position):
    store, _ = changelog(2, 4, [position(0, 100), eof(PLACE, 2)], [], [], [position(2, 200)])
    (saved,) = store.read(INPUT, 200, lambda: None)
    assert saved.offset == 200


def test_a_stop_is_heard_while_nothing_comes(changelog, position):
    store, _ = changelog(9, 9, [position(0, 100)])
    heard = []

    def keep_alive():
        heard.append(1)
        if len(heard) == 3:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        store.read(INPUT, 100, keep_alive)


def test_what_something_else_wrote_is_told_with_its_place(changelog):
    store, _ = changelog(1, 1, [Fetched(PLACE, 0, key=b"x", value=b"nonsense"), eof(PLACE, 1)])
    with pytest.raises(ModelError, match=r"^kept\[0\]@0: .*Give another --changelog-topic"):
        store.read(INPUT, 0, lambda: None)
