"""Sessions: many states of one model, and every way back."""

from __future__ import annotations

import sys
import threading

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from stream_scorer.errors import ModelError
from stream_scorer.records import Partition, Record, Snapshot
from stream_scorer.state import values
from stream_scorer.state.sessions import Sessions
from stream_scorer.state.snapshots import POSITION_KEY, SnapshotWriter, read_saved

IN = Partition("in", 0)
OTHER = Partition("in", 1)


class Seen:
    """A model whose state is the offsets it has seen."""

    name, sha256, batched = "seen", "00", False

    def __init__(self, state=([],)):
        self._state = state

    def state(self):
        return self._state

    def set_state(self, state):
        (_,) = state
        self._state = state

    def see(self, offset):
        self._state[0].append(offset)


def _record(offset, key=b"k", partition=IN, timestamp=None):
    return Record(partition, offset, key, b"", timestamp, None)


def _sessions(**how):
    model = Seen()
    return model, Sessions(model, ("seen",), **how)


def _score(model, sessions, *records):
    for record in records:
        sessions.enter(record)
        model.see(record.offset)
        sessions.keep(record)


def _state(sessions, model, record):
    """What the session of a record's key holds."""
    sessions.enter(record)
    return list(model.state()[0])


def _saved(sessions):
    assert sessions.end_batch()
    return {
        (snapshot.partition, snapshot.key): snapshot.state and values.load(snapshot.state)[0]
        for snapshot in sessions.unsettled()
    }


def _snapshots(sessions):
    assert sessions.end_batch()
    return list(sessions.unsettled())


def test_each_key_has_a_state_of_its_own():
    model, sessions = _sessions()
    _score(model, sessions, _record(0, b"a"), _record(1, b"b"), _record(2, b"a"), _record(3, None), _record(4, b""))
    assert _saved(sessions) == {(IN, b"a"): [0, 2], (IN, b"b"): [1], (IN, None): [3], (IN, b""): [4]}
    assert len(sessions) == 4


def test_one_key_on_two_partitions_is_two_sessions():
    model, sessions = _sessions()
    _score(model, sessions, _record(0, b"a"), _record(1, b"a", OTHER))
    assert _saved(sessions) == {(IN, b"a"): [0], (OTHER, b"a"): [1]}


def test_by_partition_keys_do_not_matter():
    model, sessions = _sessions(by_key=False)
    _score(model, sessions, _record(0, b"a"), _record(1, b"b"), _record(2, b"a", OTHER))
    assert _saved(sessions) == {(IN, None): [0, 1], (OTHER, None): [2]}


def test_undo_gives_the_state_before_the_record():
    model, sessions = _sessions()
    _score(model, sessions, _record(0))
    sessions.enter(_record(1))
    model.see(1)
    sessions.undo(_record(1))
    _score(model, sessions, _record(2))
    assert _saved(sessions) == {(IN, b"k"): [0, 2]}


def test_undo_of_the_first_record_leaves_no_session():
    model, sessions = _sessions()
    sessions.enter(_record(0))
    model.see(0)
    sessions.undo(_record(0))
    assert len(sessions) == 0
    assert _saved(sessions) == {}
    assert model.state() == ([],)


def test_roll_back_gives_the_state_of_the_last_settle():
    model, sessions = _sessions()
    _score(model, sessions, _record(0, b"a"))
    assert sessions.end_batch()
    sessions.settle()
    _score(model, sessions, _record(1, b"a"), _record(2, b"b"))
    sessions.roll_back()
    assert _saved(sessions) == {}
    assert len(sessions) == 1
    assert _state(sessions, model, _record(1, b"a")) == [0]
    assert _state(sessions, model, _record(2, b"b")) == []


def test_a_snapshot_says_where_it_stands():
    model, sessions = _sessions()
    _score(model, sessions, _record(6, b"a", timestamp=-5), _record(7, b"b"))
    assert [(at.key, at.offset, at.timestamp) for at in _snapshots(sessions)] == [(b"a", 7, -5), (b"b", 8, None)]


def test_settled_sessions_are_not_saved_again():
    model, sessions = _sessions()
    _score(model, sessions, _record(0, b"a"))
    assert sessions.end_batch()
    sessions.settle()
    _score(model, sessions, _record(1, b"b"))
    assert _saved(sessions) == {(IN, b"b"): [1]}


