from __future__ import annotations

import pytest


@pytest.fixture
def topics(kafka, name):
    """(input, output, group) as options of `run`, the topics made with two partitions."""
    return {
        "input_topic": kafka.create(name("in"), 2),
        "output_topic": kafka.create(name("out"), 2),
        "group": name("group"),
    }
