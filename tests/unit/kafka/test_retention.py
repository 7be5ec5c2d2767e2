"""How long topics keep records, and what follows: spans as text, refusals of a replay, what passes a running service."""

from __future__ import annotations

import logging
import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from stream_scorer.errors import BrokerError, SettingsError
from stream_scorer.kafka.retention import (
    DeletedUnread,
    Keeping,
    RetentionWatch,
    check_replay,
    check_resubmitted,
    day,
    remarks,
)
from stream_scorer.parsing.retention import MAX_MS, retention_ms, span_text, topic_config
from stream_scorer.records import Outgoing, Partition, Record, Reject
from stream_scorer.service.settings import RunSettings

DAY = 86_400_000
NOW = 1_700_000_000_000
WEEK = Keeping("prices", 7 * DAY)
ALTER = "kafka-configs.sh --bootstrap-server here:9092 --alter --entity-type topics --entity-name prices --add-config "


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("forever", -1),
        ("Forever ", -1),
        ("7d", 7 * DAY),
        ("12h", DAY // 2),
        ("30m", 1_800_000),
        ("45 s", 45_000),
        ("500ms", 500),
        (f"{MAX_MS}ms", MAX_MS),
    ],
)
def test_spans_as_people_write_them(text, ms):
    assert retention_ms(text) == ms


@given(st.integers(-1, MAX_MS))
@example(MAX_MS)
def test_what_is_shown_is_read_again(ms):
    if ms:
        assert retention_ms(span_text(ms)) == ms
    else:
        assert span_text(ms) == "0ms"


@given(st.text(max_size=12))
@example("9" * 5000 + "d")
@example("٣d")
def test_anything_else_is_refused_as_a_setting(text):
    """Never another error, never a span of nothing, never more than Kafka can count."""
    try:
        ms = retention_ms(text)
    except SettingsError:
        return
    assert ms == -1 or 0 < ms <= MAX_MS


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("7", r"--retention 7: .* The unit is missing: 7ms, or 7d\?"),
        ("-1", "expected forever, or a whole number with a unit"),
        ("0d", "expected 1 to"),
        (f"{MAX_MS}s", "expected 1 to"),
        ("1.5h", "expected forever, or a whole number"),
    ],
)
def test_a_span_that_is_none_is_told(text, said):
    with pytest.raises(SettingsError, match=said):
        retention_ms(text)
    with pytest.raises(SettingsError, match=said):
        RunSettings(input_topic="prices", output_topic="scores", retention=text)


def test_a_topic_that_keeps_all_begins_no_file_for_each_week_of_record_time():
    assert topic_config(-1) == {"retention.ms": "-1", "segment.ms": str(MAX_MS)}
    assert topic_config(DAY) == {"retention.ms": str(DAY)}


@pytest.mark.parametrize(
    ("config", "kept"),
    [
        ({}, Keeping("prices")),
        ({"retention.ms": "5", "retention.bytes": "6"}, Keeping("prices", 5, 6)),
        ({"retention.ms": "5", "cleanup.policy": "compact"}, Keeping("prices", compacts=True)),
        ({"retention.ms": "5", "cleanup.policy": "compact, delete"}, Keeping("prices", 5, compacts=True)),
        ({"retention.ms": "5", "cleanup.policy": ""}, Keeping("prices")),
        ({"message.timestamp.type": "LogAppendTime"}, Keeping("prices", own_time=True)),
        ({"message.timestamp.difference.max.ms": "9"}, Keeping("prices", before_ms=9, after_ms=9)),
        (
            {"message.timestamp.before.max.ms": "8", "message.timestamp.after.max.ms": "9"},
            Keeping("prices", before_ms=8, after_ms=9),
        ),
    ],
)
def test_what_a_topic_keeps_is_read_from_its_configuration(config, kept):
    assert Keeping.of("prices", config) == kept


def _check(keeping, timestamps, key=b"k", count=None):
    check_replay(keeping, timestamps, key, len(timestamps or ()) if count is None else count, NOW, "here:9092")


@given(st.lists(st.integers(-(10**12), NOW), max_size=20), st.integers(-1, 2 * 10**12))
def test_a_replay_is_refused_when_a_record_is_older_than_the_topic_keeps(timestamps, kept):
    keeping = Keeping("prices", kept)
    older = [at for at in timestamps if kept >= 0 and NOW - at > kept]
    if not older:
        _check(keeping, timestamps)
        return
    with pytest.raises(BrokerError) as refused:
        _check(keeping, timestamps)
    said = str(refused.value)
    assert f"(retention.ms={kept})" in said
    assert f": {len(older)} of {len(timestamps)} records are older, the oldest of {day(min(older))}, " in said
    assert "Nothing was sent." in said
    assert ALTER + "retention.ms=-1; or send them with the time of sending: --timestamps now." in said
    _check(keeping, None, count=len(timestamps))
    _check(keeping._replace(own_time=True), timestamps)


