"""State values survive a round trip exactly."""

from __future__ import annotations

import contextlib
import math
import struct
from collections import Counter, defaultdict, deque
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_scorer.state import flat
from stream_scorer.state.values import MAX_DEPTH, Unsupported, dump, load

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


@pytest.mark.parametrize("kind", [set, frozenset])
def test_equal_sets_are_equal_bytes(kind):
    """0 and 8 have one place in a small set: the first one put there comes first when it is read."""
    rising, falling = kind([0, 8]), kind([8, 0])
    assert list(rising) != list(falling)
    assert dump([rising]) == dump([falling])


def test_minus_zero_and_nan_are_kept():
    zero, nan = load(dump([-0.0, math.nan]))
    assert math.copysign(1, zero) == -1
    assert math.isnan(nan)


KINDS = [
    datetime(1950, 1, 1, 2, 3, 4, 5),
    datetime(2020, 1, 1, tzinfo=UTC),
    datetime(2020, 1, 1, tzinfo=timezone(timedelta(hours=-5, minutes=-30))),
    datetime.max,
    date(1, 1, 1),
    timedelta(-3, 5, 7),
    Decimal("-0.00"),
    Decimal("1E+400"),
    Decimal("NaN"),
    frozenset([(2.0, None)]),
    Counter("abca"),
    defaultdict(list, {"a": [1]}),
    defaultdict(None, {1: 2}),
]


@pytest.mark.parametrize("value", KINDS, ids=repr)
def test_values_of_the_library_come_back_as_they_were(value):
    back, nested, again = load(dump([value, [value], value]))
    assert repr((back, nested, again)) == repr((value, [value], value))
    assert type(back) is type(value)
    assert (back is again) == isinstance(value, dict)


def test_a_frozenset_of_many_kinds_comes_back():
    assert load(dump([frozenset([1, "a", (2.0, None)])])) == (frozenset([1, "a", (2.0, None)]),)


@pytest.mark.parametrize(
    "value",
    [defaultdict(lambda: 0), datetime(2020, 1, 1, fold=1), datetime(2020, 1, 1, tzinfo=ZoneInfo("Europe/Berlin"))],
    ids=["defaultdict", "fold", "zone"],  # the text of a lambda has its address, which each process of a run has anew
)
def test_what_says_less_than_the_value_is_not_written(value):
    with pytest.raises(Unsupported):
        dump([value])


def test_an_array_keeps_its_order():
    """A sum over another order may differ in the last bit."""
    columns = np.asfortranarray(np.random.RandomState(0).rand(37, 53))
    back, again = load(dump([columns, columns]))
    assert back is again
    assert back.flags.f_contiguous
    assert back.tobytes("A") == columns.tobytes("A")
    back[0, 1] = 2.0
    assert flat.copy((back,))[0].flags.f_contiguous
    assert flat.is_flat([(back,)])


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


def _array(dtype, shape, raw, tag="b"):
    """As bytes of a state say it, whoever wrote them."""
    data = b"a" + struct.pack("<I", len(dtype)) + dtype
    data += b"t" + struct.pack("<I", len(shape)) + b"".join(b"i" + struct.pack("<q", side) for side in shape)
    return data + tag.encode() + struct.pack("<I", len(raw)) + raw


def _counted(tag, count, rest=b""):
    return tag + struct.pack("<I", count) + rest


