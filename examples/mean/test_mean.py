"""A test of a model as a service would run it, without a broker: `pytest test_mean.py`."""

from pathlib import Path

from stream_scorer.testing import Driver

MODEL = Path(__file__).with_name("mean.py")


def test_each_key_has_a_window_of_its_own():
    with Driver(MODEL) as driver:
        driver.send_all([1.0, 2.0], key="a")
        assert driver.send(30.0, key="b") == []
        assert [out.value for out in driver.send(3.0, key="a")] == [2.0]
        assert driver.state("b") == {"window": [30.0]}


def test_the_window_outlives_a_restart_and_an_abort():
    with Driver(MODEL) as driver:
        driver.send_all([1.0, 2.0], key="a")
        driver.restart()
        driver.abort_next()
        assert [out.value for out in driver.send(3.0, key="a")] == [2.0]


def test_a_record_that_is_no_double_is_rejected_and_changes_nothing():
    with Driver(MODEL) as driver:
        driver.send_all([1.0, 2.0], key="a")
        driver.send_bytes(b"oops", key="a")
        assert [reject.stage for reject in driver.rejects] == ["decode"]
        assert driver.state("a") == {"window": [1.0, 2.0]}
