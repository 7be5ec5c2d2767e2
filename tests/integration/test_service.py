"""The service on a real broker: what goes in, what comes out, how it starts, stops and fails."""

from __future__ import annotations

import json
import signal
import struct
import time
import urllib.request

import pytest
from confluent_kafka.admin import AclOperation, ResourceType

from stream_scorer.kafka.changelog import changelog_name
from support.brokers import free_ports
from support.service import MODELS, ROLLING_MEAN, ROLLING_MEAN_BATCHED, Service, run, score_topic

pytestmark = pytest.mark.broker
DAY = 86_400_000
ECHO, COUNTER = str(MODELS / "echo_positive.py"), str(MODELS / "counter.py")


def _double(value):
    return struct.pack("<d", value)


def _values(messages):
    return [struct.unpack("<d", message.value())[0] for message in messages]


def test_key_timestamp_partition_and_headers_of_a_score(kafka, dated_topics):
    headers = [("traceparent", b"00-abc"), ("mine", b"1")]
    kafka.send(
        dated_topics["input_topic"],
        [{"value": _double(2.0), "key": b"k", "timestamp": 1234, "partition": 1, "headers": headers}],
    )
    score_topic(ECHO, kafka.servers, **dated_topics)
    (score,) = kafka.read(dated_topics["output_topic"])
    assert (score.value(), score.key(), score.timestamp()[1], score.partition()) == (_double(2.0), b"k", 1234, 1)
    found = dict(score.headers())
    assert found.keys() == {"traceparent", "scorer-source", "scorer-model"}
    assert found["traceparent"] == b"00-abc"
    assert found["scorer-source"] == f"{dated_topics['input_topic']}/1/0".encode()


def test_pass_headers_hands_on_all(kafka, topics):
    kafka.send(topics["input_topic"], [{"value": _double(2.0), "headers": [("mine", b"1")]}])
    score_topic(ECHO, kafka.servers, pass_headers=True, **topics)
    assert dict(kafka.read(topics["output_topic"])[0].headers())["mine"] == b"1"


def test_registry_framing_and_json(kafka, topics, name):
    kafka.send(topics["input_topic"], [{"value": b"\0\0\0\0\7" + _double(2.5), "key": b"k"}])
    score_topic(ECHO, kafka.servers, framing="registry", output_schema_id=9, **topics)
    assert kafka.read(topics["output_topic"])[0].value() == b"\0\0\0\0\x09" + _double(2.5)

    other = {**topics, "input_topic": kafka.create(name("json-in")), "group": name("json")}
    kafka.send(other["input_topic"], [{"value": b"3.5", "key": b"k"}])
    score_topic(ECHO, kafka.servers, input_encoding="json", output_encoding="json", **other)
    assert kafka.read(topics["output_topic"])[-1].value() == b"3.5"


@pytest.mark.parametrize("delivery", ["exactly-once", "at-least-once"])
def test_state_goes_on_where_it_was(delivery, kafka, topics):
    """Two runs give what one would: the windows came back from the changelog."""
    sent = [{"value": _double(float(at)), "key": b"k%d" % (at % 3), "partition": 0} for at in range(150)]
    kafka.send(topics["input_topic"], sent[:70])
    score_topic(ROLLING_MEAN, kafka.servers, delivery=delivery, **topics)
    kafka.send(topics["input_topic"], sent[70:])
    done = score_topic(ROLLING_MEAN, kafka.servers, delivery=delivery, **topics)
    assert len(kafka.read(topics["output_topic"])) == 150 - 3 * 29
    assert "restored 3 sessions" in done.stderr
    assert _values(kafka.read(topics["output_topic"]))[-1] == sum(range(149 - 87, 150, 3)) / 30


