"""What a broker, a topic, a client or a model refuses costs one record: topics as a default broker has them."""

from __future__ import annotations

import hashlib
import struct
import time

import pytest
from confluent_kafka import Producer

from support.service import MODELS, ROLLING_MEAN, run, score_topic
from tests.support.proxy import Proxy
from tests.support.raw import send_raw

pytestmark = pytest.mark.broker
ECHO = str(MODELS / "echo_positive.py")
DELIVERIES = ["exactly-once", "at-least-once"]
HOUR = 3_600_000
TEXT = "# fastscore.schema.0: text\n# fastscore.schema.1: text\n"


def _double(value):
    return struct.pack("<d", value)


def _now():
    return round(time.time() * 1000)


def _value(number, **more):
    return {"value": _double(float(number)), "key": b"k", "partition": 0, **more}


def _send_large(kafka, topic, *records):
    producer = Producer({"bootstrap.servers": kafka.servers, "message.max.bytes": 10_000_000})
    failed = []
    for record in records:
        producer.produce(topic, on_delivery=lambda error, _: failed.append(error) if error else None, **record)
    assert producer.flush(30) == 0
    assert not failed


def _scored(kafka, topics):
    """Each value once, in the order in which each came last: at least once may repeat some."""
    values = [struct.unpack("<d", one.value())[0] for one in kafka.read(topics["output_topic"])]
    return list(dict.fromkeys(reversed(values)))[::-1]


def _letters(kafka, topics):
    """By offset of the input; the last where there are several."""
    found = {}
    for letter in kafka.read(f"{topics['input_topic']}.dead-letters"):
        told = dict(letter.headers())
        found[int(told["__streams.errors.offset"])] = letter, told
    return found


def _model(tmp_path, code, head="# fastscore.schema.0: double\n# fastscore.schema.1: double\n"):
    path = tmp_path / "model.py"
    path.write_text(head + code)
    return str(path)


def test_a_bad_value_that_nearly_fills_a_record_is_kept_whole_or_cut(kafka, topics):
    """A broker with defaults takes 1,048,588 bytes: the value, and what says why it was rejected, are more."""
    whole, cut = b"x" * 1_040_000, b"y" * 1_048_450
    _send_large(kafka, topics["input_topic"], _value(1), _value(2, value=whole), _value(3, value=cut), _value(4))
    score_topic(ECHO, kafka.servers, **topics)
    assert _scored(kafka, topics) == [1.0, 4.0]
    letters = _letters(kafka, topics)
    assert letters[1][0].value() == whole
    letter, told = letters[2]
    assert 1_040_000 < len(letter.value()) < len(cut)
    assert cut.startswith(letter.value())
    assert told["__scorer.value.length"] == b"1048450"
    assert told["__scorer.value.sha256"] == hashlib.sha256(cut).hexdigest().encode()

    where = {"topic": f"{topics['input_topic']}.dead-letters", "bootstrap_servers": kafka.servers}
    place = f"{letter.partition()}@{letter.offset()}"
    assert "1048450" in run("dead-letters", "show", place, **where).stdout
    refused = run("dead-letters", "resubmit", place, **where)
    assert refused.returncode == 1
    assert "0 re-submitted" in refused.stdout
    assert f"{place}: its value is incomplete" in refused.stderr
    assert f"{topics['input_topic']}[0]@2" in refused.stderr


def test_keys_as_large_as_a_broker_takes(kafka, topics):
    key = b"k" * 1_048_400
    _send_large(
        kafka,
        topics["input_topic"],
        *[_value(1, key=b"a" * 900_000), _value(-2, key=key), _value(3, key=key), _value(4)],
    )
    score_topic(ECHO, kafka.servers, **topics)
    assert _scored(kafka, topics) == [1.0, 4.0]
    letters = _letters(kafka, topics)
    assert {at: told["__scorer.stage"] for at, (_, told) in letters.items()} == {1: b"action", 2: b"publish"}
    letter, told = letters[1]
    assert key.startswith(letter.key())
    assert (told["__scorer.key.length"], letter.value()) == (b"1048400", _double(-2.0))


