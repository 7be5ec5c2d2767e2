"""Records with dates of long ago, on a broker with default retention: it deletes by those dates."""

from __future__ import annotations

import json
import struct
import time
import urllib.request

import pytest
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import (
    AclOperation,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourceType,
)

from support.brokers import free_ports
from support.service import MODELS, ROLLING_MEAN, Service, run, score_topic

pytestmark = pytest.mark.broker
DAY = 86_400_000
ECHO = str(MODELS / "echo_positive.py")
ROWS = 40


@pytest.fixture
def csv(tmp_path):
    """A price a year from 1950 on, ROWS of them."""
    path = tmp_path / "prices.csv"
    path.write_text("Date,Close\n" + "".join(f"19{50 + at}-01-03,{at + 1}\n" for at in range(ROWS)))
    return path


def _double(value):
    return struct.pack("<d", value)


def _old(count, **more):
    return [{"value": _double(at + 1.0), "key": b"k", "timestamp": 1000 + at, **more} for at in range(count)]


def _ends(kafka, topic, partition=0):
    """First offset there is, and the one after the last."""
    consumer = Consumer(
        {"bootstrap.servers": kafka.servers, "group.id": "looks", "isolation.level": "read_uncommitted"}
    )
    try:
        return consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=10)
    finally:
        consumer.close()


def _wait_until_gone(kafka, topic, count, partition=0):
    """Until retention has deleted the `count` records that the partition had."""
    deadline = time.monotonic() + 60
    while (found := _ends(kafka, topic, partition)) != (count, count):
        assert time.monotonic() < deadline, f"{topic}[{partition}] still has {found}"
        time.sleep(0.1)


def test_tests_do_not_send_what_a_topic_deletes(kafka, name):
    """Such a test fails only where retention comes first."""
    topic = kafka.create(name("limited"))
    with pytest.raises(AssertionError, match="create it with retention_ms='-1'"):
        kafka.send(topic, _old(1))
    kafka.send(topic, _old(1), expiring=True)
    kafka.send(topic, [{"value": b"now"}])
    kafka.send(kafka.create(name("unlimited"), retention_ms="-1"), _old(1))
    kafka.send(kafka.create(name("compacted"), cleanup_policy="compact"), _old(1))


def _retention_has_looked(kafka, what):
    """Records as old as those of the test, on a topic that keeps the default: when they are gone, all was looked at."""
    control = kafka.create(what)
    kafka.send(control, _old(5), expiring=True)
    _wait_until_gone(kafka, control, 5)


def _config(kafka, topic):
    resource = ConfigResource(ResourceType.TOPIC, topic)
    return {name: one.value for name, one in kafka.admin.describe_configs([resource])[resource].result(30).items()}


