"""What the headers of a dead letter say, whoever wrote them."""

from __future__ import annotations

import pytest

from stream_scorer.errors import SettingsError
from stream_scorer.kafka.dead_letters import DeadLetter, facts_of, select
from stream_scorer.records import Partition, Record


def _letter(headers, offset=5):
    return DeadLetter(Record(Partition("in.dead-letters", 2), offset, None, None, None, headers), facts_of(headers))


@pytest.mark.parametrize(
    ("headers", "source"),
    [
        (None, "?[?]@?"),
        ([], "?[?]@?"),
        (
            [
                ("__streams.errors.topic", b"in"),
                ("__streams.errors.partition", b"1"),
                ("__streams.errors.offset", b"7"),
            ],
            "in[1]@7",
        ),
        ([("__streams.errors.topic", None), ("__streams.errors.offset", b"\xff")], "[?]@\ufffd"),
        ([("__streams.errors.partition", b"none"), ("__streams.errors.offset", b"9" * 5000)], f"?[none]@{'9' * 5000}"),
        ([("__streams.errors.topic", "text"), ("__streams.errors.topic", b"again")], "again[?]@?"),
        ([("__streams.errors.", b"x"), ("__scorer.", b"y"), ("", b"z")], "?[?]@?"),
    ],
)
def test_odd_headers_are_told_as_they_are(headers, source):
    letter = _letter(headers)
    assert letter.source == source
    assert letter.place == "2@5"
    assert all(not name.startswith("__") for name, _ in letter.original_headers())


@pytest.mark.parametrize("place", ["", "@", "2", "2@", "2@\ufffd", "2@" + "9" * 5000, "5@2", "2@5 "])
def test_a_place_where_nothing_is(place):
    with pytest.raises(SettingsError, match="no dead letter at "):
        select([_letter(None)], [place])
    assert select([_letter(None), _letter(None, 6)], ["2@6", "2@5"]) == [_letter(None, 6), _letter(None)]