def test_a_replay_is_refused_when_the_topic_takes_no_such_time():
    old, new = NOW - 3 * DAY, NOW + 2 * DAY
    with pytest.raises(
        BrokerError, match=r"takes no record older than 2d from now .* 1 of 2 records are, .* 2023-11-11"
    ):
        _check(Keeping("prices", before_ms=2 * DAY), [old, NOW])
    with pytest.raises(
        BrokerError, match=r"takes no record later than 1d from now .* 1 of 3 records are, .* 2023-11-16"
    ):
        _check(Keeping("prices", after_ms=DAY), [old, new, NOW])
    _check(Keeping("prices", before_ms=3 * DAY, after_ms=2 * DAY), [old, new, NOW])
    _check(Keeping("prices", before_ms=0, after_ms=0, own_time=True), [old, new])


def test_a_replay_is_refused_where_compaction_leaves_one_record():
    compacted = Keeping("prices", compacts=True)
    for timestamps, count in ((None, 5), ([NOW] * 5, 5)):
        with pytest.raises(
            BrokerError, match=r"the 5 records have one key, so one of them would be left\. Nothing was"
        ):
            _check(compacted, timestamps, count=count)
        with pytest.raises(BrokerError, match=r"takes no record without a key: none of the 5 would be taken\. Nothing"):
            _check(compacted, timestamps, key=None, count=count)
    _check(compacted, [NOW])


def test_what_goes_back_to_a_topic_that_does_not_keep_it_is_told():
    told = list(check_resubmitted(WEEK, [NOW, NOW - 8 * DAY, 5], NOW, "here:9092"))
    assert len(told) == 1
    assert (
        "and 2 of 3 re-submitted are older: only consumers that read now get them, as the broker will delete them. To keep them: "
        + ALTER
        in told[0]
    )
    assert list(check_resubmitted(WEEK, [NOW], NOW, "")) == list(check_resubmitted(Keeping("x"), [5], NOW, "")) == []


def test_what_is_not_refused_is_remarked():
    assert "keeps the last record of each key" in next(remarks(Keeping("prices", compacts=True)))
    assert list(remarks(WEEK, lambda: 10**9)) == []
    assert "their dates are lost" in next(remarks(Keeping("prices", own_time=True)))
    assert "keeps about 10 bytes" in next(remarks(Keeping("prices", retention_bytes=10), lambda: 11))
    assert list(remarks(Keeping("prices", retention_bytes=10), lambda: 10)) == []


def _record(timestamp):
    return Record(Partition("prices", 0), 0, None, b"", timestamp, None)


def _outs(*timestamps):
    return [Outgoing(1, _record(timestamp), b"") for timestamp in timestamps]


def test_a_topic_that_will_not_keep_what_passes_is_told_of_once(caplog):
    fresh = time.time_ns() // 1_000_000
    topics = [WEEK, Keeping("scores", 30 * DAY), Keeping("kept"), Keeping("bad", 7 * DAY)]
    watch = RetentionWatch(topics, "here:9092", rejects="bad")
    watch.sent([])
    watch.sent(_outs(fresh, None))
    assert watch.at_risk() == dict.fromkeys(["prices", "scores", "kept", "bad"])
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            watch.sent(_outs(fresh, fresh - 8 * DAY, None))
    (said,) = caplog.messages
    assert "topic 'prices' keeps records for 7d" in said
    assert said.endswith(ALTER + "retention.ms=-1")
    assert watch.at_risk() == {"prices": said, "scores": None, "kept": None, "bad": None}
    watch.sent(_outs(0))
    watch.rejected(Reject(_record(0), "", "", "", ""))
    assert {topic for topic, text in watch.at_risk().items() if text} == {"prices", "scores", "bad"}
    assert "of 1970-01-01" in watch.at_risk()["bad"]


def test_gone_records_are_told_with_what_to_do():
    gone = DeletedUnread([17_000], nothing_left=True)
    said = gone.text("prices", WEEK, "g", "here:9092")
    assert "input topic 'prices' had 17,000 records, of which none is left, and group 'g' has committed nothing" in said
    assert "by retention (it keeps them for 7d by their own time: retention.ms=604800000), or by hand." in said
    assert ALTER + "retention.ms=-1 . Then send them again" in said
    kept = DeletedUnread([1, 2], nothing_left=False).text("prices", Keeping("prices"), "g", "here:9092")
    assert "had 3 records in 2 partitions" in kept
    assert "they were deleted by hand, or by a retention that it had before. Then send" in kept
    assert "kafka-configs.sh" not in kept
    assert "deleted by retention or by hand. Then" in gone.text("prices", None, "g", "here:9092")


@pytest.mark.parametrize(("ms", "shows"), [(-DAY, "1969-12-31"), (0, "1970-01-01"), (2**62, f"{2**62} ms since 1970")])
def test_dates_of_timestamps(ms, shows):
    assert day(ms) == shows