def _alter(kafka, command):
    """Does what a command line of ours says, as kafka-configs.sh does it."""
    words = command.split()
    topic, (config, value) = words[words.index("--entity-name") + 1], words[words.index("--add-config") + 1].split("=")
    entry = ConfigEntry(config, value.strip(";."), incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
    kafka.admin.incremental_alter_configs([resource])[resource].result(30)


def _replay(kafka, csv, topic, **more):
    return run("replay", str(csv), topic=topic, bootstrap_servers=kafka.servers, **{"key": "SP500", **more})


@pytest.mark.parametrize("delivery", ["exactly-once", "at-least-once"])
def test_all_that_is_replayed_scored_judged_and_rejected_is_kept(delivery, csv, kafka, name):
    source, group = name("prices"), name("group")
    with csv.open("a") as file:
        file.write("1999-01-03,-1\n")
    done = _replay(kafka, csv, source, create_topic=True)
    assert done.returncode == 0, done.stderr
    _retention_has_looked(kafka, name("control"))  # as on a broker where the service starts minutes later
    topics = {"input_topic": source, "output_topic": name("scores"), "group": group, "evaluate": True}
    told = score_topic(ECHO, kafka.servers, create_topics=True, delivery=delivery, batch=7, **topics)
    assert "keeps records for" not in told.stderr
    _retention_has_looked(kafka, name("after"))
    scores, letters = topics["output_topic"], f"{source}.dead-letters"
    for topic, count in ((source, ROWS + 1), (scores, ROWS), (f"{scores}-evaluation", ROWS - 1), (letters, 1)):
        found = kafka.wait_for(topic, count)
        assert len(found) == count, topic
        assert all(message.timestamp()[1] < 10**12 for message in found)
        assert _config(kafka, topic)["retention.ms"] == "-1", topic


def test_topics_keep_as_long_as_retention_says_and_the_changelog_is_compacted(csv, kafka, name):
    source = name("prices")
    now = ("--timestamps", "now")
    done = run(
        "replay", str(csv), *now, topic=source, create_topic=True, retention="36h", bootstrap_servers=kafka.servers
    )
    assert done.returncode == 0, done.stderr
    topics = {"input_topic": source, "output_topic": name("scores"), "group": name("group")}
    score_topic(ROLLING_MEAN, kafka.servers, create_topics=True, retention="3d", evaluate=True, **topics)
    made = (topics["output_topic"], f"{topics['output_topic']}-evaluation", f"{source}.dead-letters")
    assert [_config(kafka, topic)["retention.ms"] for topic in (source, *made)] == [str(36 * 3_600_000)] + [
        str(3 * DAY)
    ] * 3
    (changelog,) = [
        _config(kafka, topic)
        for topic in kafka.admin.list_topics(timeout=10).topics
        if topic.endswith("changelog") and topics["group"] in topic
    ]
    assert (changelog["cleanup.policy"], changelog["retention.ms"]) == ("compact", str(7 * DAY))


@pytest.mark.parametrize(
    ("retention", "text"), [("7", "The unit is missing"), ("1d", "(retention.ms=86400000): 40 of 40")]
)
def test_a_retention_that_would_eat_the_records_makes_no_topic(retention, text, csv, kafka, name):
    topic = name("prices")
    done = _replay(kafka, csv, topic, create_topic=True, retention=retention)
    assert (done.returncode, text in done.stderr) == (2 if retention == "7" else 4, True), done.stderr
    assert topic not in kafka.admin.list_topics(timeout=10).topics


def test_replay_refuses_a_topic_that_would_delete_the_records_and_says_how_it_would_not(csv, kafka, name):
    with csv.open("a") as file:
        file.write(f"{time.strftime('%Y-%m-%d', time.gmtime())},41\n")
    topic = kafka.create(name("prices"))
    done = _replay(kafka, csv, topic, create_topic=True)
    assert done.returncode == 4
    assert "keeps records for 7d by their own time (retention.ms=604800000): 40 of 41 records are older" in done.stderr
    assert "the oldest of 1950-01-03" in done.stderr
    assert "--timestamps now." in done.stderr
    assert _ends(kafka, topic) == (0, 0)
    _alter(kafka, done.stderr[done.stderr.index("kafka-configs.sh") :])
    assert _replay(kafka, csv, topic).returncode == 0
    _retention_has_looked(kafka, name("control"))
    assert len(kafka.read(topic)) == 41


@pytest.mark.parametrize("rate", [None, 500])
def test_with_the_time_of_sending_any_topic_keeps_them(rate, csv, kafka, name):
    topic = kafka.create(name("prices"))
    before = time.time() * 1000
    done = _replay(kafka, csv, topic, timestamps="now", rate=rate)
    assert done.returncode == 0, done.stderr
    _retention_has_looked(kafka, name("control"))
    found = kafka.read(topic)
    assert [struct.unpack("<d", message.value())[0] for message in found] == [at + 1.0 for at in range(ROWS)]
    assert all(before - 1000 <= message.timestamp()[1] <= time.time() * 1000 for message in found)


@pytest.mark.parametrize(
    ("config", "more", "text"),
    [
        ({"cleanup_policy": "compact"}, {}, "the 40 records have one key, so one of them would be left"),
        ({"cleanup_policy": "compact"}, {"key": None}, "takes no record without a key: none of the 40"),
        ({"cleanup_policy": "compact"}, {"timestamps": "now"}, "--add-config cleanup.policy=delete,retention.ms=-1"),
        ({"cleanup_policy": "compact,delete"}, {"limit": 1}, "1 of 1 records are older"),
        (
            {"retention_ms": "-1", "message_timestamp_before_max_ms": str(DAY)},
            {},
            "(message.timestamp.before.max.ms=86400000): 40 of 40 records are, the oldest of 1950-01-03",
        ),
    ],
)
def test_replay_refuses_what_a_topic_would_not_keep_or_take(config, more, text, csv, kafka, name):
    topic = kafka.create(name("prices"), **config)
    done = _replay(kafka, csv, topic, **more)
    assert (done.returncode, text in done.stderr) == (4, True), done.stderr
    assert _ends(kafka, topic) == (0, 0)


@pytest.mark.parametrize(
    ("config", "text"),
    [
        ({"message_timestamp_type": "LogAppendTime"}, "their dates are lost"),
        ({"retention_ms": "-1", "retention_bytes": "100"}, "keeps about 100 bytes a partition"),
        ({"cleanup_policy": "compact"}, ""),
    ],
)
def test_what_a_topic_does_to_records_is_told_in_one_line(config, text, csv, kafka, name):
    topic = kafka.create(name("prices"), **config)
    done = _replay(kafka, csv, topic, limit=1 if "compact" in str(config) else None)
    assert done.returncode == 0, done.stderr
    assert [line for line in done.stderr.splitlines() if "topic '" in line and text in line][1:] == []
    assert text in done.stderr
    assert _ends(kafka, topic)[1] == (1 if "compact" in str(config) else ROWS)


def test_where_the_configuration_may_not_be_seen_that_is_said_and_it_goes_on(csv, own_kafka, name):
    kafka = own_kafka
    topics = {
        "input_topic": kafka.create(name("in"), retention_ms="-1"),
        "output_topic": name("out"),
        "group": name("g"),
    }
    kafka.forbid(ResourceType.TOPIC, topics["input_topic"], AclOperation.DESCRIBE_CONFIGS)
    said = f"the configuration of topic '{topics['input_topic']}' could not be looked up"
    done = _replay(kafka, csv, topics["input_topic"])
    assert (done.returncode, done.stderr.count(said)) == (0, 1), done.stderr
    done = score_topic(ECHO, kafka.servers, create_topics=True, **topics)
    assert done.stderr.count(said) == 1
    assert len(kafka.wait_for(topics["output_topic"], ROWS)) == ROWS


def test_the_service_tells_once_of_topics_that_will_not_keep_what_it_writes(kafka, name, tmp_path):
    topics = {
        "input_topic": kafka.create(name("in"), retention_ms="-1"),
        "output_topic": kafka.create(name("out")),
        "evaluation_topic": kafka.create(name("judged"), retention_ms="-1"),
        "dead_letter_topic": kafka.create(name("dead")),
        "group": name("group"),
    }
    (port,) = free_ports(1)

    def get(path):
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/{path}", timeout=5) as answer:
            return answer.read().decode()

    def gauges():
        found = {}
        for line in get("metrics").splitlines():
            if line.startswith("stream_scorer_topic_retention_at_risk{"):
                found[line.split('"')[1]] = line.split()[-1]
        return found

    with Service(tmp_path, ECHO, kafka.servers, http=port, evaluate=True, **topics) as service:
        service.wait_for("assigned ")
        kafka.send(topics["input_topic"], [{"value": _double(1.0), "key": b"k"}])
        kafka.wait_for(topics["output_topic"], 1)
        written = [topic for what, topic in topics.items() if what != "group"]
        assert gauges() == dict.fromkeys(written, "0.0")
        assert json.loads(get("status"))["retention_at_risk"] == {}
        for _ in range(2):
            kafka.send(topics["input_topic"], [*_old(1), {"value": _double(-1.0), "timestamp": 5}])
            service.wait_for(f"topic '{topics['dead_letter_topic']}' keeps records for 7d")
        at_risk = {topics["output_topic"], topics["dead_letter_topic"]}
        assert gauges() == {topic: "1.0" if topic in at_risk else "0.0" for topic in written}
        told = json.loads(get("status"))["retention_at_risk"]
        assert told.keys() == at_risk
        assert "and there are older ones, of 1970-01-01" in told[topics["output_topic"]]
        assert f"--entity-name {topics['output_topic']} --add-config retention.ms=-1" in told[topics["output_topic"]]
        assert service.stop() == 0
        assert service.text().count("by their own time (retention.ms=604800000)") == 2


def test_what_is_resubmitted_to_a_topic_that_does_not_keep_it_is_told(kafka, name):
    source, letters = kafka.create(name("in")), name("dead")
    kafka.send(source, [{"value": b"abc", "timestamp": time.time_ns() // 1_000_000 - DAY}])
    topics = {"input_topic": source, "output_topic": name("out"), "group": name("group"), "dead_letter_topic": letters}
    score_topic(ECHO, kafka.servers, create_topics=True, **topics)
    kafka.wait_for(letters, 1)
    again = {"all": True, "topic": letters, "input_topic": source, "bootstrap_servers": kafka.servers}
    assert "re-submitted are older" not in run("dead-letters", "resubmit", **again).stderr
    _alter(kafka, f"--entity-name {source} --add-config retention.ms={DAY // 2}")
    done = run("dead-letters", "resubmit", again=True, **again)
    assert done.returncode == 0, done.stderr
    assert "1 re-submitted" in done.stdout
    assert f"topic '{source}' keeps records for 12h by their own time, and 1 of 1 re-submitted are older" in done.stderr


def test_an_input_whose_records_are_gone_is_told_with_exit_code_4(kafka, name):
    topics = {"input_topic": kafka.create(name("in"), 2), "output_topic": name("out"), "group": name("group")}
    kafka.send(topics["input_topic"], _old(9, partition=1), expiring=True)
    _wait_until_gone(kafka, topics["input_topic"], 9, partition=1)
    options = {"bootstrap_servers": kafka.servers, "until_end": True, "create_topics": True}
    done = run("run", ECHO, **options, **topics)
    assert done.returncode == 4, done.stderr
    assert "had 9 records, of which none is left, and group" in done.stderr
    assert (
        "they were deleted by retention (it keeps them for 7d by their own time: retention.ms=604800000)" in done.stderr
    )
    assert f"--entity-name {topics['input_topic']} --add-config retention.ms=-1 ." in done.stderr
    assert "Traceback" not in done.stderr
    # Who wants only what comes from now on has lost nothing.
    assert run("run", ECHO, start="latest", **options, **topics).returncode == 0


def test_an_input_with_something_left_is_scored_and_what_is_gone_is_told(kafka, name, tmp_path):
    topics = {"input_topic": kafka.create(name("in"), 2), "output_topic": name("out"), "group": name("group")}
    kafka.send(topics["input_topic"], _old(9, partition=1), expiring=True)
    _wait_until_gone(kafka, topics["input_topic"], 9, partition=1)
    with Service(tmp_path, ECHO, kafka.servers, create_topics=True, **topics) as service:
        service.wait_for("assigned ")
        assert service.text().count("had 9 records, of which none is left") == 1
        kafka.send(topics["input_topic"], [{"value": _double(2.0), "partition": 0}])
        kafka.wait_for(topics["output_topic"], 1)
        assert service.stop() == 0
    # Once: the group has committed where it began.
    assert "none is left" not in score_topic(ECHO, kafka.servers, **topics).stderr


def test_an_input_that_was_read_before_it_was_deleted_is_no_news(kafka, name):
    source = kafka.create(name("in"))
    topics = {"input_topic": source, "output_topic": name("out"), "group": name("group")}
    kafka.send(source, [{"value": _double(1.0)}] * 3)
    score_topic(ECHO, kafka.servers, create_topics=True, **topics)
    _alter(kafka, f"--entity-name {source} --add-config retention.ms=1")
    _wait_until_gone(kafka, source, 3)
    assert "none is left" not in score_topic(ECHO, kafka.servers, **topics).stderr