def test_records_are_numbered_on_over_restarts(kafka, topics, tmp_path):
    """By the changelog alone: the model has no state of its own. One that is rejected takes no number, its slot is the third,
    and what it writes to a slot that it does not use rejects a record though there is a topic for it."""
    model = tmp_path / "counts.py"
    model.write_text(
        "# fastscore.slot.1: unused\n# fastscore.slot.3: in-use\n"
        "def action(x, slot, seqno):\n 1 / x\n yield [seqno, begun]\n if x == 9: yield 5, x\n"
        "def begin(d):\n global begun\n begun = [d['name'], d['type'], d['attachments']]\n"
    )
    how = {**topics, "output_topic": f"3={topics['output_topic']},5={topics['output_topic']}"}
    for values in (b"120", b"9", b"304"):
        sent = [{"value": b"%c" % value, "key": b"k", "partition": 0} for value in values]
        kafka.send(topics["input_topic"], sent)
        done = score_topic(str(model), kafka.servers, input_encoding="json", output_encoding="json", **how)
        assert "--output-topic 5=" in done.stderr
    found = [json.loads(message.value()) for message in kafka.read(topics["output_topic"])]
    assert found == [[number, ["counts", "python3", []]] for number in (1, 2, 3, 4)]
    kafka.send(topics["input_topic"], [{"value": b"5", "key": b"k", "partition": 0}])
    model.write_text(model.read_text() + "def end(): yield 1\n")
    refused = run("run", str(model), bootstrap_servers=kafka.servers, until_end=True, **how)
    assert refused.returncode == 3
    assert "its end() yields outputs: a topic has no end" in refused.stderr


def test_sigterm_stops_within_ten_seconds_and_the_next_goes_on(kafka, topics, tmp_path):
    kafka.send(topics["input_topic"], [{"value": _double(1.0), "partition": 0}] * 5)
    with Service(tmp_path, ECHO, kafka.servers, **topics) as service:
        kafka.wait_for(topics["output_topic"], 5)
        started = time.monotonic()
        service.signal(signal.SIGTERM)
        assert service.wait(10) == 0
        assert time.monotonic() - started < 10
    kafka.send(topics["input_topic"], [{"value": _double(2.0), "partition": 0}])
    score_topic(ECHO, kafka.servers, **topics)
    assert _values(kafka.read(topics["output_topic"])) == [1.0] * 5 + [2.0]


def test_bad_records_go_to_dead_letters_and_back(kafka, dated_topics):
    source = dated_topics["input_topic"]
    bad = {"value": _double(-1.0), "key": b"k", "partition": 1, "timestamp": 77, "headers": [("mine", b"1")]}
    kafka.send(
        source,
        [
            {"value": _double(1.0), "partition": 1},
            {"value": b"abc", "partition": 1},
            bad,
            {"value": None, "partition": 1},
        ],
    )
    score_topic(ECHO, kafka.servers, **dated_topics)
    letters = kafka.read(f"{source}.dead-letters")
    assert sorted((letter.value() or b"") for letter in letters) == sorted([b"abc", _double(-1.0), b""])
    (letter,) = [one for one in letters if one.value() == _double(-1.0)]
    assert (letter.key(), letter.timestamp()[1]) == (b"k", 77)
    told = {name: value.decode() for name, value in letter.headers()}
    assert told["mine"] == "1"
    assert told["__streams.errors.exception"] == "ValueError"
    assert "echo_positive.py:8: action() raised ValueError: negative" in told["__streams.errors.message"]
    assert "Traceback" in told["__streams.errors.stacktrace"]
    assert [told[f"__streams.errors.{part}"] for part in ("topic", "partition", "offset")] == [source, "1", "2"]
    assert told["__scorer.stage"] == "action"
    assert told["__scorer.model"].startswith("echo_positive@")

    where = {"topic": f"{source}.dead-letters", "bootstrap_servers": kafka.servers}
    listed = run("dead-letters", "list", **where)
    assert "3 dead letters" in listed.stdout
    assert f"{source}[1]@2  action   ValueError" in listed.stdout
    place = f"{letter.partition()}@{letter.offset()}"
    assert "negative" in run("dead-letters", "show", place, **where).stdout
    assert "1 re-submitted" in run("dead-letters", "resubmit", place, **where).stdout
    back = kafka.read(source)[-1]
    assert (back.value(), back.key(), back.partition(), back.timestamp()[1]) == (_double(-1.0), b"k", 1, 77)
    assert [name for name, _ in back.headers()] == ["mine", "__scorer.resubmitted"]
    wrong = run("dead-letters", "show", "0@999", **where)
    assert wrong.returncode == 2
    assert "no dead letter at 0@999" in wrong.stderr
    wrong = run("dead-letters", "resubmit", **where)
    assert wrong.returncode == 2
    assert "prints them, or --all." in wrong.stderr