FOREIGN = {
    "an array of objects": _array(b"|O", (1,), b"\1" * 8),
    "an array of objects, by another name": _array(b"O8", (1,), b"\1" * 8),
    "an array of fields": _array(b"<i4,|O", (1,), b"\1" * 12),
    "an array of nested arrays": _array(b"(2,)|O", (), b"\1" * 16),
    "an array of NumPy's strings": _array(b"|T16", (1,), b"\1" * 16),
    "an array of a type that NumPy would warn of": _array(b"a4", (1,), b"abcd"),
    "an array of items of no size": _array(b"|V0", (2**40,), b""),
    "a type with text behind it": _array(b"<f8\n", (1,), bytes(8)),
    "a shape past the bytes": _array(b"<f8", (2**61,), bytes(8)),
    "a shape that overflows": _array(b"<f8", (2**32, 2**32), b""),
    "a shape short of the bytes": _array(b"<f8", (1,), bytes(16)),
    "a negative shape": _array(b"<f8", (-1, -1), bytes(8)),
    "a shape of 70 sides": _array(b"<f8", (1,) * 70, bytes(8)),
    "an array of text that is none": _array(b"<U1", (1,), b"\xff" * 4),
    "an array of a string": _array(b"<f8", (1,), bytes(8), tag="s"),
    "a scalar of an object": b"g" + _counted(b"", 2, b"|O") + _counted(b"b", 8, b"\1" * 8),
    "a scalar of too few bytes": b"g" + _counted(b"", 3, b"<f8") + _counted(b"b", 4, b"\1" * 4),
    "a list of 2^32 items": _counted(b"l", 2**32 - 1, b"N" * 20),
    "doubles past the end": _counted(b"D", 2**32 - 1, bytes(80)),
    "a dict of 2^32 pairs": _counted(b"m", 2**32 - 1, b"NN" * 20),
    "a set of 2^32 items": _counted(b"S", 2**32 - 1, b"NN" * 20),
    "bytes past the end": _counted(b"b", 2**31, b"abc"),
    "a deque with no room": b"q" + struct.pack("<q", 1) + _counted(b"l", 2, b"NN"),
    "a deque of no length": b"q" + struct.pack("<q", -2) + _counted(b"l", 0),
    "a deque of a tuple": b"q" + struct.pack("<q", -1) + _counted(b"t", 0),
    "a list as a key": _counted(b"m", 1, _counted(b"l", 0) + b"N"),
    "a list in a set": _counted(b"S", 1, _counted(b"l", 0)),
    "a key twice": _counted(b"m", 2, b"NTNT"),
    "a set of one item twice": _counted(b"S", 2, b"NN"),
    "an object that was not before": b"@\0\0\0\0",
    "an object within itself": _counted(b"l", 1, b"@\0\0\0\0"),
    "text that is no UTF-8": _counted(b"s", 1, b"\xff"),
    "a number of 5,000 digits": _counted(b"I", 5000, b"9" * 5000),
    "lists, 65 deep": _counted(b"l", 1) * 65 + b"N",
    "lists, 100,000 deep": _counted(b"l", 1) * 100_000 + b"N",
    "tuples in a set, 100,000 deep": _counted(b"S", 1) + _counted(b"t", 1) * 100_000 + b"N",
    "values of dicts, 65 deep": _counted(b"m", 1, b"N") * 65 + b"N",
    "keys, 100,000 deep": _counted(b"m", 1) * 100_000 + b"N",
    "deques, 100,000 deep": (b"q" + struct.pack("<q", -1) + _counted(b"l", 1)) * 100_000 + b"N",
    "a kind of nothing": b"x" + _counted(b"", 4, b"eval") + b"N",
    "a time that is none": b"x" + _counted(b"", 8, b"datetime") + _counted(b"s", 1, b"1"),
    "a Decimal that is none": b"x" + _counted(b"", 7, b"Decimal") + _counted(b"s", 1, b"a"),
    "a Decimal beyond all": b"x" + _counted(b"", 7, b"Decimal") + _counted(b"s", 22, b"1E99999999999999999999"),
    "a day beyond all": b"x" + _counted(b"", 4, b"date") + b"i" + struct.pack("<q", 2**40),
    "a frozenset of one twice": b"x" + _counted(b"", 9, b"frozenset") + _counted(b"t", 2, b"NN"),
    "a factory of nothing": b"h" + _counted(b"", 4, b"eval") + _counted(b"m", 0),
    "a count of what cannot be counted": _counted(b"c", 1, _counted(b"l", 0) + b"N"),
    "kinds, 100,000 deep": (b"x" + _counted(b"", 9, b"frozenset")) * 100_000 + b"N",
    "a tag of nothing": b"?",
    "half a value": b"d\0\0",
}


