from __future__ import annotations

import pytest


@pytest.fixture
def dated_topics(kafka, name):
    """As `topics`, for records with dates of long ago: what keeps those on a broker is the topic's own setting."""
    return {
        "input_topic": kafka.create(name("in"), 2, retention_ms="-1"),
        "output_topic": kafka.create(name("out"), 2, retention_ms="-1"),
        "group": name("group"),
    }


@pytest.fixture
def topics(kafka, name):
    """(input, output, group) as options of `run`, the topics made with two partitions."""
    return {
        "input_topic": kafka.create(name("in"), 2),
        "output_topic": kafka.create(name("out"), 2),
        "group": name("group"),
    }