def test_a_topic_that_is_not_there_is_told_of_with_what_creates_it(kafka, topics, name):
    missing = name("missing")
    where = {"topic": missing, "bootstrap_servers": kafka.servers}
    for done, way_out in (
        (
            run("run", ECHO, bootstrap_servers=kafka.servers, **topics | {"input_topic": missing}),
            " (by --create-topics)",
        ),
        (run("replay", "synthetic", **where), " (by --create-topic)"),
        (run("dead-letters", "list", **where), ""),
    ):
        assert done.returncode == 4
        assert f"topic '{missing}' " in done.stderr
        assert f"Create it{way_out}, or correct --" in done.stderr


def test_a_flood_of_rejects_stops_the_service_if_asked(kafka, topics):
    kafka.send(topics["input_topic"], [{"value": b"abc", "partition": 0}] * 10)
    done = run("run", ECHO, bootstrap_servers=kafka.servers, max_rejects_in_row=5, until_end=True, **topics)
    assert done.returncode == 3
    assert "5 records in a row were rejected" in done.stderr


def test_fail_on_the_first_bad_record(kafka, topics):
    kafka.send(topics["input_topic"], [{"value": _double(1.0), "partition": 0}, {"value": b"abc", "partition": 0}])
    done = run("run", ECHO, bootstrap_servers=kafka.servers, on_bad_record="fail", until_end=True, **topics)
    assert done.returncode == 3
    assert f"{topics['input_topic']}[0]@1: expected an Avro double (8 bytes), got 3 bytes" in done.stderr
    assert kafka.read(topics["output_topic"]) == []


def test_warm_up_counts_records_across_markers_and_gaps(kafka, dated_topics, name):
    """Inputs written in small transactions: offsets have gaps, and the 29 before the start are still 29."""
    from confluent_kafka import Producer

    producer = Producer({"bootstrap.servers": kafka.servers, "transactional.id": name("producer")})
    producer.init_transactions(30)
    for at in range(60):
        producer.begin_transaction()
        producer.produce(dated_topics["input_topic"], _double(float(at)), b"k", 0, timestamp=1000 + at)
        (producer.abort_transaction if at % 7 == 3 else producer.commit_transaction)(30)
    kept = [float(at) for at in range(60) if at % 7 != 3]
    start = 1000 + int(kept[40])
    done = score_topic(ROLLING_MEAN, kafka.servers, start=str(start), warm_up=29, **dated_topics)
    assert "fed 29 inputs before" in done.stderr
    assert _values(kafka.read(dated_topics["output_topic"])) == [
        sum(kept[at - 29 : at + 1]) / 30 for at in range(40, len(kept))
    ]


def test_start_latest_scores_only_what_comes_then(kafka, topics, tmp_path):
    kafka.send(topics["input_topic"], [{"value": _double(1.0), "partition": 0}])
    with Service(tmp_path, ECHO, kafka.servers, start="latest", **topics) as service:
        service.wait_for("assigned ")
        kafka.send(topics["input_topic"], [{"value": _double(2.0), "partition": 0}])
        assert _values(kafka.wait_for(topics["output_topic"], 1)) == [2.0]


def test_a_commit_interval_gathers_records_into_one_transaction(kafka, topics, tmp_path):
    """The other transaction says where the group begins."""
    with Service(tmp_path, ECHO, kafka.servers, commit_interval=3, **topics) as service:
        service.wait_for("assigned ")
        for at in range(5):
            kafka.send(topics["input_topic"], [{"value": _double(float(at)), "partition": 0}])
        assert _values(kafka.wait_for(topics["output_topic"], 5)) == [0.0, 1.0, 2.0, 3.0, 4.0]
        assert service.stop() == 0
        assert "5 records, 5 scores, 0 rejects, 2 commits" in service.text()


def test_an_offset_moved_by_hand_is_never_used_in_silence(kafka, topics):
    from confluent_kafka import Consumer, TopicPartition

    kafka.send(topics["input_topic"], [{"value": _double(1.0), "partition": 0, "key": b"k"}] * 10)
    score_topic(COUNTER, kafka.servers, **topics)
    mover = Consumer({"bootstrap.servers": kafka.servers, "group.id": topics["group"]})
    mover.commit(offsets=[TopicPartition(topics["input_topic"], 0, 4)], asynchronous=False)
    mover.close()
    refused = run("run", COUNTER, bootstrap_servers=kafka.servers, until_end=True, **topics)
    assert refused.returncode == 3
    assert "the group is at offset 4, the saved state at 10" in refused.stderr
    assert "--on-state-mismatch" in refused.stderr
    score_topic(COUNTER, kafka.servers, on_state_mismatch="rebuild", **topics)
    assert _values(kafka.read(topics["output_topic"])) == [float(at) for at in [*range(1, 11), *range(5, 11)]]


