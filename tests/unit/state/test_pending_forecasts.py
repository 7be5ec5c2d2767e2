"""Pending forecasts as bytes, and in sessions: they go every way that the state goes."""

from __future__ import annotations

import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_scorer.records import Partition, PendingForecast, Record, Snapshot
from stream_scorer.state import pending_forecasts, values
from stream_scorer.state.pending_forecasts import Placeholder
from stream_scorer.state.sessions import Sessions

IN = Partition("in", 0)
FORECAST = PendingForecast(1.5, 1.0, None, 2.0, 7, None)
NUMBERS = st.floats(allow_nan=False)
WHOLE = st.integers(-(2**63), 2**63 - 1)
MAYBE, MAYBE_WHOLE = st.none() | NUMBERS, st.none() | WHOLE
FORECASTS = st.builds(PendingForecast, NUMBERS, NUMBERS, MAYBE, MAYBE, WHOLE, MAYBE_WHOLE, MAYBE_WHOLE)


@given(forecast=st.none() | FORECASTS, state=st.lists(st.floats() | st.text() | st.binary(), max_size=3))
def test_a_pending_forecast_comes_back_from_behind_any_state(forecast, state):
    data = values.dump(state)
    packed = pending_forecasts.pack(forecast)
    assert len(packed) == pending_forecasts.PACKED_SIZE
    assert pending_forecasts.split_state(data + packed, len(state)) == (data, packed)
    assert pending_forecasts.split_state(data, len(state)) == (data, pending_forecasts.NO_FORECAST)
    assert repr(pending_forecasts.unpack(data + packed)) == repr(forecast), "zeros keep their sign"


def test_a_pending_forecast_of_a_version_without_dates_is_read():
    old = values.dump([struct.pack("<4sB4d2q", b"note", 1 | 4, 1.5, 1.0, 0.0, 2.0, 7, 0)])
    state, forecast = pending_forecasts.split_state(values.dump([1, [2.0]]) + old, 2)
    assert (state, pending_forecasts.unpack(forecast)) == (values.dump([1, [2.0]]), FORECAST)


def test_a_pending_forecast_is_one_more_value():
    assert len(values.load(values.dump([1, [2.0]]) + pending_forecasts.pack(FORECAST))) == 3


def test_a_state_that_ends_like_a_pending_forecast_is_not_split():
    (content,) = values.load(pending_forecasts.pack(FORECAST))
    state = values.dump([1, content])
    assert state.endswith(pending_forecasts.pack(FORECAST))
    assert pending_forecasts.split_state(state, 2) == (state, pending_forecasts.NO_FORECAST)
    assert pending_forecasts.split_state(state + pending_forecasts.pack(FORECAST), 2) == (
        state,
        pending_forecasts.pack(FORECAST),
    )


def test_bytes_that_are_no_state_are_refused():
    with pytest.raises(ValueError, match="not a state"):
        pending_forecasts.split_state(b"nonsense" + pending_forecasts.pack(FORECAST), 1)


class Model:
    name, sha256, batched = "toy", "00", False

    def __init__(self, *state):
        self._state = state

    def state(self):
        return self._state

    def set_state(self, state):
        if len(state) != len(self._state):
            raise ValueError(f"{len(state)} values for {len(self._state)} names")
        self._state = state


FLAT, EXACT, NONE = ([0.0],), ([[0.0]],), ()
STATES = pytest.mark.parametrize("state", [FLAT, EXACT, NONE], ids=["flat", "exact", "stateless"])


def _sessions(state, **how):
    model = Model(*state)
    return Sessions(model, tuple(f"g{at}" for at in range(len(state))), **{"with_forecasts": True, **how})


def _record(offset, key=b"k", timestamp=None):
    return Record(IN, offset, key, b"", timestamp, None)


def _score(sessions, record, forecast):
    """What waited before the record; `forecast` waits after it."""
    sessions.enter(record)
    pending = sessions.pending(record)
    sessions.keep(record)
    place = Placeholder()
    sessions.set_pending(place)
    place.forecast = forecast  # as it is: only once the batch is forecast
    return pending and pending.forecast


def _waits(sessions, key=b"k", timestamp=None):
    record = _record(99, key, timestamp)
    sessions.enter(record)
    pending = sessions.pending(record)
    return pending and pending.forecast


