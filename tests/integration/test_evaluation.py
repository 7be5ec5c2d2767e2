"""Live judgement on a real broker: every forecast joined with the next value of its key, once."""

from __future__ import annotations

import json
import math
import random
import signal
import struct
import time
import urllib.request
from collections import Counter

import pytest

from stream_scorer.codec.evaluations import EvaluationCodec
from support.brokers import free_ports
from support.service import MODELS, ROLLING_MEAN, ROLLING_MEAN_BATCHED, Service, run, score_topic
from tests.support.faults import Job

pytestmark = pytest.mark.broker
ECHO = str(MODELS / "echo_positive.py")
PROMPT = ["session.timeout.ms=3000", "heartbeat.interval.ms=500", "transaction.timeout.ms=5000"]


def _double(value):
    return struct.pack("<d", value)


def _number(data):
    return struct.unpack("<d", data)[0]


def _source(message):
    topic, partition, offset = dict(message.headers())["scorer-source"].decode().rsplit("/", 2)
    return topic, int(partition), int(offset)


def _offline(kafka, source, output):
    """What the evaluation topic must hold, from the other topics alone: by input place, what is said there."""
    scores = {_source(message)[1:]: _number(message.value()) for message in kafka.read(output)}
    rejected = set()
    if f"{source}.dead-letters" in kafka.admin.list_topics(timeout=10).topics:
        for message in kafka.read(f"{source}.dead-letters"):
            told = dict(message.headers())
            rejected.add((int(told["__streams.errors.partition"]), int(told["__streams.errors.offset"])))
    waiting, expected = {}, {}
    for message in kafka.read(source):
        place = message.partition(), message.offset()
        if place in rejected:
            continue
        actual = _number(message.value())
        series = message.partition(), message.key()
        if series in waiting:
            expected[place] = *waiting.pop(series), actual, message.key(), message.timestamp()[1]
        if place in scores:
            waiting[series] = place[1], scores[place], actual
    return expected


def _found(kafka, topic, source):
    """The evaluation topic in the same form, and how many of its records were there twice."""
    codec = EvaluationCodec()
    found, count = {}, Counter()
    for message in kafka.read(topic):
        said = codec.decode(message.value())
        came_from, partition, offset = _source(message)
        assert (came_from, partition, offset) == (source, message.partition(), said["actual_offset"])
        assert b"@" in dict(message.headers())["scorer-model"]
        assert said["error"] == said["forecast"] - said["actual"]
        assert said["naive_error"] == said["naive"] - said["actual"]
        count[partition, offset] += 1
        found[partition, offset] = (
            *(said[name] for name in ("forecast_offset", "forecast", "naive", "actual")),
            message.key(),
            message.timestamp()[1],
        )
    return found, sum(count.values()) - len(count)