def test_dropped_sessions_leave_tombstones(kafka, topics):
    sent = [{"value": _double(1.0), "partition": 0, "key": b"k%d" % at} for at in range(5)]
    kafka.send(topics["input_topic"], sent)
    score_topic(COUNTER, kafka.servers, max_sessions=2, **topics)
    changelog = kafka.read(changelog_name(topics["group"], topics["input_topic"]))
    last = {message.key(): message.value() for message in changelog}
    assert {key for key, value in last.items() if value is not None} == {b"=k3", b"=k4", b"@"}


@pytest.mark.parametrize(
    ("kind", "what", "operation", "text"),
    [
        (ResourceType.TOPIC, "output_topic", AclOperation.WRITE, "lacks Write on topic"),
        (ResourceType.TOPIC, "input_topic", AclOperation.READ, "lacks Read on topic"),
        (ResourceType.GROUP, "group", AclOperation.READ, "lacks Read on group"),
    ],
)
def test_a_missing_permission_stops_the_service_and_names_it(kind, what, operation, text, own_kafka, name):
    kafka = own_kafka
    topics = {
        "input_topic": kafka.create(name("in")),
        "output_topic": kafka.create(name("out")),
        "group": name("group"),
    }
    kafka.send(topics["input_topic"], [{"value": _double(1.0)}])
    kafka.forbid(kind, topics[what], operation)
    done = run("run", ECHO, bootstrap_servers=kafka.servers, until_end=True, **topics)
    assert done.returncode == 4, done.stderr
    assert f"user 'ANONYMOUS' {text} {topics[what]!r}. Allow it: kafka-acls.sh" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_model_without_action_is_refused(kafka, topics, tmp_path):
    model = tmp_path / "model.py"
    model.write_text("# fastscore.schema.0: double\n# fastscore.schema.1: double\ndef score(x):\n    return x\n")
    done = run("run", str(model), bootstrap_servers=kafka.servers, until_end=True, **topics)
    assert done.returncode == 3
    assert "no function action(). It defines score." in done.stderr


def test_a_hung_action_is_reported_before_the_group_expels_us(kafka, topics, tmp_path):
    model = tmp_path / "model.py"
    model.write_text(
        "# fastscore.schema.0: double\n# fastscore.schema.1: double\n"
        "import time\ndef action(x):\n    time.sleep(x)\n    yield x\n"
    )
    kafka.send(topics["input_topic"], [{"value": _double(4.0), "partition": 0}])
    slow = ["max.poll.interval.ms=6000", "session.timeout.ms=6000"]
    with Service(tmp_path / "log", str(model), kafka.servers, kafka=slow, **topics) as service:
        service.wait_for("the step in hand has taken")
        service.wait_for("time.sleep(x)")
        kafka.wait_for(topics["output_topic"], 1)


def test_an_operator_sees_an_idle_service_and_a_busy_one(kafka, topics, tmp_path):
    (port,) = free_ports(1)

    def get(path):
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/{path}", timeout=5) as answer:
            return answer.read().decode()

    def wait_for(true):
        deadline = time.monotonic() + 60
        while not true(status := json.loads(get("status"))):
            assert time.monotonic() < deadline, status
            time.sleep(0.05)

    with Service(tmp_path, COUNTER, kafka.servers, http=port, **topics) as service:
        service.wait_for("assigned ")
        wait_for(lambda status: status["ready"])  # the group and the broker have answered
        kafka.send(topics["input_topic"], [{"value": _double(1.0), "partition": 0, "key": b"k"}] * 7)
        kafka.wait_for(topics["output_topic"], 7)
        lag = f"{topics['input_topic']}[0]"
        wait_for(lambda status: (status["scores"], status["sessions"], status["lag"][lag]) == (7, 1, 0))
        assert get("readyz") == get("livez") == "ok\n"
        metrics = get("metrics")
        assert "stream_scorer_scores_total 7.0" in metrics
        assert f'stream_scorer_lag_records{{partition="0",topic="{topics["input_topic"]}"}} 0.0' in metrics


