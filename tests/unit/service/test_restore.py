"""A partition comes: what is restored, rebuilt, begun anew or refused."""

from __future__ import annotations

import struct
import time

import pytest

from stream_scorer.codec import codec_for
from stream_scorer.codec.schema import make_schema
from stream_scorer.errors import BrokerError, ModelError, Unavailable
from stream_scorer.model.module import Module
from stream_scorer.records import (
    UNKNOWN_ORIGIN,
    CommittedPosition,
    Origin,
    Partition,
    PartitionLog,
    Record,
    StateRecord,
)
from stream_scorer.scoring.scorer import Scorer
from stream_scorer.service.policies import RestorePolicy
from stream_scorer.service.progress import Progress
from stream_scorer.service.restore import Restorer
from stream_scorer.state import values
from stream_scorer.state.sessions import Sessions
from support.service import MODELS

IN = Partition("in", 0)
END = 50


class Topic:
    """The `Inputs` port: offsets 5 to 49 with the values 5.0 to 49.0, of keys a and b in turn."""

    low = 5

    def __init__(self):
        self.asked = []

    def start(self, partition, start, keep_alive):
        self.asked.append(start)
        return {"earliest": self.low, "latest": END}.get(start, 20)

    def back(self, partition, before, count, keep_alive):
        return max(self.low, before - count)

    def read(self, partition, first, before):
        for at in range(first, before, 7):
            yield [_record(offset) for offset in range(at, min(at + 7, before))]


def _record(offset):
    return Record(IN, offset, b"ab"[offset % 2 :][:1], struct.pack("<d", float(offset)), None, None)


HOLDS = PartitionLog(Topic.low, END, "one")


class Store:
    """The `StateStore` port over a list."""

    def __init__(self, saved=()):
        self.saved = list(saved)

    def read(self, partition, committed, keep_alive):
        return self.saved


class Worker:
    """One worker's parts about a rolling mean; `model` is the sha256 it believes to run."""

    def __init__(self, store=None, *, model="aa", name="rolling_mean", origin=UNKNOWN_ORIGIN, **policy):
        module = Module(MODELS / f"{name}.py")
        module.begin()
        self.module, self.topic = module, Topic()
        self.sessions = Sessions(module, module.state_names)
        codec = codec_for("avro-binary", make_schema("double", "double"))
        self.progress = Progress()
        self.restorer = Restorer(
            self.sessions,
            Scorer(module, self.sessions, codec, {1: codec}),
            store,
            self.topic,
            model=model,
            origin=origin,
            policy=RestorePolicy(**policy),
            watch=self.progress,
        )

    def begin(self, committed, topic_id="", holds=HOLDS):
        committed = None if committed is None else CommittedPosition(committed, topic_id)
        self.begun = self.restorer.begin(IN, committed, holds, lambda: None)
        return self.begun.offset

    def windows(self):
        """What the session of each key holds."""
        found = {}
        for number, key in enumerate([b"a", b"b"]):
            self.sessions.enter(_record(number))
            found[key] = list(self.module.state()[0])
        return found

    def to_save(self):
        return {
            snapshot.key: snapshot.state and values.load(snapshot.state)[0] for snapshot in self.sessions.unsettled()
        }


def _fed(first, before):
    return {
        key: [float(at) for at in range(first, before) if at % 2 == number] for number, key in enumerate([b"a", b"b"])
    }


def _saved(position, model="aa"):
    """What a worker that had scored offsets 5 up to `position` left in the store."""
    worker = Worker()
    for records in worker.topic.read(IN, worker.topic.low, position):
        worker.restorer._scorer.feed(records)
    kept = [StateRecord(model, snapshot.offset, snapshot) for snapshot in worker.sessions.unsettled()]
    return Store([*kept, StateRecord(model, position, None)])


def test_state_that_agrees_with_the_offset_is_restored():
    worker = Worker(_saved(30))
    assert worker.begin(30) == 30
    assert worker.windows() == _fed(5, 30)
    assert worker.to_save() == {}
    assert worker.progress.restored_sessions == 2
    assert worker.begun.saved


def _short(store):
    """As a version of ours saved it that kept less: one value instead of none, or none instead of one."""
    less = [one._replace(snapshot=one.snapshot._replace(state=values.dump([]))) for one in store.saved[:-1]]
    return Store([*less, store.saved[-1]])


def test_state_of_another_shape_is_refused_with_the_choices():
    with pytest.raises(
        ModelError, match=r"does not fit the model's state.*0 values for 1 names\. Going on.*Choose: --on-st"
    ):
        Worker(_short(_saved(30))).begin(30)