@STATES
def test_a_pending_forecast_waits_within_a_batch_and_across_batches(state):
    sessions = _sessions(state)
    assert _score(sessions, _record(0), FORECAST) is None
    assert _score(sessions, _record(1), None) == FORECAST
    assert _score(sessions, _record(2), FORECAST) is None
    assert _score(sessions, _record(3, b"other"), None) is None
    assert sessions.end_batch()
    sessions.settle()
    assert _waits(sessions) == FORECAST
    assert _waits(sessions, b"other") is None


@STATES
def test_undo_leaves_what_waited(state):
    sessions = _sessions(state)
    _score(sessions, _record(0), FORECAST)
    sessions.enter(_record(1))
    sessions.undo(_record(1))
    assert _waits(sessions) == FORECAST
    assert sessions.end_batch()
    sessions.settle()
    sessions.enter(_record(1))
    sessions.undo(_record(1))
    assert _waits(sessions) == FORECAST


@STATES
def test_roll_back_gives_what_waited_at_the_last_settle(state):
    sessions = _sessions(state)
    _score(sessions, _record(0), FORECAST)
    assert sessions.end_batch()
    sessions.settle()
    _score(sessions, _record(1), FORECAST._replace(offset=1))
    _score(sessions, _record(2, b"other"), FORECAST)
    sessions.roll_back()
    assert _waits(sessions) == FORECAST
    assert _waits(sessions, b"other") is None
    _score(sessions, _record(1), FORECAST._replace(offset=1))
    assert sessions.end_batch()
    sessions.roll_back()
    assert _waits(sessions) == FORECAST


@STATES
def test_snapshots_carry_pending_forecasts_and_restore_brings_them_back(state):
    sessions = _sessions(state)
    _score(sessions, _record(0), FORECAST)
    _score(sessions, _record(1, b"other"), None)
    assert sessions.end_batch()
    snapshots = list(sessions.unsettled())
    again = _sessions(state)
    again.restore(IN, snapshots)
    assert (_waits(again), _waits(again, b"other")) == (FORECAST, None)
    assert again.state_bytes() == sessions.state_bytes()


@pytest.mark.parametrize("state", [FLAT, EXACT], ids=["flat", "exact"])
def test_a_pending_forecast_is_dropped_if_none_is_judged_and_may_be_missing_if_some_are(state):
    bare = values.dump(state)
    saved = [Snapshot(IN, b"k", 1, None, bare + pending_forecasts.pack(FORECAST)), Snapshot(IN, b"old", 2, None, bare)]
    judging, plain = _sessions(state), _sessions(state, with_forecasts=False)
    judging.restore(IN, saved)
    plain.restore(IN, saved)
    assert (_waits(judging), _waits(judging, b"old")) == (FORECAST, None)
    plain.enter(_record(3))
    plain.keep(_record(3))
    assert plain.end_batch()
    assert [snapshot.state for snapshot in plain.unsettled()] == [bare]


@STATES
def test_what_waits_goes_with_its_session(state):
    sessions = _sessions(state, ttl_ms=10)
    _score(sessions, _record(0, timestamp=0), FORECAST)
    assert _waits(sessions, timestamp=10) == FORECAST
    assert _waits(sessions, timestamp=11) is None
    assert _waits(sessions, timestamp=10) == FORECAST, "as nothing was kept at 11"
    capped = _sessions(state, cap=1)
    _score(capped, _record(0, b"a"), FORECAST)
    _score(capped, _record(1, b"b"), None)
    assert _waits(capped, b"a") is None
    capped.drop(IN)
    assert _waits(capped, b"b") is None


@STATES
def test_pending_forecasts_of_carried_sessions_outlive_a_roll_back(state):
    sessions = _sessions(state)
    _score(sessions, _record(0), FORECAST)
    assert sessions.end_batch()
    sessions.carry(IN)
    sessions.roll_back()
    assert _waits(sessions) == FORECAST


def test_an_interval_without_bound_stays_infinite():
    wide = FORECAST._replace(low=-math.inf, high=math.inf)
    assert pending_forecasts.unpack(pending_forecasts.pack(wide)) == wide