@pytest.mark.parametrize("delivery", DELIVERIES)
def test_a_score_or_a_state_over_the_limit_costs_its_record(delivery, kafka, topics, tmp_path):
    model = _model(
        tmp_path,
        "kept = ''\n"
        "def action(x):\n"
        "    global kept\n"
        "    if x == 3: yield 'x' * 2_000_000\n"
        "    if x == 5: kept = 'x' * 2_000_000\n"
        "    yield f'{x:.0f} {len(kept)}'\n",
        "# fastscore.schema.0: double\n# fastscore.schema.1: string\n",
    )
    (tmp_path / "string.avsc").write_text('"string"')
    kafka.send(topics["input_topic"], [_value(at) for at in range(10)])
    score_topic(model, kafka.servers, delivery=delivery, schema=[f"string={tmp_path / 'string.avsc'}"], **topics)
    found = dict.fromkeys(one.value()[1:].decode() for one in kafka.read(topics["output_topic"]))
    kept = [f"{at} 0" for at in (0, 1, 2, 4, 6, 7, 8, 9)]
    # Of a record with several outputs at least once may show those that were taken.
    assert list(found) == kept if delivery == "exactly-once" else found.keys() == {*kept, "3 0"}
    letters = _letters(kafka, topics)
    assert {at: told["__scorer.stage"] for at, (_, told) in letters.items()} == {3: b"publish", 5: b"publish"}
    message = letters[3][1]["__streams.errors.message"].decode()
    assert topics["output_topic"] in message
    assert "1,048,588" in message
    assert "--kafka message.max.bytes=N" in message


@pytest.mark.parametrize("delivery", DELIVERIES)
def test_a_timestamp_that_a_topic_refuses(delivery, kafka, topics, name):
    """On input it was taken; the output and the dead letters have the default of one hour ahead."""
    topics["input_topic"] = kafka.create(name("ahead"), 2, message_timestamp_after_max_ms=str(9 * HOUR))
    ahead = _now() + 5 * HOUR
    sent = [_value(at) for at in range(1, 2000)]
    sent[700]["timestamp"] = sent[1500]["timestamp"] = ahead
    sent[1700]["value"] = b"abc"
    sent[1700]["timestamp"] = ahead
    kafka.send(topics["input_topic"], sent)
    score_topic(ECHO, kafka.servers, delivery=delivery, **topics)
    assert _scored(kafka, topics) == [float(at) for at in range(1, 2000) if at not in (701, 1501, 1701)]
    letters = _letters(kafka, topics)
    assert letters.keys() == {700, 1500, 1700}
    letter, told = letters[1500]
    assert (letter.key(), letter.value()) == (b"k", _double(1501.0))
    assert abs(letter.timestamp()[1] - _now()) < HOUR
    assert told["__scorer.timestamp"] == str(ahead).encode()
    assert "message.timestamp.after.max.ms" in told["__streams.errors.message"].decode()
    assert {at: told["__scorer.stage"] for at, (_, told) in letters.items()} == {
        **dict.fromkeys((700, 1500), b"publish"),
        1700: b"decode",
    }
    where = {"topic": f"{topics['input_topic']}.dead-letters", "bootstrap_servers": kafka.servers}
    done = run("dead-letters", "resubmit", f"{letter.partition()}@{letter.offset()}", **where)
    assert done.returncode == 0, done.stderr
    assert kafka.read(topics["input_topic"])[-1].timestamp()[1] == ahead


