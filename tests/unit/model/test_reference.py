"""The sample of what a model saw in training."""

from __future__ import annotations

import json

import pytest

from stream_scorer.errors import SettingsError
from stream_scorer.model.reference import MAX_SIZE, read_reference, thinned


def test_a_list_of_numbers(write):
    assert read_reference(write("r.json", "[1, 2.5, -3e2]")) == [1.0, 2.5, -300.0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[1", r"r\.json: cannot be read as JSON"),
        ("{}", r"expected a list of at least 2 numbers"),
        ("[1]", r"expected a list of at least 2 numbers"),
        ("[1, null]", r"expected a finite number at entry 1, found None"),
        ("[true, 1]", r"at entry 0, found True"),
        ("[1, NaN]", r"at entry 1, found nan"),
    ],
)
def test_anything_else_is_told(text, message, write):
    with pytest.raises(SettingsError, match=rf"^reference sample .*{message}.*\[0\.1, 0\.2\]"):
        read_reference(write("r.json", text))


def test_a_file_that_is_not_there_is_told(tmp_path):
    with pytest.raises(SettingsError, match="cannot be read"):
        read_reference(tmp_path / "gone.json")


def test_few_are_kept_and_many_become_quantiles():
    assert thinned([3.0, 1.0, 2.0]) == [1.0, 2.0, 3.0]
    many = thinned([float(at) for at in reversed(range(100 * MAX_SIZE))])
    assert (len(many), many[0], many[-1]) == (MAX_SIZE, 50.0, 100.0 * MAX_SIZE - 50)
    assert json.loads(json.dumps(many)) == many
