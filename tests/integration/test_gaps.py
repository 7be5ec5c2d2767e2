"""Positions and logs that do not belong together: never a jump in silence, never a state of something else."""

from __future__ import annotations

import json
import signal
import struct
import time
import urllib.request

import pytest
from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, TopicPartition

from support.brokers import free_ports
from support.service import MODELS, ROLLING_MEAN, Service, run, score_topic

pytestmark = pytest.mark.broker
ECHO, COUNTER = str(MODELS / "echo_positive.py"), str(MODELS / "counter.py")


@pytest.fixture
def names(kafka, name):
    """As options of `run`; one partition."""
    return {
        "input_topic": kafka.create(name("in")),
        "output_topic": kafka.create(name("out")),
        "group": name("group"),
    }


def _send(kafka, names, count, first=0):
    kafka.send(
        names["input_topic"],
        [{"value": struct.pack("<d", float(at)), "key": b"k", "partition": 0} for at in range(first, first + count)],
    )


def _values(kafka, names):
    return [struct.unpack("<d", message.value())[0] for message in kafka.read(names["output_topic"])]


def _run(kafka, names, model=COUNTER, **options):
    return run("run", model, bootstrap_servers=kafka.servers, until_end=True, **names, **options)


def _delete_before(kafka, names, offset):
    place = TopicPartition(names["input_topic"], 0, offset)
    kafka.admin.delete_records([place])[place].result(30)


def _create_again(kafka, names):
    topic = names["input_topic"]
    kafka.admin.delete_topics([topic])[topic].result(30)
    deadline = time.monotonic() + 90
    while topic in kafka.admin.list_topics(timeout=5).topics:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    kafka.create(topic)


def _deleted(kafka, names):
    _send(kafka, names, 30, first=20)
    _delete_before(kafka, names, 40)


def _re_created_with(count):
    def happen(kafka, names):
        _create_again(kafka, names)
        _send(kafka, names, count, first=100)

    return happen


def _moved_past_the_end(kafka, names):
    """What a log that was cut short looks like."""
    place = TopicPartition(names["input_topic"], 0, 35)
    group = names["group"]
    kafka.admin.alter_consumer_group_offsets([ConsumerGroupTopicPartitions(group, [place])])[group].result(30)


# What happens after 20 records, what is said of it, and the counts that a counter gives for what is then scored.
COUNTED = [float(at) for at in range(1, 21)]
GAPS = {
    "records deleted": (
        _deleted,
        "records from offset 20 up to 40 were deleted before they were scored",
        {"continue": [float(at) for at in range(21, 31)], "rebuild": [float(at) for at in range(1, 11)]},
    ),
    "re-created, more records": (
        _re_created_with(25),
        "was deleted and created again since offset 20 was committed",
        {"continue": [float(at) for at in range(21, 46)], "rebuild": [float(at) for at in range(1, 26)]},
    ),
    "re-created, as many": (
        _re_created_with(20),
        "was deleted and created again",
        {"continue": [float(at) for at in range(21, 41)], "rebuild": COUNTED},
    ),
    "re-created, fewer records": (
        _re_created_with(3),
        "was deleted and created again",
        {"continue": [21.0, 22.0, 23.0], "rebuild": [1.0, 2.0, 3.0]},
    ),
}


@pytest.mark.parametrize("case", GAPS)
@pytest.mark.parametrize("how", ["fail", "continue", "rebuild"])
def test_a_gap_is_told_and_passed_as_asked(how, case, kafka, names):
    happen, text, counts = GAPS[case]
    _send(kafka, names, 20)
    score_topic(COUNTER, kafka.servers, **names)
    happen(kafka, names)
    done = _run(kafka, names, on_gap=how)
    assert text in done.stderr
    if how == "fail":
        assert done.returncode == 4
        assert "--on-gap rebuild" in done.stderr
        assert _values(kafka, names) == COUNTED
        return
    assert done.returncode == 0
    assert _values(kafka, names) == COUNTED + counts[how]
    # What was decided is committed: the next start finds no gap, and goes on.
    _send(kafka, names, 1)
    done = score_topic(COUNTER, kafka.servers, **names)
    assert text not in done.stderr
    assert _values(kafka, names)[-1] == counts[how][-1] + 1


def test_a_position_past_the_end_is_told(kafka, names):
    _send(kafka, names, 20)
    score_topic(ECHO, kafka.servers, **names)
    _moved_past_the_end(kafka, names)
    refused = _run(kafka, names, ECHO)
    assert refused.returncode == 4
    assert "the group is at offset 35, and the log ends at 20 (was it truncated?)" in refused.stderr
    _run(kafka, names, ECHO, on_gap="continue")
    _send(kafka, names, 1, first=7)
    score_topic(ECHO, kafka.servers, **names)
    assert _values(kafka, names) == [float(at) for at in range(20)] + [7.0]