@pytest.mark.parametrize("what", FOREIGN)
def test_foreign_bytes_are_told_before_they_do_harm(what):
    with pytest.raises(ValueError, match=rf"^not a state: {len(FOREIGN[what])} bytes, broken after byte 0"):
        load(FOREIGN[what])


def test_what_is_nested_to_the_limit_comes_back():
    deep = 1.5
    for _ in range(MAX_DEPTH):
        deep = (deep,)
    assert load(dump([deep, {deep[0]}])) == (deep, {deep[0]})
    table = 1.5
    for _ in range(MAX_DEPTH):
        table = {"deeper": table}
    assert load(dump([table])) == (table,)
    with pytest.raises(Unsupported, match="nested more than 64 deep"):
        dump([(deep,)])
    with pytest.raises(Unsupported, match="nested more than 64 deep"):
        dump([{deep}])


@pytest.mark.parametrize("array", [np.zeros(2, "i4,f8"), np.zeros(2, "V0"), np.array(["a"], np.dtypes.StringDType())])
def test_an_array_whose_bytes_do_not_say_all_is_refused(array):
    """Fields would come back without their names; NumPy's own strings are pointers."""
    with pytest.raises(Unsupported, match="a value of type"):
        dump([array])


@pytest.mark.parametrize("bits", [62, 63, 64, 71, 72, 14_285, 70_000])
def test_integers_of_any_size_are_kept(bits):
    """Also those of more digits than Python makes text of."""
    numbers = [sign * 2**bits + more for sign in (1, -1) for more in (-1, 0, 1)]
    assert list(load(dump(numbers))) == numbers


def test_large_integers_of_states_written_before_are_read():
    assert load(_counted(b"I", 20, b"18446744073709551616")) == (2**64,)


def test_many_names_of_one_object_stay_one_object():
    """Thirty lists, each of twice the one before: a thousand million items, were they copies."""
    data = _counted(b"l", 0) + b"".join(_counted(b"l", 2, (b"@" + struct.pack("<I", n)) * 2) for n in range(30))
    back = load(data)
    assert back[30][0] is back[30][1] is back[29]
    assert dump(back) == data


def test_ints_that_python_writes_as_no_text_are_kept():
    huge = 10**5000
    state = [huge, {huge: -huge}, {huge}, frozenset([huge, 1, (huge, frozenset([-huge]))]), Decimal(huge)]
    assert load(dump(state)) == tuple(state)
    assert dump([frozenset([huge, 1])]) == dump([frozenset([1, huge])])


class _Meta(type):
    def __hash__(cls):
        raise OSError


_RAISING = {
    "type": _Meta("Own", (), {}),
    "class": type("Own", (), {"__class__": property(lambda _: 1 / 0)}),
    "repr": type("Own", (), {"__repr__": lambda _: 1 / 0}),
}


@pytest.mark.parametrize("what", _RAISING)
@pytest.mark.parametrize("around", [lambda own: own, lambda own: [own], lambda own: frozenset([own, 1])])
def test_objects_whose_own_code_raises_are_not_kept(what, around):
    state = [around(_RAISING[what]())]
    with pytest.raises(Unsupported):
        dump(state)
    assert not flat.is_flat([tuple(state)])


@pytest.mark.parametrize("wrap", [lambda inner: [inner], lambda inner: (inner,), lambda inner: frozenset([inner])])
def test_what_is_nested_500_deep_is_not_kept(wrap):
    value = frozenset()
    for _ in range(500):
        value = wrap(value)
    with pytest.raises(Unsupported, match=r"nested more than 64 deep|RecursionError"):
        dump([value])