@pytest.mark.parametrize("delivery", DELIVERIES)
def test_no_key_and_a_compacted_topic(delivery, kafka, topics, name):
    topics["output_topic"] = kafka.create(name("compacted"), 2, cleanup_policy="compact")
    kafka.create(f"{topics['input_topic']}.dead-letters", 2, cleanup_policy="compact")
    sent = [_value(at) for at in range(1, 300)]
    sent[100]["key"] = None
    sent[200] = {"key": None, "value": b"abc", "partition": 0}
    kafka.send(topics["input_topic"], sent)
    score_topic(ECHO, kafka.servers, delivery=delivery, **topics)
    assert _scored(kafka, topics) == [float(at) for at in range(1, 300) if at not in (101, 201)]
    letters = _letters(kafka, topics)
    assert letters.keys() == {100, 200}
    for at in (100, 200):
        letter, told = letters[at]
        assert letter.key() == f"{topics['input_topic']}/0/{at}".encode()
        assert told["__scorer.key.null"] == b"true"
    assert "without a key" in letters[100][1]["__streams.errors.message"].decode()
    where = {"topic": f"{topics['input_topic']}.dead-letters", "bootstrap_servers": kafka.servers}
    letter = letters[200][0]
    assert run("dead-letters", "resubmit", f"{letter.partition()}@{letter.offset()}", **where).returncode == 0
    back = kafka.read(topics["input_topic"])[-1]
    assert (back.key(), back.value()) == (None, b"abc")


@pytest.mark.parametrize("delivery", DELIVERIES)
def test_a_stateful_model_scores_as_if_what_is_refused_had_never_been(delivery, kafka, topics):
    kafka.create(f"{topics['input_topic']}.dead-letters", 2)
    sent = [_value(at % 17, key=b"k%d" % (at % 3)) for at in range(3000)]
    refused = (300, 1234, 2999)
    for at in refused:
        sent[at]["headers"] = [("large", b"x" * 1_048_400)]
    windows, expected = {}, []
    for at, record in enumerate(sent):
        if at in refused:
            continue
        window = windows.setdefault(record["key"], [])
        window.append(float(at % 17))
        if len(window) >= 30:
            expected.append((at, sum(window[-30:]) / 30))
    _send_large(kafka, topics["input_topic"], *sent)
    score_topic(ROLLING_MEAN, kafka.servers, delivery=delivery, pass_headers=True, **topics)
    found = {}
    for one in kafka.read(topics["output_topic"]):
        offset = int(dict(one.headers())["scorer-source"].rpartition(b"/")[2])
        found[offset] = struct.unpack("<d", one.value())[0]  # the last one counts
    assert found == dict(expected)
    assert _letters(kafka, topics).keys() == set(refused)


def test_a_header_name_that_is_no_utf8(kafka, topics):
    headers = [(b"good", b"1"), (b"b\xffd", b"2")]
    for number, key in ((1.0, b"k"), (-2.0, b"k")):
        send_raw(kafka.servers, topics["input_topic"], _double(number), key, headers)
    kafka.send(topics["input_topic"], [_value(3, headers=[("none", None), ("some", b"1")])])
    done = score_topic(ECHO, kafka.servers, pass_headers=True, **topics)
    first, last = kafka.read(topics["output_topic"])
    assert {name for name, _ in first.headers()} == {"scorer-source", "scorer-model"}
    assert dict(last.headers())["none"] is None
    assert "a header's name is not UTF-8" in done.stderr
    letter, told = _letters(kafka, topics)[1]
    assert told["__scorer.headers.unreadable"]
    assert (letter.value(), letter.key()) == (_double(-2.0), b"k")


def test_headers_so_many_that_no_score_can_have_them(kafka, topics):
    many = [(f"h{at}", b"x" * 1000) for at in range(1020)]
    _send_large(kafka, topics["input_topic"], _value(1), _value(2, headers=many), _value(-3, headers=many), _value(4))
    score_topic(ECHO, kafka.servers, pass_headers=True, **topics)
    assert _scored(kafka, topics) in ([1.0, 2.0, 4.0], [1.0, 4.0])
    assert _letters(kafka, topics)[2][0].value() == _double(-3.0)


RAISES = {
    "KeyboardInterrupt": "raise KeyboardInterrupt",
    "GeneratorExit": "raise GeneratorExit",
    "CancelledError": "import asyncio; raise asyncio.CancelledError",
    "of its own": "class Odd(BaseException): pass\n        raise Odd",
    "its str raises": "class Odd(Exception):\n            def __str__(self): raise KeyboardInterrupt\n        raise Odd",
    "its repr raises": "class Odd(Exception):\n            def __repr__(self): raise Odd\n        raise Odd(Odd())",
    "100 MB of text": "raise ValueError('x' * 100_000_000)",
    "no end": "action(x)",
    "at its close": "try:\n            yield object()\n        finally:\n            raise GeneratorExit",
}