def test_a_model_without_state_finds_a_topic_created_again(kafka, names):
    """The offsets of a deleted topic are deleted too, unless a commit comes late; its position names its topic."""
    _send(kafka, names, 20)
    score_topic(ECHO, kafka.servers, **names)
    group = names["group"]
    reader = Consumer({"bootstrap.servers": kafka.servers, "group.id": group})
    (late,) = reader.committed([TopicPartition(names["input_topic"], 0)], timeout=30)
    reader.close()
    assert late.offset == 20
    _create_again(kafka, names)
    _send(kafka, names, 30)
    kafka.admin.alter_consumer_group_offsets([ConsumerGroupTopicPartitions(group, [late])])[group].result(30)
    refused = _run(kafka, names, ECHO)
    assert refused.returncode == 4
    assert "was deleted and created again since offset 20 was committed" in refused.stderr


def test_the_topic_is_created_again_while_the_service_runs(kafka, names, tmp_path):
    """With more records than there were: nothing else would tell."""
    _send(kafka, names, 20)
    (port,) = free_ports(1)
    with Service(tmp_path, COUNTER, kafka.servers, on_gap="rebuild", http=port, **names) as service:
        kafka.wait_for(names["output_topic"], 20)
        _create_again(kafka, names)
        _send(kafka, names, 50)
        kafka.wait_for(names["output_topic"], 70)
        assert _values(kafka, names) == COUNTED + [float(at) for at in range(1, 51)]
        told = json.load(urllib.request.urlopen(f"http://127.0.0.1:{port}/status", timeout=5))
        assert told["gaps"] == {"recreated": 1}
        assert service.stop() == 0


def test_the_topic_is_created_again_while_the_service_runs_and_it_is_to_stop(kafka, names, tmp_path):
    _send(kafka, names, 20)
    with Service(tmp_path, COUNTER, kafka.servers, **names) as service:
        kafka.wait_for(names["output_topic"], 20)
        _create_again(kafka, names)
        _send(kafka, names, 50)
        assert service.wait(60) == 4
        assert "was deleted and created again since offset 20 was committed" in service.text()
    assert _values(kafka, names) == COUNTED


def test_records_are_deleted_before_a_running_service_reads_them(kafka, names, tmp_path):
    _send(kafka, names, 20)
    (port,) = free_ports(1)
    little = ["fetch.message.max.bytes=1000", "queued.max.messages.kbytes=1"]
    with Service(
        tmp_path,
        COUNTER,
        kafka.servers,
        on_gap="continue",
        http=port,
        **names,
        kafka=little,
    ) as service:
        kafka.wait_for(names["output_topic"], 20)
        service.signal(signal.SIGSTOP)
        for first in range(20, 420, 20):  # batches of their own: the fetch that is under way may bring one or two
            _send(kafka, names, 20, first)
        _delete_before(kafka, names, 410)
        service.signal(signal.SIGCONT)
        _wait_for_source(kafka, names, 419)
        values = _values(kafka, names)
        assert values == [float(at) for at in range(1, len(values) + 1)]
        assert len(values) < 200
        text = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5).read().decode()
        assert "stream_scorer_gaps_total 1.0" in text
        assert f"stream_scorer_gap_lost_records_total {420 - len(values)}.0" in text
        assert service.stop() == 0


def _wait_for_source(kafka, names, offset):
    """Until the record at an offset is scored."""
    deadline = time.monotonic() + 60
    wanted = f"{names['input_topic']}/0/{offset}".encode()
    while not any(dict(one.headers())["scorer-source"] == wanted for one in kafka.read(names["output_topic"])):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_latest_is_where_the_group_began_not_where_it_begins_again(kafka, names, tmp_path):
    """What comes between a first start and a second one is scored, though the first saw no record."""
    _send(kafka, names, 5)
    soon = ["session.timeout.ms=3000", "heartbeat.interval.ms=500"]
    service = Service(tmp_path, ECHO, kafka.servers, start="latest", kafka=soon, **names)
    service.wait_for("assigned ")
    deadline = time.monotonic() + 90
    while kafka.committed(names["group"], names["input_topic"]) != [5]:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    service.kill()
    _send(kafka, names, 3, first=50)
    with Service(tmp_path, ECHO, kafka.servers, start="latest", **names) as again:
        kafka.wait_for(names["output_topic"], 3)
        assert again.stop() == 0
    assert _values(kafka, names) == [50.0, 51.0, 52.0]


def test_auto_offset_reset_is_not_for_a_user_to_set(kafka, names):
    refused = run("run", ECHO, bootstrap_servers=kafka.servers, kafka=["auto.offset.reset=latest"], **names)
    assert refused.returncode == 2
    assert "--on-gap" in refused.stderr


def test_a_window_is_rebuilt_behind_a_gap_from_what_is_left(kafka, names):
    _send(kafka, names, 40)
    score_topic(ROLLING_MEAN, kafka.servers, **names)
    _moved_past_the_end(kafka, names)  # to 35: not past it, but not where the state is
    _send(kafka, names, 40, first=40)
    _delete_before(kafka, names, 45)
    done = _run(kafka, names, ROLLING_MEAN, on_gap="continue", on_state_mismatch="restart")
    assert "records from offset 35 up to 45 were deleted" in done.stderr
    assert _values(kafka, names)[11:] == [sum(range(at - 29, at + 1)) / 30 for at in range(74, 80)]
