"""The name of a changelog: legal, of one group and topic only."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from stream_scorer.kafka.changelog import changelog_name

NAMES = st.text("ab.-_", min_size=1, max_size=12) | st.text(min_size=1, max_size=300)


@given(st.tuples(NAMES, NAMES), st.tuples(NAMES, NAMES))
def test_no_two_pairs_share_a_name(one, other):
    assert (changelog_name(*one) == changelog_name(*other)) == (one == other)


@given(NAMES, NAMES)
def test_the_name_is_one_that_kafka_takes(group, topic):
    assert re.fullmatch(r"[a-zA-Z0-9._-]{1,249}", changelog_name(group, topic))


def test_the_name_tells_whose_it_is():
    assert changelog_name("mean", "prices") == "mean.prices.2f177718.changelog"
