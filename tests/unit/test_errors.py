"""The tree of errors, as its docstring draws it."""

from __future__ import annotations

import inspect
import re

import pytest

from stream_scorer import errors
from stream_scorer.errors import EndOfInput, GiveUp, Interrupted, StreamScorerError

CLASSES = [one for _, one in inspect.getmembers(errors, inspect.isclass) if one.__module__ == errors.__name__]


@pytest.mark.parametrize("signal", [EndOfInput, Interrupted, GiveUp])
def test_signals_are_no_errors(signal):
    assert not issubclass(signal, StreamScorerError)


@pytest.mark.parametrize("error", CLASSES, ids=lambda one: one.__name__)
def test_the_drawing_has_every_class_below_its_base(error):
    drawn = errors.__doc__.splitlines()
    if not issubclass(error, StreamScorerError):
        return
    depths = {
        match[2]: (at, len(match[1])) for at, line in enumerate(drawn) if (match := re.match(r"(\W*)(\w+)", line))
    }
    at, depth = depths[error.__name__]
    above = [name for name, (line, less) in depths.items() if line < at and less < depth]
    if error is not StreamScorerError:
        assert above[-1] == error.__base__.__name__


@pytest.mark.parametrize("error", CLASSES, ids=lambda one: one.__name__)
def test_exit_codes_are_as_drawn(error):
    line = next(line for line in errors.__doc__.splitlines() if error.__name__ in line)
    told = re.search(r"exit (\d+)", line)
    if told:
        assert error.exit_code == int(told[1])
