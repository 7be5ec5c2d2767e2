"""What becomes of partitions that are added to the input: while the service runs, and at its next start."""

from __future__ import annotations

import logging

import pytest

from stream_scorer.errors import SettingsError
from stream_scorer.service import topics as kafka_topics
from stream_scorer.service.settings import RunSettings
from stream_scorer.service.topics import ServiceTopics


class FakeCluster:
    def __init__(self, **counts):
        self.counts = counts
        self.looks = 0
        self.checked = []

    def partitions(self, topic, setting, maker=None):
        return self.counts[topic]

    def exists(self, topic):
        return topic in self.counts

    def create(self, topic, partitions, replication=-1, config=None):
        self.counts.setdefault(topic, partitions)

    def add_partitions(self, topic, count):
        self.counts[topic] = count

    def check_compacted(self, topic):
        self.checked.append(topic)

    def refresh(self):
        self.looks += 1


def _topics(cluster, stateful, **settings):
    given = {"input_topic": "in", "output_topic": "out", "changelog_topic": "log", "on_bad_record": "skip", **settings}
    topics = ServiceTopics(RunSettings(**given), "group", cluster, {})
    topics.check()
    topics.changelog(stateful=stateful)
    return topics


MOVED = "changelog 'log' has 2 partitions and 'in' has 3: keys have moved"
FEW = "topic 'out' has 2 partitions and 'in' has 3: scores keep their input's partition number"
ROWS = {
    "no state": (False, {"create_topics": True}, {"out": 3}),
    "no state, output too small": (False, {}, FEW),
    "no state, output by key": (False, {"output_partition": "key"}, {"out": 2}),
    "state by key": (True, {"create_topics": True}, MOVED),
    "state by key, not kept": (True, {"create_topics": True, "changelog": False}, {"out": 3}),
    "state by partition": (True, {"create_topics": True, "session": "partition"}, {"out": 3, "log": 3}),
    "evaluations": (False, {"evaluate": True, "create_topics": True}, {"out": 3, "out-evaluation": 3}),
}


@pytest.mark.parametrize(("stateful", "settings", "then"), ROWS.values(), ids=ROWS)
def test_partitions_are_added(stateful, settings, then):
    cluster = FakeCluster(**{"in": 2, "out": 2})
    topics = _topics(cluster, stateful, **settings)
    told = []
    topics.on_more = told.append
    topics.seen("in", 2)
    topics.seen("other", 3)
    assert (cluster.looks, told) == (0, [])
    cluster.counts["in"] = 3
    if isinstance(then, str):
        for start in (lambda: topics.seen("in", 3), lambda: _topics(cluster, stateful, **settings)):
            with pytest.raises(SettingsError, match=then):
                start()
        return
    topics.seen("in", 3)
    topics.seen("in", 3)
    assert {topic: cluster.counts[topic] for topic in then} == then
    assert [set(topics) >= then.keys() for topics in told] == [True]
    _topics(cluster, stateful, **settings)


@pytest.mark.parametrize(("there", "checked"), [({"log": 2}, ["log"]), ({}, [])])
def test_a_changelog_that_is_there_is_checked_and_one_that_is_not_is_made(there, checked):
    cluster = FakeCluster(**{"in": 2, "out": 2, **there})
    topics = ServiceTopics(
        RunSettings(input_topic="in", output_topic="out", changelog_topic="log", on_bad_record="skip"),
        "group",
        cluster,
        {},
    )
    topics.check()
    assert topics.changelog(stateful=True) == "log"
    assert (cluster.checked, cluster.counts["log"]) == (checked, 2)
    assert topics.changelog(stateful=False) is None


def test_one_session_for_all_has_one_partition_only():
    cluster = FakeCluster(**{"in": 1, "out": 1})
    topics = _topics(cluster, True, session="all")
    cluster.counts["in"] = 2
    for start in (lambda: topics.seen("in", 2), lambda: _topics(cluster, True, session="all")):
        with pytest.raises(
            SettingsError, match="--session all is one state for all records, and 'in' has 2 partitions"
        ):
            start()


def test_sessions_that_nobody_keeps_begin_anew_and_that_is_told(caplog):
    caplog.set_level(logging.WARNING, kafka_topics.__name__)
    cluster = FakeCluster(**{"in": 1, "out": 2})
    _topics(cluster, True, changelog=False).seen("in", 2)
    assert "sessions of keys that moved begin anew" in caplog.text
