"""`stream_scorer.Service`: the worker of `run` in a thread of the caller's process, on a real broker."""

from __future__ import annotations

import struct
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from stream_scorer import ModelError, Service
from support.service import MODELS

pytestmark = pytest.mark.broker
COUNTER = MODELS / "counter.py"


@pytest.fixture
def send(kafka, topics):
    def send(count):
        kafka.send(topics["input_topic"], [{"value": struct.pack("<d", 1.0), "key": b"k", "partition": 0}] * count)

    return send


@pytest.fixture
def outputs(kafka, topics):
    return lambda: [struct.unpack("<d", message.value())[0] for message in kafka.read(topics["output_topic"])]


@pytest.fixture
def make(kafka, topics):
    def make(model=COUNTER, **settings):
        return Service(model, bootstrap_servers=kafka.servers, create_topics=True, **topics, **settings)

    return make


def test_it_is_stopped_from_another_thread_and_another_one_goes_on(send, outputs, make):
    """With the state of the first one, though both are in one process."""
    send(3)
    first = make()
    with ThreadPoolExecutor(1) as threads:
        running = threads.submit(first.run)
        while first.status().get("scores") != 3:
            assert not running.done()
            time.sleep(0.05)
        first.stop()
        first.stop()
        assert running.result(60).records == 3
    send(2)
    assert make(until_end=True).run().records == 2
    assert outputs() == [1.0, 2.0, 3.0, 4.0, 5.0]


def test_a_service_that_was_stopped_before_it_ran_scores_nothing(send, outputs, make):
    send(1)
    service = make()
    service.stop()
    assert service.run().records == 0
    assert outputs() == []


def test_a_model_that_fails_to_begin_raises_in_the_caller(make, tmp_path):
    model = tmp_path / "fails.py"
    model.write_text(
        "# fastscore.schema.0: double\n# fastscore.schema.1: double\ndef begin():\n 1 / 0\ndef action(x):\n yield x\n"
    )
    with pytest.raises(ModelError, match="ZeroDivisionError"):
        make(model).run()