def test_replay_puts_rows_with_their_dates_on_a_topic(kafka, name, tmp_path):
    csv = tmp_path / "prices.csv"
    csv.write_text("Date,Close\n1950-01-03,16.66\n1970-01-02,93.00\n2007-06-01,1536.34\n")
    topic = name("replayed")
    done = run("replay", str(csv), topic=topic, key="SP500", create_topic=True, bootstrap_servers=kafka.servers)
    assert done.returncode == 0, done.stderr
    found = kafka.read(topic)
    assert _values(found) == [16.66, 93.0, 1536.34]
    assert [message.key() for message in found] == [b"SP500"] * 3
    assert [message.timestamp()[1] for message in found] == [-630_979_200_000, 86_400_000, 1_180_656_000_000]


def test_replay_for_a_model_gives_the_records_that_it_takes(kafka, name, tmp_path):
    csv = tmp_path / "prices.csv"
    csv.write_text("Date,Close,Volume\n1969-12-31,16.66,5\n1970-01-02,93.00,7\n")
    model = tmp_path / "bars.py"
    model.write_text("# fastscore.schema.0: bar\n# fastscore.schema.1: double\ndef action(x): raise AssertionError\n")
    fields = [("symbol", "string"), ("date", "string"), ("close", "double"), ("volume", "long")]
    schema = {"type": "record", "name": "Bar", "fields": [{"name": one, "type": kind} for one, kind in fields]}
    (tmp_path / "bar.avsc").write_text(json.dumps(schema))
    topic = name("bars")
    told = {"topic": topic, "create_topic": True, "bootstrap_servers": kafka.servers, "encoding": "json", "for": model}
    done = run("replay", str(csv), key="SP500", **told)
    assert done.returncode == 0, done.stderr
    found = kafka.read(topic)
    assert [json.loads(message.value()) for message in found] == [
        {"symbol": "SP500", "date": "1969-12-31", "close": 16.66, "volume": 5},
        {"symbol": "SP500", "date": "1970-01-02", "close": 93.0, "volume": 7},
    ]
    assert [(message.key(), message.timestamp()[1]) for message in found] == [(b"SP500", -DAY), (b"SP500", DAY)]
    wrong = run("replay", str(csv), adjusted=True, **told)
    assert (wrong.returncode, "Give one of the two" in wrong.stderr) == (2, True)


def test_a_start_before_1970_is_found_among_older_records(kafka, dated_topics):
    """Brokers look up no such time by themselves."""
    kafka.send(
        dated_topics["input_topic"],
        [
            {"value": _double(float(at)), "key": b"k", "partition": 0, "timestamp": (at - 10) * DAY}
            for at in range(1, 6)
        ],
    )
    score_topic(ECHO, kafka.servers, start="1969-12-25", **dated_topics)
    assert _values(kafka.read(dated_topics["output_topic"])) == [3.0, 4.0, 5.0]


def test_the_first_moment_of_1970_is_not_taken_for_now(kafka, topics, name, tmp_path):
    """librdkafka means the wall clock by 0: rows and scores of that day would lie in the present."""
    csv = tmp_path / "prices.csv"
    csv.write_text("Date,Close\n1969-12-31,1\n1970-01-01,2\n1970-01-02,3\n")
    source = name("epoch")
    done = run("replay", str(csv), topic=source, key="k", create_topic=True, bootstrap_servers=kafka.servers)
    assert done.returncode == 0, done.stderr
    score_topic(
        ECHO, kafka.servers, create_topics=True, **topics | {"input_topic": source, "output_topic": name("told")}
    )
    for topic in (source, name("told")):
        assert [message.timestamp()[1] for message in kafka.read(topic)] == [-DAY, 1, DAY]


def test_a_date_the_broker_refuses_is_told_of(kafka, name, tmp_path):
    csv = tmp_path / "prices.csv"
    csv.write_text("Date,Close\n2090-01-03,16.66\n")
    done = run("replay", str(csv), topic=name("future"), create_topic=True, bootstrap_servers=kafka.servers)
    assert done.returncode == 4
    assert "Is a date in the future" in done.stderr


def test_batched_and_one_by_one_models_give_the_same_scores(kafka, topics, name):
    kafka.send(
        topics["input_topic"],
        [{"value": _double(at * 0.1), "key": b"k%d" % (at % 5), "partition": 0} for at in range(500)],
    )
    score_topic(ROLLING_MEAN, kafka.servers, **topics)
    other = {**topics, "output_topic": kafka.create(name("batched"), 2), "group": name("batched")}
    score_topic(ROLLING_MEAN_BATCHED, kafka.servers, batch=37, **other)
    assert [m.value() for m in kafka.read(topics["output_topic"])] == [
        m.value() for m in kafka.read(other["output_topic"])
    ]
