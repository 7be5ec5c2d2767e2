"""Sensors installed: when they read, when they report, and what becomes of them."""

from __future__ import annotations

import os
import time

import pytest

from stream_scorer.errors import DescriptorError
from stream_scorer.modelop.dataflow import processes
from stream_scorer.modelop.dataflow.events import Events
from stream_scorer.modelop.dataflow.sensors import PERMANENT, Sensors
from stream_scorer.modelop.dataflow.taps import Taps
from support.manifold import until


@pytest.fixture
def taps():
    return Taps(list)


@pytest.fixture
def reports():
    return []


@pytest.fixture
def sensors(taps, reports):
    sensors = Sensors(taps, reports.append, lambda: ({0, 1}, ["1"]))
    yield sensors
    sensors.close()


def _of(reports, number):
    return [report["data"] for report in list(reports) if report["id"] == number]


def test_eight_are_there_from_the_start(sensors):
    installed = sensors.installed()
    assert [sensor["tap"] for sensor in installed] == PERMANENT
    assert [sensor["id"] for sensor in installed] == list(range(1, 9))
    assert all(sensor["permanent"] and sensor["active"] for sensor in installed)


def test_a_sum_is_reported_again_and_again(sensors, taps, reports):
    number = sensors.install({"Tap": "manifold.0.records.count", "Aggregate": "sum", "Report": {"Interval": 0.02}})
    assert number == 9
    tap = taps.flow("manifold.0.records.count")
    tap.add(3)
    tap.add(4)
    until(lambda: sum(_of(reports, number)) == 7)
    until(lambda: _of(reports, number)[-1] == 0)
    report = next(report for report in reports if report["id"] == number)
    assert report["type"] == "sensor-report"
    assert report["tap"] == "manifold.0.records.count"
    assert report["delta_time"] >= 0.02
    assert tap.total == 7


def test_every_value_at_once(sensors, taps, reports):
    number = sensors.install({"Tap": "manifold.debug", "Aggregate": None, "Report": {"Interval": 0.0}})
    taps.debug("one")
    taps.debug("two")
    taps.debug("of a stream", 0)
    assert _of(reports, number) == ["one", "two"]


def test_regular_readings_of_a_gauge(sensors, reports):
    number = sensors.install(
        {"Tap": "sys.memory", "Activate": {"Type": "regular", "Intensity": 100}, "Report": {"Interval": 0.1}}
    )
    (first, *_) = until(lambda: _of(reports, number))
    assert len(first) > 1


def test_a_tap_is_active_for_so_many_reads(sensors, taps, reports):
    number = sensors.install(
        {
            "Tap": "manifold.0.records.count",
            "Activate": {"Type": "permanent", "MaxReads": 2},
            "Aggregate": None,
            "Report": {"Interval": 0},
        }
    )
    for amount in (1, 2, 3):
        taps.flow("manifold.0.records.count").add(amount)
    assert _of(reports, number) == [1, 2]
    assert not next(sensor for sensor in sensors.installed() if sensor["id"] == number)["active"]


def test_removed_it_says_no_more(sensors, taps, reports):
    number = sensors.install({"Tap": "manifold.debug", "Aggregate": None})
    sensors.remove(number)
    taps.debug("one")
    assert _of(reports, number) == []
    with pytest.raises(KeyError):
        sensors.remove(number)


def test_points_and_strangers(sensors):
    points = sensors.points()
    for point in points:
        sensors.install({"Tap": point})
    assert "jet.1.output.records.size" in points
    with pytest.raises(DescriptorError, match=r"manifold\.0\.records\.count"):
        sensors.install({"Tap": "manifold.input.records"})


def test_events_keep_their_order_and_survive_a_listener_that_fails(caplog):
    heard = []

    def listener(event):
        heard.append(event["text"])
        if event["text"] == "1":
            raise ValueError("by chance")

    events = Events(listener)
    for number in range(5):
        events.console(str(number))
    events.close()
    assert heard == ["0", "1", "2", "3", "4"]
    assert "by chance" in caplog.text


def test_cpu_time_and_memory_of_a_process():
    pid = os.getpid()
    read = processes.utilization(lambda: [pid, 2**22 + 1])
    until_then = time.process_time() + 0.2
    while time.process_time() < until_then:
        pass
    assert sum(read().values()) > 5  # some kernels are slow to tell
    assert processes.memory([pid]) > 1_000_000
    assert processes.cpu_time(2**22 + 1) is None
    assert not processes.has_exited(pid)
    assert processes.has_exited(2**22 + 1)
