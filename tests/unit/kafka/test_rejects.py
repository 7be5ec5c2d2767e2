"""A dead letter fits, says what it lacks, and is plainer each time it is refused."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_scorer.kafka.rejects import dead_letter
from stream_scorer.records import UNREADABLE_HEADERS, Partition, Record, Reject

ROOM = 1_048_588
OURS = [
    ("__streams.errors.message", b"m" * 8_000),
    ("__streams.errors.stacktrace", b"s" * 8_000),
    ("__scorer.stage", b"x"),
]


def _letter(*, key=b"k", value=b"v", timestamp=7, headers=None, refusals=0, room=ROOM):
    record = Record(Partition("prices", 2), 1041, key, value, timestamp, headers)
    return dead_letter(Reject(record, "decode", "E", "", "", refusals), list(OURS), room)


def _size(letter):
    headers = sum(len(name.encode()) + len(value or b"") + 10 for name, value in letter.headers)
    return len(letter.key or b"") + len(letter.value or b"") + headers + 100


def test_what_fits_is_as_it_was():
    assert _letter(headers=[("a", None)]) == (b"v", b"k", 7, [("a", None), *OURS])


def test_long_texts_are_cut_before_the_value_is():
    letter = _letter(value=b"v" * 1_040_000)
    assert len(letter.value) == 1_040_000
    assert len(dict(letter.headers)["__streams.errors.stacktrace"]) == 1_000


def test_a_value_that_does_not_fit_is_told_by_length_and_hash():
    value = bytes(range(256)) * 4_200
    letter = _letter(value=value)
    assert value.startswith(letter.value)
    assert 1_040_000 < len(letter.value) < len(value)
    told = dict(letter.headers)
    assert told["__scorer.value.length"] == b"%d" % len(value)
    assert told["__scorer.value.sha256"] == hashlib.sha256(value).hexdigest().encode()
    assert "__scorer.key.length" not in told


def test_the_second_form_has_the_time_of_now_and_a_key():
    letter = _letter(key=None, timestamp=9_999, refusals=1)
    assert (letter.value, letter.key, letter.timestamp) == (b"v", b"prices/2/1041", 0)
    assert letter.headers[-2:] == [("__scorer.timestamp", b"9999"), ("__scorer.key.null", b"true")]
    assert _letter(timestamp=0, refusals=1).headers[-1] == ("__scorer.timestamp", b"0")
    assert _letter(timestamp=None, refusals=1).headers[-1] == OURS[-1]


def test_the_third_form_is_small():
    letter = _letter(key=b"k" * 10_000, value=b"v" * 10_000, headers=[("a", b"x" * 10_000), ("b", b"1")], refusals=2)
    told = dict(letter.headers)
    assert _size(letter) <= 8_000
    assert (told["__scorer.headers.dropped"], told["b"]) == (b"1", b"1")
    assert told["__scorer.key.length"] == told["__scorer.value.length"] == b"10000"
    assert len(letter.value) > 1_000


def test_headers_that_cannot_be_read_are_told():
    assert _letter(headers=UNREADABLE_HEADERS).headers[-1][0] == "__scorer.headers.unreadable"


def test_no_value_is_none():
    assert _letter(value=None, key=b"k" * 2_000_000).value is None


@pytest.mark.parametrize("refusals", [0, 1, 2])
@given(
    sizes=st.tuples(*[st.none() | st.integers(0, 3_000_000)] * 2),
    headers=st.none() | st.lists(st.tuples(st.text(max_size=50), st.none() | st.integers(0, 600_000)), max_size=30),
    room=st.sampled_from([20_000, 1_000_000, ROOM]),
)
def test_it_always_fits(refusals, sizes, headers, room):
    key, value = (None if size is None else bytes(size) for size in sizes)
    given_headers = headers and [(name, None if size is None else bytes(size)) for name, size in headers]
    letter = _letter(key=key, value=value, headers=given_headers, refusals=refusals, room=room)
    assert _size(letter) <= (8_000 if refusals == 2 else room)
    told = dict(letter.headers)
    for what, whole, kept in (("key", key, letter.key), ("value", value, letter.value)):
        cut = f"__scorer.{what}.length" in told
        assert cut == (whole is not None and len(kept) < len(whole))
