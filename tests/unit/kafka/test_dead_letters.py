"""What the headers of a dead letter say, whoever wrote them."""

from __future__ import annotations

import argparse

import pytest

from stream_scorer.commands import dead_letters
from stream_scorer.commands.kafka_flags import DeadLetterSettings
from stream_scorer.errors import SettingsError
from stream_scorer.kafka.dead_letters import DeadLetter, facts_of, obstacles, select
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


US = "__streams.errors."
ODD = ["", "-1", "abc", "\u00b2", "\u0665", "1e3", "9" * 20, "9" * 5000, "\x1b[2J", "NaN", " 1"]


@pytest.mark.parametrize("text", ODD)
def test_odd_numbers_in_headers_are_an_obstacle_and_no_traceback(text, capsys):
    """Whoever may write to the topic of dead letters writes its headers."""
    for name in ("__streams.errors.partition", "__scorer.timestamp"):
        place = [(f"{US}topic", b"in"), (f"{US}partition", b"0"), (name, text.encode())]
        letter = _letter(place)
        ((_, why),) = obstacles([letter], None, {"in"}, lambda _: 1, {})
        assert why
        dead_letters._show(letter)
        dead_letters._list([letter], lambda _: False)
        assert "\x1b" not in capsys.readouterr().out


def test_a_record_cannot_say_in_our_name_how_it_was_changed():
    """A producer of the input may send headers of our names. The service writes its own behind them."""
    forged = [("__scorer.key.null", b"true"), ("__scorer.value.length", b"9"), ("__scorer.timestamp", b"x")]
    forged.append((f"{US}topic", b"elsewhere"))
    ours = [(f"{US}exception", b"E"), (f"{US}topic", b"in"), (f"{US}partition", b"1"), ("__scorer.stage", b"decode")]
    record = Record(Partition("in.dead-letters", 0), 5, b"k", b"v", 7, [*forged, *ours])
    letter = DeadLetter(record, facts_of(record.headers))
    assert letter.facts == {"exception": "E", "topic": "in", "partition": "1", "stage": "decode"}
    assert (letter.incomplete, letter.original_key(), letter.original_timestamp()) == (None, b"k", 7)
    changed = facts_of([*forged, *ours, ("__scorer.key.null", b"true"), ("__scorer.timestamp", b"5")])
    assert (changed["key.null"], changed["timestamp"]) == ("true", "5")


def _asked(topic):
    raise AssertionError(f"the broker was asked about {topic!r}")


@pytest.mark.parametrize("topic", ["other", "in.dead-letters", "__consumer_offsets", "in\0", "", "x" * 5000])
def test_a_letter_is_not_sent_to_a_topic_that_only_it_names(topic):
    letter = _letter([(f"{US}topic", topic.encode()), (f"{US}partition", b"0")])
    ((_, why),) = obstacles([letter], None, {"in"}, _asked, {})
    assert ("--allow TOPIC" in why) == bool(topic)
    assert list(obstacles([letter], "to", set(), _asked, {})) == [(letter, None)]


@pytest.mark.parametrize(
    ("settings", "allow", "topics"),
    [
        (DeadLetterSettings(input_topic="in"), [], {"in"}),
        (DeadLetterSettings(dead_letter_topic="in.dead-letters"), [], {"in"}),
        (DeadLetterSettings(input_topic="in", dead_letter_topic="dead"), ["b", "c"], {"in", "b", "c"}),
        (DeadLetterSettings(dead_letter_topic="dead"), ["b"], {"b"}),
    ],
)
def test_the_topics_that_may_be_written(settings, allow, topics):
    assert dead_letters._allowed(settings, argparse.Namespace(allow=allow, to=None)) == topics


def test_without_any_topic_nothing_is_sent():
    with pytest.raises(SettingsError, match="needs --input-topic"):
        dead_letters._allowed(DeadLetterSettings(dead_letter_topic="dead"), argparse.Namespace(allow=[], to=None))