@pytest.mark.parametrize("holds", [HOLDS, PartitionLog(35, END, "one")], ids=["", "a gap"])
@pytest.mark.parametrize("how", ["rebuild", "restart"])
def test_state_of_another_shape_is_dealt_with_as_chosen(how, holds):
    worker = Worker(_short(_saved(30)), on_mismatch=how, on_gap="continue")
    assert worker.begin(30, holds=holds) == max(30, holds.first)
    assert worker.windows() == (_fed(5, max(30, holds.first)) if how == "rebuild" else {b"a": [], b"b": []})
    assert not worker.begun.saved
    assert worker.to_save().keys() == {b"a", b"b"}


def test_a_new_group_begins_at_the_earliest_with_nothing():
    worker = Worker(Store())
    assert worker.begin(None) == 5
    assert worker.windows() == {b"a": [], b"b": []}


@pytest.mark.parametrize(("start", "offset"), [("earliest", 5), ("latest", 50), ("2024-01-01", 20)])
def test_a_new_group_may_begin_elsewhere(start, offset):
    worker = Worker(Store(), start=start)
    assert worker.begin(None) == offset
    assert worker.topic.asked == [start]


def test_a_group_whose_offset_expired_goes_on_where_its_state_is():
    worker = Worker(_saved(30))
    assert worker.begin(None) == 30
    assert worker.windows() == _fed(5, 30)


def test_unless_a_start_was_asked_for():
    worker = Worker(_saved(30), start="latest")
    assert worker.begin(None) == 50
    assert worker.windows() == {b"a": [], b"b": []}
    assert worker.to_save() == {b"a": None, b"b": None}, "what was saved must not come back later"


def test_warm_up_feeds_the_inputs_before_the_start():
    worker = Worker(Store(), start="latest", warm_up=9)
    assert worker.begin(None) == 50
    assert worker.windows() == _fed(41, 50)
    assert worker.to_save() == _fed(41, 50), "and the next commit saves them"


def test_warm_up_takes_what_there_is():
    worker = Worker(Store(), start="2024-01-01", warm_up=1000)
    assert worker.begin(None) == 20
    assert worker.windows() == _fed(5, 20)


def test_warm_up_is_no_matter_for_a_group_that_goes_on():
    worker = Worker(_saved(30), warm_up=3)
    worker.begin(30)
    assert worker.windows() == _fed(5, 30)


MISMATCHES = {
    "offset moved back": (_saved(30), 20, "the group is at offset 20, the saved state at 30"),
    "offset moved on": (_saved(30), 40, "the group is at offset 40, the saved state at 30"),
    "no state": (Store(), 20, "the group is at offset 20, but no state was ever saved"),
    "another module": (_saved(30, model="bb" * 32), 30, r"saved by another model \(sha256 bbbbbbbbbbbb\.\.\.\)"),
}


@pytest.mark.parametrize("how", [{}, {"window": None, "on_mismatch": "auto"}, {"window": 30, "on_mismatch": "fail"}])
@pytest.mark.parametrize("case", MISMATCHES)
def test_state_that_does_not_fit_stops_the_service_with_the_choices(case, how):
    store, committed, problem = MISMATCHES[case]
    with pytest.raises(ModelError, match=rf"^in\[0\]: .*{problem}.*--on-state-mismatch rebuild .*or restart"):
        Worker(store, **how).begin(committed)


@pytest.mark.parametrize("how", [{"window": 30}, {"on_mismatch": "rebuild"}])
@pytest.mark.parametrize("case", MISMATCHES)
def test_or_is_rebuilt_from_the_inputs_before_the_position(case, how):
    store, committed, _ = MISMATCHES[case]
    worker = Worker(store, **how)
    assert worker.begin(committed) == committed
    assert worker.windows() == {key: window[-30:] for key, window in _fed(5, committed).items()}
    assert worker.to_save() == worker.windows()


@pytest.mark.parametrize("case", MISMATCHES)
def test_or_begins_anew(case):
    store, committed, _ = MISMATCHES[case]
    worker = Worker(store, window=30, on_mismatch="restart")
    assert worker.begin(committed) == committed
    assert worker.windows() == {b"a": [], b"b": []}
    assert worker.to_save() == {one.snapshot.key: None for one in store.saved if one.snapshot}


def test_without_a_store_nothing_is_compared():
    worker = Worker(None)
    assert worker.begin(20) == 20
    assert worker.windows() == {b"a": [], b"b": []}


