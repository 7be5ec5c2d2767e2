"""The states of an engine: what is asked, what happens, and where that leads."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_scorer.modelop.dataflow.lifecycle import ERROR, FINISHED, INIT, MOVES, Lifecycle


@pytest.fixture
def states():
    return []


@pytest.fixture
def life(states):
    return Lifecycle(states.append)


def test_from_init_to_finished(life, states):
    life.begin()
    life.inputs_at_eof(True)
    life.finished()
    assert states == ["running", "finishing", "finished"]


def test_a_pause_asked_for_in_init_holds_at_the_start(life, states):
    assert life.pause()
    assert life.state == INIT
    life.begin()
    assert states == ["paused"]
    assert not life.flowing
    life.unpause()
    assert states == ["paused", "running"]


def test_a_pause_waits_for_the_pig(life, states):
    life.begin()
    life.pig_entered()
    life.pause()
    assert life.state == "pigging"
    life.pig_left()
    assert states == ["running", "pigging", "running", "paused"]


def test_a_pig_that_came_in_while_paused_is_under_way_afterwards(life, states):
    life.begin()
    life.pause()
    life.pig_entered()
    assert life.state == "paused"
    life.unpause()
    assert states[-2:] == ["running", "pigging"]


def test_inputs_that_end_behind_a_pig_or_a_pause_finish_after_it(life, states):
    life.begin()
    life.pig_entered()
    life.inputs_at_eof(True)
    assert life.state == "pigging"
    life.pig_left()
    assert states[-2:] == ["running", "finishing"]


def test_an_input_attached_anew_goes_on(life):
    life.begin()
    life.pause()
    life.inputs_at_eof(True)
    life.inputs_at_eof(False)
    life.unpause()
    assert life.state == "running"


@pytest.mark.parametrize("end", ["finishing", "finished", "error"])
def test_it_can_be_too_late_to_pause(life, end):
    life.begin()
    if end == "error":
        life.fail(lambda: None)
    else:
        life.inputs_at_eof(True)
        if end == "finished":
            life.finished()
    assert life.state == end
    assert not life.pause()
    assert not life.unpause()


def test_a_failure_is_told_once_and_before_the_state(life, states):
    life.begin()
    assert life.fail(lambda: states.append("told"))
    assert not life.fail(lambda: states.append("told again"))
    assert states == ["running", "told", "error"]
    life.finished()
    assert life.state == ERROR


def test_a_reset_forgets_what_was_asked(life, states):
    life.begin()
    life.pause()
    life.pig_entered()
    life.reset()
    life.begin()
    assert states == ["running", "paused", "init", "running"]


CALLS = ["begin", "pause", "unpause", "pig", "pig out", "ended", "not ended", "finished", "fail", "reset"]


@given(st.lists(st.sampled_from(CALLS), max_size=40))
def test_only_documented_moves_whatever_happens(calls):
    states = [INIT]
    life = Lifecycle(states.append)
    pigs = 0
    for call in calls:
        match call:
            case "begin" if life.state == INIT:
                life.begin()
                pigs = 0
            case "pig" if life.active:
                life.pig_entered()
                pigs += 1
            case "pig out" if pigs:
                life.pig_left()
                pigs -= 1
            case "ended" | "not ended" if life.active:
                life.inputs_at_eof(call == "ended")
            case "fail":
                life.fail(lambda: None)
            case "reset":
                life.reset()
                pigs = 0
            case "pause" | "unpause" | "finished":
                getattr(life, call)()
    assert all(there in MOVES[here] for here, there in itertools.pairwise(states))
    assert states[-1] == life.state
    assert life.active == (life.state not in (INIT, FINISHED, ERROR))
