"""State values survive a round trip exactly."""

from __future__ import annotations

import contextlib
import math
import struct
from collections import deque

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_scorer.state.values import Unsupported, dump, load

_scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary()
_hashable = st.none() | st.booleans() | st.integers() | st.text() | st.binary()
_values = st.recursive(
    _scalars,
    lambda inner: (
        st.lists(inner)
        | st.lists(inner).map(tuple)
        | st.dictionaries(_hashable, inner)
        | st.sets(_hashable)
        | st.lists(inner).map(lambda items: deque(items, 5))
    ),
    max_leaves=20,
)


def _types(value):
    if isinstance(value, dict):
        return dict, [(_types(key), _types(item)) for key, item in value.items()]
    if isinstance(value, list | tuple | deque):
        return type(value), [_types(item) for item in value]
    return type(value)


@given(st.lists(_values))
def test_values_and_their_types_come_back(values):
    back = load(dump(values))
    assert list(back) == values
    assert [_types(value) for value in back] == [_types(value) for value in values]


@given(st.lists(st.floats(), min_size=1))
def test_lists_of_floats_keep_their_bits(floats):
    (back,) = load(dump([floats]))
    assert struct.pack(f"{len(floats)}d", *back) == struct.pack(f"{len(floats)}d", *floats)


@pytest.mark.parametrize("dtype", ["<f4", ">f8", "i2", "?", "c16", "M8[ns]", "S3", "U2"])
def test_numpy_arrays_and_scalars_keep_dtype_shape_and_bits(dtype):
    array = np.frombuffer(np.random.RandomState(1).bytes(96), dtype="u1")[: np.dtype(dtype).itemsize * 2]
    array = array.astype("u1") % 2 if dtype in ("?",) else array
    array = np.zeros((2, 1), dtype) if dtype in ("S3", "U2") else array.view(dtype).reshape(2, 1)
    back_array, back_scalar = load(dump([array, array[0, 0]]))
    assert back_array.dtype == array.dtype
    assert back_array.shape == array.shape
    assert back_array.tobytes() == array.tobytes()
    assert type(back_scalar) is type(array[0, 0])
    back_array[0, 0] = array[1, 0]  # the copy is the model's own: writable


def test_a_deque_keeps_its_length_limit():
    (back,) = load(dump([deque([1.0, 2.0], maxlen=2)]))
    back.append(3.0)
    assert list(back) == [2.0, 3.0]


def test_one_object_under_two_names_stays_one_object():
    shared, array = [1.0], np.zeros(2)
    window, nested, back, raw, same = load(dump([shared, {"deep": (shared, deque([array]))}, [shared], array, array]))
    window.append(2.0)
    assert nested["deep"][0] == [1.0, 2.0] == back[0]
    assert nested["deep"][1][0] is raw is same


@given(st.lists(st.integers(0, 3), max_size=8), st.lists(_values, min_size=4, max_size=4))
def test_any_sharing_comes_back(picks, objects):
    values = [objects[pick] for pick in picks]
    back = load(dump(values))
    assert list(back) == values
    mutable = (list, dict, set, deque)
    assert [[a is b for b in back] for a in back if isinstance(a, mutable)] == [
        [a is b for b in values] for a in values if isinstance(a, mutable)
    ]


def test_equal_sets_are_equal_bytes():
    assert dump([{"a", "b", "c", "d"}]) == dump([{"d", "c", "b", "a"}])


def test_minus_zero_and_nan_are_kept():
    zero, nan = load(dump([-0.0, math.nan]))
    assert math.copysign(1, zero) == -1
    assert math.isnan(nan)


@pytest.mark.parametrize("value", [object(), lambda: 0, np.array([object()]), 1j, [{"deep": object()}]])
def test_what_cannot_be_kept_exactly_is_refused(value):
    with pytest.raises(Unsupported, match="a value of type"):
        dump([value])


def test_a_list_that_holds_itself_is_refused():
    loop = []
    loop.append(loop)
    with pytest.raises(Unsupported, match="contains itself"):
        dump([loop])


@given(st.binary(max_size=40))
def test_foreign_bytes_raise_value_error_only(data):
    with contextlib.suppress(ValueError):
        load(data)