def test_restored_sessions_go_on_and_are_not_saved_again():
    model, sessions = _sessions()
    _score(model, sessions, _record(0, b"a", timestamp=9), _record(1, None))
    snapshots = _snapshots(sessions)
    model, fresh = _sessions()
    assert fresh.restore(IN, [*snapshots, Snapshot(IN, b"gone", 0, None, None)]) == 2
    assert _saved(fresh) == {}
    _score(model, fresh, _record(2, b"a"), _record(3, None))
    assert _saved(fresh) == {(IN, b"a"): [0, 2], (IN, None): [1, 3]}


def test_a_state_of_another_shape_is_refused_at_restore():
    _, sessions = _sessions()
    for state in (values.dump([1, 2]), b"nonsense"):
        with pytest.raises(
            ModelError, match=r"in\[0\]: the saved session of key b'.' does not fit the model's state \(seen\)"
        ):
            sessions.restore(IN, [Snapshot(IN, b"a", 1, None, state)])


def test_a_partition_that_leaves_takes_its_sessions_along():
    model, sessions = _sessions()
    _score(model, sessions, _record(0, b"a"), _record(1, b"a", OTHER))
    sessions.drop(IN)
    assert _saved(sessions) == {(OTHER, b"a"): [1]}
    assert _state(sessions, model, _record(5, b"a")) == []
    sessions.roll_back()
    assert len(sessions) == 0


def test_reset_leaves_the_module_as_it_was_begun():
    model, sessions = _sessions()
    _score(model, sessions, _record(0))
    sessions.reset()
    assert model.state() == ([],)
    assert (len(sessions), _saved(sessions), sessions.state_bytes()) == (0, {}, 0)


def test_what_is_carried_outlives_a_roll_back_and_is_saved_by_the_next_commit():
    """As state that was fed outside of any transaction."""
    model, sessions = _sessions()
    _score(model, sessions, _record(0, b"a"))
    assert sessions.end_batch()
    sessions.carry(IN, [b"stale"])
    _score(model, sessions, _record(1, b"b"))
    sessions.roll_back()
    assert _saved(sessions) == {(IN, b"a"): [0], (IN, b"stale"): None}
    assert sessions.end_batch()
    sessions.settle()
    assert _saved(sessions) == {}


def test_a_model_without_state_has_no_sessions():
    class Stateless(Seen):
        def set_state(self, state):
            self._state = state

    model = Stateless(())
    sessions = Sessions(model, ())
    sessions.enter(_record(0))
    sessions.keep(_record(0))
    assert not sessions.stateful
    assert (len(sessions), _saved(sessions)) == (0, {})


def test_a_session_starts_anew_after_its_time_to_live():
    model, sessions = _sessions(ttl_ms=10)
    _score(model, sessions, _record(0, timestamp=0), _record(1, timestamp=10), _record(2, timestamp=21))
    assert _saved(sessions) == {(IN, b"k"): [2]}


def test_a_session_no_record_comes_for_is_dropped_in_the_store_too():
    model, sessions = _sessions(ttl_ms=10)
    _score(model, sessions, _record(0, b"a", timestamp=0))
    assert sessions.end_batch()
    sessions.settle()
    _score(model, sessions, _record(1, b"b", timestamp=11))
    assert _saved(sessions) == {(IN, b"a"): None, (IN, b"b"): [1]}


def test_without_timestamps_nothing_expires():
    model, sessions = _sessions(ttl_ms=0)
    _score(model, sessions, _record(0, b"a"), _record(1, b"b"), _record(2, b"a", timestamp=5))
    assert _saved(sessions) == {(IN, b"a"): [0, 2], (IN, b"b"): [1]}


def test_the_cap_drops_the_longest_unused_of_the_partition():
    model, sessions = _sessions(cap=2)
    _score(
        model, sessions, _record(0, b"a"), _record(1, b"b"), _record(2, b"a"), _record(3, b"c", OTHER), _record(4, b"c")
    )
    assert _saved(sessions) == {(IN, b"a"): [0, 2], (IN, b"b"): None, (IN, b"c"): [4], (OTHER, b"c"): [3]}


def test_roll_back_brings_back_what_the_cap_dropped_in_its_order():
    model, sessions = _sessions(cap=2)
    _score(model, sessions, _record(0, b"a"), _record(1, b"b"))
    assert sessions.end_batch()
    sessions.settle()
    _score(model, sessions, _record(2, b"c"))  # drops a
    sessions.roll_back()
    _score(model, sessions, _record(2, b"c"))  # and again: the longest unused is a as before
    assert _saved(sessions) == {(IN, b"a"): None, (IN, b"c"): [2]}


@pytest.mark.parametrize("value", [object(), [{"deep": 1j}], lambda: 0])
def test_state_that_cannot_be_kept_is_refused_with_the_global_and_the_ways_out(value):
    class Two:
        name = "toy"

        def state(self):
            return 1, value

    with pytest.raises(
        ModelError,
        match=r"^model toy: global 'net' is part of the model's state and holds a value of type .*stream-scorer\.state",
    ):
        Sessions(Two(), ("count", "net"))