@pytest.mark.parametrize("name", ["rolling_mean", "rolling_mean_batched"])
def test_inputs_that_cannot_be_scored_are_fed_past(name):
    worker = Worker(Store(), name=name, on_mismatch="rebuild")
    bad = {10: b"abc", 12: None, 14: struct.pack("<d", -1.0)}
    records = [_record(at)._replace(value=bad[at]) if at in bad else _record(at) for at in range(5, 20)]
    worker.topic.read = lambda *_: iter([records])
    worker.begin(20)
    assert worker.windows() == {
        b"a": [value for value in _fed(5, 20)[b"a"] if value not in bad],
        b"b": _fed(5, 20)[b"b"],
    }


@pytest.mark.parametrize("name", ["rolling_mean", "rolling_mean_batched"])
def test_what_was_fed_before_stays_when_a_later_batch_has_one_that_cannot_be_scored(name):
    worker = Worker(Store(), name=name, on_mismatch="rebuild")
    records = [_record(at) for at in range(5, 20)]
    records[10] = records[10]._replace(value=struct.pack("<d", -1.0))
    worker.topic.read = lambda *_: iter([records[:5], records[5:]])
    worker.begin(20)
    assert worker.windows() == {key: [at for at in window if at != 15.0] for key, window in _fed(5, 20).items()}


def test_a_broker_that_goes_away_halfway_leaves_nothing_fed_twice():
    worker = Worker(Store(), on_mismatch="rebuild")
    read = worker.topic.read

    def breaks(*what):
        worker.topic.read = read
        yield [_record(at) for at in range(5, 12)]
        raise Unavailable("away")

    worker.topic.read = breaks
    with pytest.raises(Unavailable):
        worker.begin(20)
    worker.begin(20)
    assert worker.windows() == _fed(5, 20)


def test_the_stream_time_comes_back_with_the_position():
    store = Store([StateRecord("aa", 30, None, 77)])
    worker = Worker(store)
    worker.sessions = worker.restorer._sessions = Sessions(worker.module, worker.module.state_names, ttl_ms=10)
    worker.begin(30)
    assert worker.sessions.stream_time(IN) == 77


def test_a_rebuild_is_no_part_of_the_step_that_may_be_undone():
    worker = Worker(Store(), on_mismatch="rebuild")
    worker.begin(20)
    worker.sessions.roll_back()
    assert worker.windows() == _fed(5, 20)


@pytest.mark.parametrize(
    ("store", "how", "committed", "published"),
    [(Store(), {"start": "latest", "warm_up": 9}, None, False), (Store(), {"on_mismatch": "rebuild"}, 20, True)],
    ids=["warm-up", "rebuild"],
)
def test_forecasts_of_a_warm_up_were_never_published_and_those_of_a_rebuild_were(store, how, committed, published):
    """The last of a key waits for its value only if it was."""
    worker = Worker(store, **how)
    told = []
    worker.restorer._scorer.feed = lambda records, *, published: told.append(published)
    worker.begin(committed)
    assert set(told) == {published}


ONE, TWO = "one", "two"  # topic ids
GAPS = {
    # committed, topic id of the commit, what the log holds, kind, lost, where it goes on
    "deleted": (20, ONE, PartitionLog(25, END, ONE), "deleted", 5, 25),
    "deleted, all of it": (20, ONE, PartitionLog(50, 50, ONE), "deleted", 30, 50),
    "past the end": (30, ONE, PartitionLog(5, 12, ONE), "past-end", 0, 12),
    "created again, more records": (20, TWO, PartitionLog(0, END, ONE), "recreated", 0, 0),
    "created again, with an id that brokers before 2.8 do not have": (
        20,
        "",
        PartitionLog(25, END, ""),
        "deleted",
        5,
        25,
    ),
}


def _saved_at(position, topic_id):
    store = _saved(position)
    store.saved[-1] = store.saved[-1]._replace(origin=Origin(topic_id, "g", "key"))
    return store


@pytest.mark.parametrize("holds", [PartitionLog(20, END, ONE), PartitionLog(0, 20, ONE)], ids=["first", "end"])
def test_a_position_at_either_end_of_the_log_is_no_gap(holds):
    worker = Worker(_saved_at(20, ONE), window=30)
    assert worker.begin(20, ONE, holds) == 20
    assert worker.progress.gaps == {}


@pytest.mark.parametrize("case", GAPS)
def test_a_gap_stops_the_service_unless_it_was_asked_to_go_on(case):
    at, topic_id, holds, *_ = GAPS[case]
    worker = Worker(_saved_at(at, topic_id), window=30)
    with pytest.raises(BrokerError, match=r"^in\[0\]: .*--on-gap rebuild .* or continue"):
        worker.begin(at, topic_id, holds)
    assert worker.progress.gaps == {}


