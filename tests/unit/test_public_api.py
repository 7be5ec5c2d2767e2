"""What `import stream_scorer` gives, and what it costs."""

from __future__ import annotations

import subprocess
import sys

import pytest

import stream_scorer

HEAVY = ("numpy", "confluent_kafka", "fastavro", "pandas", "tensorflow", "rich", "prometheus_client")


def test_all_names_are_there():
    assert [name for name in stream_scorer.__all__ if not callable(getattr(stream_scorer, name))] == []
    assert set(stream_scorer.__all__) <= set(dir(stream_scorer))
    assert stream_scorer.__all__ == sorted(stream_scorer.__all__)


def test_a_name_that_is_not_there_is_an_attribute_error():
    assert not hasattr(stream_scorer, "open_modell")


@pytest.mark.process
def test_the_import_is_cheap():
    """Names are looked up when they are used: the command line imports the package at every start."""
    ask = f"import sys, stream_scorer; print([name for name in {HEAVY} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", ask], check=True, capture_output=True, text=True).stdout == "[]\n"


@pytest.mark.process
def test_scoring_values_needs_no_kafka():
    ask = "import sys; from stream_scorer import open_model; print('confluent_kafka' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", ask], check=True, capture_output=True, text=True).stdout == "False\n"
