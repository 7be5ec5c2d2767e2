"""Which states may stay live for a batch."""

from __future__ import annotations

from collections import deque

import numpy as np
import pytest

from stream_scorer.state import flat, values


@pytest.mark.parametrize(
    "value",
    [1, 1.5, None, "text", b"", True, [], [1.0, None], {"a": 1}, {2}, deque([1], 3), np.zeros(3), np.float32(1)],
)
def test_numbers_text_and_containers_of_them_are_flat(value):
    assert flat.is_flat([(value, 1), ("other",)])
    assert flat.is_flat([values.load(values.dump([value]))])


@pytest.mark.parametrize(
    "value", [(), (1,), [[]], [(1,)], {"a": []}, {(1,): 2}, deque([{}]), np.zeros(3)[1:], np.array([{}]), object()]
)
def test_anything_else_is_not(value):
    assert not flat.is_flat([(value,)])


def test_one_object_in_two_places_is_not():
    window = [1.0]
    assert not flat.is_flat([(window, window)])
    assert not flat.is_flat([(window,), (window,)])
    assert flat.is_flat([(window,), ([1.0],)])


@pytest.mark.parametrize("value", [[1.0], {"a": 1}, {2}, deque([1], 3), np.arange(3)])
def test_a_copy_is_equal_of_the_same_kind_and_another(value):
    (copied,) = flat.copy((value,))
    assert type(copied) is type(value)
    assert values.dump([copied]) == values.dump([value])
    assert copied is not value


def test_a_copy_of_a_deque_keeps_its_limit():
    assert flat.copy((deque([1], 3),))[0].maxlen == 3