@pytest.mark.parametrize("case", GAPS)
def test_behind_a_gap_it_goes_on_with_sessions_as_they_were(case):
    at, topic_id, holds, kind, lost, first = GAPS[case]
    worker = Worker(_saved_at(at, topic_id), on_gap="continue")
    assert worker.begin(at, topic_id, holds) == first
    assert worker.windows() == _fed(5, at)
    assert not worker.begun.saved
    assert (worker.progress.gaps, worker.progress.lost_records) == ({kind: 1}, lost)
    # StateRecord anew, at most at the new position: the next restore must not find sessions beyond it.
    assert {one.offset for one in worker.sessions.unsettled()} <= set(range(first + 1))
    assert worker.to_save() == _fed(5, at)


@pytest.mark.parametrize("case", GAPS)
def test_behind_a_gap_it_goes_on_with_sessions_rebuilt(case):
    at, topic_id, holds, *_, first = GAPS[case]
    worker = Worker(_saved_at(at, topic_id), on_gap="rebuild")
    worker.topic.low = holds.first
    assert worker.begin(at, topic_id, holds) == first
    assert worker.windows() == _fed(holds.first, first)
    assert worker.to_save() == {key: window or None for key, window in _fed(holds.first, first).items()}


def test_a_gap_in_a_topic_whose_state_does_not_fit_either():
    worker = Worker(_saved(18), on_gap="continue", on_mismatch="restart")
    assert worker.begin(20, ONE, PartitionLog(25, END, ONE)) == 25
    assert worker.windows() == {b"a": [], b"b": []}


def test_the_offsets_of_a_deleted_topic_are_gone_and_its_state_is_not_used():
    worker = Worker(_saved_at(20, TWO))
    with pytest.raises(BrokerError, match="deleted and created again since offset 20"):
        worker.begin(None, "", PartitionLog(0, END, ONE))


FOREIGN = {
    "one session of another model": (
        lambda saved: [saved[0]._replace(model="bb" * 32), *saved[1:]],
        r"1 of 2 sessions were saved by another model \(sha256 bbbbbbbbbbbb\.\.\.\)",
    ),
    "one session beyond the position": (
        lambda saved: [saved[0]._replace(offset=31), *saved[1:]],
        "1 sessions were saved after the position, the first at offset 31",
    ),
    "another group": (
        lambda saved: [*saved[:-1], saved[-1]._replace(origin=Origin(ONE, "h", "key"))],
        "saved with group 'h', and this service has group 'g'",
    ),
    "other sessions": (
        lambda saved: [*saved[:-1], saved[-1]._replace(origin=Origin(ONE, "g", "partition"))],
        "saved with session 'partition', and this service has session 'key'",
    ),
    "an earlier topic": (
        lambda saved: [*saved[:-1], saved[-1]._replace(origin=Origin(TWO, "g", "key"))],
        "the state is of an earlier topic of the same name",
    ),
}


@pytest.mark.parametrize("case", FOREIGN)
def test_state_that_belongs_to_something_else_is_told(case):
    change, text = FOREIGN[case]
    worker = Worker(Store(change(_saved(30).saved)), origin=Origin("", "g", "key"))
    with pytest.raises(ModelError, match=text):
        worker.begin(30, ONE, HOLDS)


def test_an_attachment_is_part_of_the_model_and_was_not_noted_by_earlier_versions():
    assert Worker(_saved(30, model="aa"), model="aa+cc").begin(30) == 30
    with pytest.raises(ModelError, match="another model"):
        Worker(_saved(30, model="aa+bb"), model="aa+cc").begin(30)
    with pytest.raises(ModelError, match="another model"):
        Worker(_saved(30, model="aa+bb"), model="aa").begin(30)


class _Enough(Exception):
    pass


def test_a_rebuild_keeps_the_worker_alive_and_can_be_ended_by_it():
    worker = Worker(Store(), on_mismatch="rebuild")
    breaths = []

    def keep_alive():
        breaths.append(1)
        if len(breaths) == 4:
            raise _Enough

    with pytest.raises(_Enough):
        worker.restorer.begin(IN, CommittedPosition(30, ONE), HOLDS, keep_alive)
    assert worker.begin(30) == 30
    assert worker.windows() == _fed(5, 30), "nothing is fed twice"


def test_a_slow_model_is_fed_in_small_parts():
    worker = Worker(Store(), on_mismatch="rebuild")
    sizes = []
    feed = worker.restorer._scorer.feed

    def slow(records, *, published):
        sizes.append(len(records))
        feed(records, published=published)
        time.sleep(0.05 * len(records))

    worker.restorer._feed_size = 4
    worker.restorer._scorer.feed = slow
    worker.begin(30)
    assert sum(sizes) == 25
    assert max(sizes[1:]) <= 6, "as many as take 0.3 s"