@pytest.mark.parametrize("case", RAISES)
def test_whatever_a_model_raises_costs_one_record(case, kafka, topics, tmp_path):
    model = _model(tmp_path, f"def action(x):\n    if x == 2:\n        {RAISES[case]}\n    yield x\n")
    if case == "no end":
        model = _model(tmp_path, "def action(x):\n    return action(x) if x == 2 else x\n")
    kafka.send(topics["input_topic"], [_value(at) for at in (1, 2, 3)])
    score_topic(model, kafka.servers, **topics)
    assert _scored(kafka, topics) == [1.0, 3.0]
    assert _letters(kafka, topics).keys() == {1}


def test_batches_larger_than_a_topic_takes_are_made_smaller(kafka, topics, name):
    """No record is at fault: librdkafka sends many at once, and splits no batch that a topic finds too large."""
    topics["output_topic"] = kafka.create(name("small"), 2, max_message_bytes="20000")
    kafka.send(topics["input_topic"], [_value(at) for at in range(2000)])
    score_topic(ECHO, kafka.servers, **topics)
    assert _scored(kafka, topics) == [float(at) for at in range(2000)]


def test_a_dead_letter_that_its_topic_never_takes_stops_the_service_at_that_record(kafka, topics):
    kafka.create(f"{topics['input_topic']}.dead-letters", 2, max_message_bytes="200")
    kafka.send(topics["input_topic"], [_value(1), _value(2, value=b"abc"), _value(3)])
    done = run("run", ECHO, bootstrap_servers=kafka.servers, until_end=True, **topics)
    assert done.returncode == 4
    assert f"{topics['input_topic']}[0]@1: rejected, and its dead letter is refused" in done.stderr
    assert hashlib.sha256(b"abc").hexdigest() in done.stderr
    assert kafka.committed(topics["group"], topics["input_topic"]) == [1]
    assert _scored(kafka, topics) == [1.0]
    score_topic(ECHO, kafka.servers, on_bad_record="skip", **topics)
    assert _scored(kafka, topics) == [1.0, 3.0]


def test_on_bad_record_fail_stops_at_what_is_refused(kafka, topics):
    kafka.send(topics["input_topic"], [_value(1), _value(2, key=b"k" * 900_000), _value(3)])
    done = run(
        "run",
        ECHO,
        bootstrap_servers=kafka.servers,
        until_end=True,
        on_bad_record="fail",
        kafka=["message.max.bytes=800000"],
        **topics,
    )
    assert done.returncode == 3
    assert f"{topics['input_topic']}[0]@1: {topics['output_topic']}: 900,000 bytes of key" in done.stderr


def test_a_slow_model_with_a_backlog_commits(kafka, topics, tmp_path):
    model = _model(tmp_path, "import time\ndef action(x):\n    time.sleep(0.04)\n    yield x\n")
    kafka.send(topics["input_topic"], [_value(at) for at in range(200)])
    slow = ["max.poll.interval.ms=6000", "session.timeout.ms=6000"]
    done = score_topic(model, kafka.servers, kafka=slow, **topics)
    assert _scored(kafka, topics) == [float(at) for at in range(200)]
    assert "0 aborts" in done.stderr.splitlines()[-1]


def test_a_producer_so_slow_that_large_batches_are_fenced_makes_progress(own_broker, own_kafka, topics):
    """50 kB/s, 5 s for a transaction: of 150 bytes a score, a batch of 10,000 would take 30 s."""
    kafka = own_kafka
    kafka.send(topics["input_topic"], [_value(at) for at in range(6000)])
    proxy = Proxy(int(own_broker.proxied.rpartition(":")[2]), own_broker.behind_proxy, rate=50_000)
    try:
        settings = ["transaction.timeout.ms=5000", "compression.type=none"]
        score_topic(ECHO, own_broker.proxied, kafka=settings, **topics)
    finally:
        proxy.close()
    assert _scored(kafka, topics) == [float(at) for at in range(6000)]
