"""The metadata of committed offsets, of this version and of earlier ones."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_scorer.kafka.commits import committed_at, metadata
from stream_scorer.records import CommittedPosition

IDS = st.text(string.ascii_letters + string.digits + "-_", max_size=22)


@given(IDS, st.integers(0, 10**6), st.integers(0, 2**62))
def test_what_is_written_is_read(topic_id, began_with, offset):
    text = metadata(topic_id, began_with)
    assert committed_at(offset, text) == CommittedPosition(offset, topic_id, began_with)
    assert text.partition("topic-id=")[2] == topic_id, "so read versions before"


@pytest.mark.parametrize(
    ("offset", "text", "found"),
    [
        (-1001, "", None),
        (-1001, None, None),
        (5, None, CommittedPosition(5, "", 0)),
        (5, "", CommittedPosition(5, "", 0)),
        (5, f"began-with={'9' * 5000} topic-id=x", CommittedPosition(5, "x", 0)),
        (5, "began-with=\u00b2 topic-id=x", CommittedPosition(5, "x", 0)),
        (5, "somebody else's", CommittedPosition(5, "", 0)),
        (5, "topic-id=abc", CommittedPosition(5, "abc", 0)),
        (5, "began-with=x topic-id=abc", CommittedPosition(5, "abc", 0)),
    ],
)
def test_of_others(offset, text, found):
    assert committed_at(offset, text) == found


@given(st.text(max_size=50))
def test_any_text(text):
    assert committed_at(0, text).offset == 0