STEPS = st.lists(
    st.tuples(st.sampled_from("abc"), st.sampled_from(["keep", "keep", "undo"]))
    | st.sampled_from(["settle", "roll back", "drop"]),
    max_size=40,
)


@given(steps=STEPS, cap=st.sampled_from([None, 1, 2]))
def test_any_steps_do_what_a_simple_dict_does(steps, cap):
    model, sessions = _sessions(cap=cap)
    now, settled = {}, {}
    for offset, step in enumerate(steps):
        if step == "settle":
            assert sessions.end_batch()
            sessions.settle()
            settled = {key: list(seen) for key, seen in now.items()}
        elif step == "roll back":
            sessions.roll_back()
            now = {key: list(seen) for key, seen in settled.items()}
        elif step == "drop":
            sessions.drop(IN)
            now, settled = {}, {}
        else:
            record = _record(offset, step[0].encode())
            sessions.enter(record)
            assert model.state()[0] == now.get(step[0], [])
            model.see(offset)
            if step[1] == "undo":
                sessions.undo(record)
                continue
            sessions.keep(record)
            now[step[0]] = [*now.pop(step[0], []), offset]
            if cap is not None and len(now) > cap:
                del now[next(iter(now))]
        changed = {key for key in now.keys() | settled.keys() if now.get(key) != settled.get(key)}
        saved = _saved(sessions)
        assert {key: now.get(key) for key in changed}.items() <= {
            key.decode(): seen for (_, key), seen in saved.items()
        }.items()
    assert len(sessions) == len(now)


TIMED = st.lists(st.tuples(st.sampled_from([b"a", b"b", b"c"]), st.integers(0, 30)), max_size=12)


def _undisturbed(items, **how):
    """State of each session right after each record."""
    model, sessions = _sessions(**how)
    found = []
    for offset, (key, timestamp) in enumerate(items):
        _score(model, sessions, _record(offset, key, timestamp=timestamp))
        found.append(list(model.state()[0]))
    return found


@example(items=[(b"a", 0), (b"b", 0), (b"c", 0), (b"a", 0)], from_=2, to=3)
@given(items=TIMED, from_=st.integers(0, 12), to=st.integers(0, 12))
def test_with_a_cap_a_roll_back_changes_no_later_state(items, from_, to):
    assert _rolled_back(items, from_, to, cap=2) == _undisturbed(items, cap=2)


@example(items=[(b"c", 0), (b"a", 0), (b"a", 5), (b"c", 6), (b"b", 20)], from_=2, to=5)
@given(items=TIMED, from_=st.integers(0, 12), to=st.integers(0, 12))
def test_with_a_time_to_live_a_roll_back_changes_no_later_state(items, from_, to):
    """Timestamps need not ascend."""
    assert _rolled_back(items, from_, to, ttl_ms=10) == _undisturbed(items, ttl_ms=10)


def _rolled_back(items, from_, to, **how):
    """As `_undisturbed`, but records `from_` to `to` are scored, rolled back and come again."""
    model, sessions = _sessions(**how)
    records = [_record(offset, key, timestamp=timestamp) for offset, (key, timestamp) in enumerate(items)]
    found = []
    for record in records[:from_]:
        _score(model, sessions, record)
        found.append(list(model.state()[0]))
    assert sessions.end_batch()
    sessions.settle()
    _score(model, sessions, *records[from_:to])
    sessions.roll_back()
    for record in records[from_:]:
        _score(model, sessions, record)
        found.append(list(model.state()[0]))
    return found


def test_with_a_time_to_live_a_restart_changes_no_later_state():
    items = [(b"c", 19), (b"b", 8), (b"a", 20), (b"c", 9), (b"b", 9)]
    model, sessions = _sessions(ttl_ms=10)
    records = [_record(offset, key, timestamp=timestamp) for offset, (key, timestamp) in enumerate(items)]
    _score(model, sessions, *records[:3])
    model, again = _sessions(ttl_ms=10)
    again.restore(IN, _snapshots(sessions))
    _score(model, again, *records[3:])
    assert model.state()[0] == _undisturbed(items, ttl_ms=10)[-1]