def _inputs(count, seed, keys=7):
    rng = random.Random(seed)
    values = dict.fromkeys(range(keys), 100.0)
    for at in range(count):
        key = rng.randrange(keys)
        values[key] += rng.gauss(0, 1)
        bad = at % 50 == 49
        # What only `predict` refuses must not come before a key's window is full: it would stay in it.
        poisons = b"abc", _double(-1.0), _double(-2.0 if at > 400 else -1.0)
        value = poisons[at // 50 % 3] if bad else _double(values[key])
        yield {"value": value, "key": b"k%d" % key, "partition": key % 2, "timestamp": 1_000_000 + at}


@pytest.mark.parametrize("model", [ROLLING_MEAN, ROLLING_MEAN_BATCHED], ids=["one-by-one", "batched"])
@pytest.mark.parametrize("delivery", ["exactly-once", "at-least-once"])
def test_evaluations_are_the_join_of_scores_and_inputs(model, delivery, kafka, dated_topics):
    """In two runs, the second of which finds forecasts waiting that the first has made."""
    sent = list(_inputs(900, seed=1))
    for part in (sent[:500], sent[500:]):
        kafka.send(dated_topics["input_topic"], part)
        score_topic(model, kafka.servers, evaluate=True, batch=100, delivery=delivery, **dated_topics)
    expected = _offline(kafka, dated_topics["input_topic"], dated_topics["output_topic"])
    found, twice = _found(kafka, f"{dated_topics['output_topic']}-evaluation", dated_topics["input_topic"])
    assert len(expected) > 600
    assert (found, twice) == (expected, 0)


def test_killed_at_random_it_judges_every_forecast_once(kafka, dated_topics, tmp_path):
    """kill -9 in the middle of it, and a new process finds what waits."""
    kafka.send(dated_topics["input_topic"], _inputs(6_000, seed=2))
    rng = random.Random(3)
    for _ in range(8):
        kafka_options = [*PROMPT, "group.instance.id=only"]
        with Service(
            tmp_path, ROLLING_MEAN_BATCHED, kafka.servers, evaluate=True, batch=20, kafka=kafka_options, **dated_topics
        ) as service:
            service.wait_for("assigned ")
            time.sleep(rng.uniform(0, 0.3))
            service.kill()
    options = {"evaluate": True, "kafka": [*PROMPT, "group.instance.id=only"]}
    score_topic(ROLLING_MEAN_BATCHED, kafka.servers, **options, **dated_topics)
    expected = _offline(kafka, dated_topics["input_topic"], dated_topics["output_topic"])
    found, twice = _found(kafka, f"{dated_topics['output_topic']}-evaluation", dated_topics["input_topic"])
    assert len(expected) > 5_000
    assert (found, twice) == (expected, 0)


@pytest.mark.slow
def test_through_rebalances_it_judges_every_forecast_once(kafka, name, tmp_path):
    """Workers join, leave and die while records come: what waits moves with its partition."""
    job = Job(kafka, name("judged"), records=4_000, pace=500)
    start = lambda: job.service(tmp_path, evaluate=True)  # noqa: E731
    workers = [start(), start()]
    workers[0].wait_for("assigned ")
    job.start()
    for leaves in (Service.kill, Service.stop, Service.kill):
        time.sleep(1.2)
        workers.append(start())
        workers[-1].wait_for("ready: ")
        leaves(workers.pop(0))
        job.counts["kills"] += leaves is Service.kill
    job.finish()
    for worker in workers:
        assert worker.stop() == 0
    job.judge(*workers)
    expected = _offline(kafka, job.input, job.output)
    found, twice = _found(kafka, f"{job.output}-evaluation", job.input)
    assert len(expected) > 1_000
    assert (found, twice) == (expected, 0)


def test_a_model_without_state_is_judged_too_and_may_begin_to_be(kafka, topics):
    """A group that was not evaluated has offsets and no notes: no reason to stop."""
    kafka.send(topics["input_topic"], [{"value": _double(1.0), "key": b"k", "partition": 0}] * 3)
    score_topic(ECHO, kafka.servers, **topics)
    kafka.send(topics["input_topic"], [{"value": _double(at), "key": b"k", "partition": 0} for at in (2.0, 4.0)])
    score_topic(ECHO, kafka.servers, evaluate=True, **topics)
    kafka.send(topics["input_topic"], [{"value": _double(7.0), "key": b"k", "partition": 0}])
    score_topic(ECHO, kafka.servers, evaluate=True, **topics)
    codec = EvaluationCodec()
    said = [codec.decode(one.value()) for one in kafka.read(f"{topics['output_topic']}-evaluation")]
    assert [(one["forecast"], one["actual"], one["naive"]) for one in said] == [(2.0, 4.0, 2.0), (4.0, 7.0, 4.0)]


RECORDS = """\
last = None
def action(x):
    global last
    last = x["close"]
    yield {"symbol": x["symbol"], "close": last + 1, "low": last - 1, "high": last + 3}
"""


def test_records_of_json_and_their_intervals(kafka, topics, write_model):
    closes = [10.0, 11.0, 15.0, 14.0]
    kafka.send(
        topics["input_topic"],
        [{"value": json.dumps({"symbol": "S", "close": close}), "key": b"S", "partition": 1} for close in closes],
    )
    options = {"input_encoding": "json", "output_encoding": "json", "evaluation_topic": topics["group"] + "-judged"}
    score_topic(write_model(RECORDS), kafka.servers, evaluate=True, evaluate_field="close", **options, **topics)
    said = [json.loads(message.value()) for message in kafka.read(options["evaluation_topic"])]
    assert [(one["forecast"], one["actual"], one["low"], one["high"]) for one in said] == [
        (11.0, 11.0, 9.0, 13.0),
        (12.0, 15.0, 10.0, 14.0),
        (16.0, 14.0, 14.0, 18.0),
    ]
    told = run(
        "tail",
        bootstrap_servers=kafka.servers,
        until_end=True,
        json=True,
        output_topic=topics["output_topic"],
        evaluation_topic=options["evaluation_topic"],
        field="close",
        **{"from": "earliest"},
    )
    lines = [json.loads(line) for line in told.stdout.splitlines()]
    assert [(line["key"], line["error"], line["naive_error"]) for line in lines] == [
        ("S", 0.0, -1.0),
        ("S", -3.0, -4.0),
        ("S", 2.0, 1.0),
    ]
    assert lines[-1]["rmse"] == math.sqrt(13 / 3)
    assert lines[-1]["skill"] == 1 - 13 / 18
    assert told.stderr == ""


@pytest.fixture
def write_model(tmp_path):
    def write(text):
        path = tmp_path / "records.py"
        path.write_text(text)
        return str(path)

    return write


def test_metrics_and_status_tell_how_good_the_last_forecasts_were(kafka, dated_topics, tmp_path):
    (port,) = free_ports(1)
    kafka.send(dated_topics["input_topic"], _inputs(700, seed=4))
    (tmp_path / "reference.json").write_text(json.dumps([100.0 + at / 10 for at in range(-50, 50)]))
    reference = tmp_path / "reference.json"
    with Service(
        tmp_path,
        ROLLING_MEAN,
        kafka.servers,
        evaluate=True,
        http=port,
        reference=reference,
        evaluate_window=100,
        **dated_topics,
    ) as service:
        service.wait_for("assigned ")
        deadline = time.monotonic() + 60
        while kafka.committed(dated_topics["group"], dated_topics["input_topic"], [0, 1]) != _ends(
            kafka, dated_topics["input_topic"]
        ):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        time.sleep(0.3)  # the figures are those of what is committed: a moment after it is
        status = _get(port, "/status")
        metrics = _get(port, "/metrics")
        service.signal(signal.SIGTERM)
        assert service.wait() == 0
    expected = _offline(kafka, dated_topics["input_topic"], dated_topics["output_topic"])
    told = json.loads(status)
    assert (told["evaluations"], told["evaluations_missed"], told["evaluation_window"]) == (len(expected), 0, 100)
    assert told["forecast_rmse"] == pytest.approx(math.sqrt(told["forecast_mse"]))
    assert told["forecast_skill"] == pytest.approx(1 - told["forecast_mse"] / told["naive_mse"])
    assert 0 < told["forecast_mae"] <= told["forecast_rmse"]
    assert 0 < told["input_drift_ks"] <= 1
    assert "interval_coverage" not in told
    lines = metrics.splitlines()
    for name in ("forecast_mse", "forecast_mae", "forecast_rmse", "naive_mse", "forecast_skill", "input_drift_ks"):
        assert f"stream_scorer_{name} {told[name]}" in lines
    assert f"stream_scorer_evaluations_total {float(len(expected))}" in lines


def test_figures_go_on_after_a_restart(kafka, dated_topics, tmp_path):
    """What was judged is on the topic, so a new worker tells of it before anything new has come."""
    (port,) = free_ports(1)
    kafka.send(dated_topics["input_topic"], _inputs(700, seed=4))
    score_topic(ROLLING_MEAN, kafka.servers, evaluate=True, **dated_topics)
    codec = EvaluationCodec()
    kept = [codec.decode(one.value()) for one in kafka.read(f"{dated_topics['output_topic']}-evaluation")]
    with Service(tmp_path, ROLLING_MEAN, kafka.servers, evaluate=True, http=port, **dated_topics) as service:
        service.wait_for("ready: ")
        told = json.loads(_get(port, "/status"))
        service.signal(signal.SIGTERM)
        assert service.wait() == 0
    assert (told["evaluations"], told["evaluation_window"]) == (0, len(kept))
    assert told["forecast_mse"] == pytest.approx(sum(one["error"] ** 2 for one in kept) / len(kept))


def _get(port, path):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
        return answer.read().decode()


def _ends(kafka, topic):
    counts = Counter(message.partition() for message in kafka.read(topic))
    return [counts[0], counts[1]]


def test_tail_reads_what_is_committed_and_joins_no_group(kafka, dated_topics):
    kafka.send(dated_topics["input_topic"], _inputs(600, seed=5))
    score_topic(ROLLING_MEAN, kafka.servers, evaluate=True, **dated_topics)
    evaluations = f"{dated_topics['output_topic']}-evaluation"
    where = {"bootstrap_servers": kafka.servers, "output_topic": dated_topics["output_topic"], "from": "earliest"}
    told = run("tail", until_end=True, json=True, **where)
    lines = [json.loads(line) for line in told.stdout.splitlines()]
    codec = EvaluationCodec()
    kept = [codec.decode(message.value()) for message in kafka.read(evaluations)]
    assert sorted((line["forecast"], line["actual"]) for line in lines) == sorted(
        (one["forecast"], one["actual"]) for one in kept
    )
    groups = {one.group_id for one in kafka.admin.list_consumer_groups().result(30).valid}
    assert "stream-scorer-tail" not in groups

    plain = run("tail", limit=3, **where)
    assert plain.returncode == 0
    assert [line.split()[0] for line in plain.stdout.splitlines()] == ["time", *["1970-01-01"] * 3]
    assert "\x1b" not in plain.stdout

    later = run("tail", until_end=True, json=True, **{**where, "from": "1000500"})
    assert min(json.loads(line)["timestamp"] for line in later.stdout.splitlines()) >= 1_000_500

    wrong = run("tail", evaluation_topic="no-such-topic", bootstrap_servers=kafka.servers)
    assert (wrong.returncode, wrong.stdout) == (4, "")
    assert "topic 'no-such-topic'" in wrong.stderr


def test_tail_reads_the_records_of_a_model_and_says_what_it_needs(kafka, topics, tmp_path):
    model = tmp_path / "tomorrow.py"
    model.write_text(
        "# fastscore.schema.0: quote\n# fastscore.schema.1: quote\ndef action(x):\n    yield {'close': x['close'] + 1}\n"
    )
    fields = [{"name": "close", "type": "double"}]
    (tmp_path / "quote.avsc").write_text(json.dumps({"type": "record", "name": "Quote", "fields": fields}))
    kafka.send(topics["input_topic"], [{"value": _double(at), "key": b"k", "partition": 0} for at in (2.0, 4.0)])
    score_topic(str(model), kafka.servers, evaluate=True, evaluate_field="close", **topics)
    where = {
        "bootstrap_servers": kafka.servers,
        "output_topic": topics["output_topic"],
        "until_end": True,
        "json": True,
    }
    where["from"] = "earliest"
    told = run("tail", field="close", **{"for": model}, **where)
    assert [json.loads(line)["forecast"] for line in told.stdout.splitlines()] == [3.0]
    assert told.stderr == ""
    # A double reads as a record of one: without a field it is no number, and is not shown.
    told = run("tail", **{"for": "no-such-model"}, **where)
    assert (told.returncode, "no such file" in told.stderr) == (3, True)


def test_tail_shows_what_was_before_1970(kafka, dated_topics):
    records = [
        {"value": _double(float(at)), "key": b"k", "partition": 0, "timestamp": (at - 10) * 86_400_000}
        for at in range(1, 8)
    ]
    kafka.send(dated_topics["input_topic"], records)
    score_topic(ECHO, kafka.servers, evaluate=True, **dated_topics)
    where = {
        "bootstrap_servers": kafka.servers,
        "output_topic": dated_topics["output_topic"],
        "until_end": True,
        "json": True,
    }
    for start, expected in (("earliest", [2, 3, 4, 5, 6, 7]), ("1969-12-27", [5, 6, 7]), ("1970-01-01", [])):
        told = run("tail", **where, **{"from": start})
        assert [json.loads(line)["actual"] for line in told.stdout.splitlines()] == expected, told.stderr


@pytest.mark.parametrize(
    ("options", "code", "text"),
    [
        ({"evaluation_topic": "x"}, 2, "need --evaluate"),
        ({"evaluate": True, "reference": "/no/such.json"}, 2, "reference sample /no/such.json: cannot be read as JSON"),
    ],
)
def test_a_wrong_setting_is_told(options, code, text, kafka, topics):
    done = run("run", ECHO, bootstrap_servers=kafka.servers, until_end=True, **options, **topics)
    assert done.returncode == code
    assert text in done.stderr
    assert "Traceback" not in done.stderr


def test_an_evaluation_topic_of_too_few_partitions_is_refused(kafka, topics):
    topic = kafka.create(topics["group"] + "-few", 1)
    done = run(
        "run", ECHO, bootstrap_servers=kafka.servers, until_end=True, evaluate=True, evaluation_topic=topic, **topics
    )
    assert done.returncode == 2
    assert "evaluations keep their input's partition number" in done.stderr
