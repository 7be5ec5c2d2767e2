"""The head of a saved session: its offset and its timestamp."""

from __future__ import annotations

import pytest

from stream_scorer.state.partition_sessions import HEAD, NO_TIME, expired


@pytest.mark.parametrize(
    ("last", "timestamp", "is_expired"),
    [
        (5_000, 6_000, False),
        (5_000, 6_001, True),
        (-6_000, -5_500, False),
        (5_000, None, False),
        (NO_TIME, 10**12, False),
    ],
)
def test_a_session_expires_when_its_last_record_is_older_than_its_time_to_live(last, timestamp, is_expired):
    assert expired(HEAD.pack(7, last), timestamp, 1_000) is is_expired