@example(items=[(b"b", 8), (b"a", 20), (b"a", 9), (b"c", 9), (b"b", 9)], at=3)
@given(items=TIMED, at=st.integers(0, 12))
def test_nor_where_the_latest_record_is_not_its_sessions_last(items, at):
    """The position record carries the stream time, as no session may."""
    model, sessions = _sessions(ttl_ms=10)
    records = [_record(offset, key, timestamp=timestamp) for offset, (key, timestamp) in enumerate(items)]
    _score(model, sessions, *records[:at])
    value = SnapshotWriter("aa", sessions.stream_time).position(IN, at)
    position = read_saved(IN, POSITION_KEY, value)
    model, again = _sessions(ttl_ms=10)
    again.restore(IN, _snapshots(sessions), position.stream_time)
    found = []
    for record in records[at:]:
        _score(model, again, record)
        found.append(list(model.state()[0]))
    assert found == _undisturbed(items, ttl_ms=10)[at:]


def test_what_an_operator_asks_for_may_be_asked_from_another_thread():
    """/metrics and /status do, while the loop keeps sessions of new keys."""
    model, sessions = _sessions()
    _score(model, sessions, *(_record(offset, b"%d" % offset) for offset in range(2_000)))
    stop = threading.Event()

    def keep_new_keys():
        offset = 2_000
        while not stop.is_set() and offset < 200_000:
            sessions.enter(_record(offset, b"%d" % offset))
            sessions.keep(_record(offset, b"%d" % offset))
            offset += 1

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    thread = threading.Thread(target=keep_new_keys)
    thread.start()
    try:
        for _ in range(50):
            len(sessions)
            sessions.state_bytes()
    finally:
        stop.set()
        thread.join()
        sys.setswitchinterval(interval)


class Windows(Seen):
    """A model whose state is what the test makes it."""

    def __init__(self, *state):
        self._state = state
        self.names = tuple(f"g{at}" for at in range(len(state)))

    def set_state(self, state):
        self._state = state


def _run(model, sessions, actions):
    """Each action changes the state of its key's session; the last state of every key."""
    for offset, (key, action) in enumerate(actions):
        record = _record(offset, key)
        sessions.enter(record)
        model.set_state(action(*model.state()))
        sessions.keep(record)


def _add(window, *others):
    window.append(1)
    return window, *others


def test_states_that_are_not_flat_ask_for_the_batch_again_and_then_go_through_bytes():
    model = Windows([])
    sessions = Sessions(model, model.names)
    actions = [(b"a", _add), (b"b", lambda window: ([*window, [2]],)), (b"a", _add)]
    _run(model, sessions, actions)
    assert not sessions.end_batch()
    assert len(sessions) == 0
    _run(model, sessions, actions)
    assert _saved(sessions) == {(IN, b"a"): [1, 1], (IN, b"b"): [[2]]}


def test_one_list_shared_by_sessions_does_not_stay_shared():
    """As where a module resets its window to a list of its own that is no state."""
    default = []
    model = Windows(default)
    sessions = Sessions(model, model.names)
    actions = [(b"a", lambda _: (default,)), (b"b", lambda _: (default,)), (b"a", _add)]
    _run(model, sessions, actions)
    assert not sessions.end_batch()
    default.clear()
    _run(model, sessions, actions)
    assert _saved(sessions) == {(IN, b"a"): [1], (IN, b"b"): []}


def test_two_names_of_one_list_stay_two_names_of_one_list():
    shared = []
    model = Windows(shared, shared)
    sessions = Sessions(model, model.names)
    for offset, key in enumerate([b"a", b"b", b"a"]):
        _run(model, sessions, [(key, _add)])
        sessions.enter(_record(offset, key))
        first, second = model.state()
        assert first is second
    assert [values.load(snapshot.state) for snapshot in _snapshots(sessions)] == [([1, 1], [1, 1]), ([1], [1])]


def test_undo_gives_back_what_was_changed_in_place_before_it_failed():
    for start in ([], [[]]):
        model = Windows(start)
        sessions = Sessions(model, model.names)
        _run(model, sessions, [(b"a", _add), (b"b", _add)])
        sessions.enter(_record(2, b"a"))
        _add(*model.state())
        sessions.undo(_record(2, b"a"))
        assert model.state() == ([*start, 1],)
        _run(model, sessions, [(b"b", _add), (b"a", _add)])
        assert _saved(sessions) == {(IN, b"a"): [*start, 1, 1], (IN, b"b"): [*start, 1, 1]}


def test_any_session_of_another_shape_is_refused_not_only_the_last():
    _, sessions = _sessions()
    bad = Snapshot(IN, b"bad", 1, None, b"nonsense")
    good = Snapshot(IN, b"good", 2, None, values.dump([[1.0]]))
    with pytest.raises(ModelError, match="key b'bad'"):
        sessions.restore(IN, [bad, good])
