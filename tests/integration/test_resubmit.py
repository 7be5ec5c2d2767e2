"""`dead-letters resubmit` on a real broker: each record once, and what is said of it is true."""

from __future__ import annotations

import collections
import subprocess
import time

import pytest

from stream_scorer.errors import BrokerError
from stream_scorer.kafka import config as kafka_config
from stream_scorer.kafka.dead_letters import read_dead_letters
from stream_scorer.kafka.resubmit import Resubmission
from stream_scorer.kafka.rights import receipts_topic
from support.service import command, run

pytestmark = pytest.mark.broker
HOUR = 3_600_000


def _letter(source, value, partition=0, key=b"k", timestamp=None, **more):
    """A dead letter as a service writes it; `more`: names under __scorer."""
    told = {"topic": source, "partition": str(partition), "offset": "0"}
    headers = [("mine", b"1"), *((f"__streams.errors.{name}", text) for name, text in told.items())]
    headers += [(f"__scorer.{name.replace('_', '.')}", text) for name, text in more.items()]
    return {"value": value, "key": key, "partition": 0, "headers": headers, "timestamp": timestamp or _now()}


def _now():
    return time.time_ns() // 1_000_000


def test_each_record_goes_back_once_and_those_that_cannot_are_named(kafka, name):
    source, dead = kafka.create(name("in"), 2, max_message_bytes="20000"), kafka.create(name("dead"))
    gone = name("gone")
    letters = [
        _letter(source, b"a", partition=1, timestamp=_now() - 5),
        _letter(source, b"cut", value_length="10"),
        {"value": b"whose", "partition": 0},
        _letter(source, b"later"),
        _letter(source, b"tomorrow"),
        _letter(source, b"x" * 30_000),
        _letter(source, b"beyond", partition=7),
        _letter(gone, b"homeless"),
        _letter(source, b"k", key=b"in/0/0", key_null="true"),
        *(_letter(source, b"%d" % at) for at in range(30)),
    ]
    letters[4]["headers"].append(("__scorer.timestamp", str(_now() + 9 * HOUR)))
    kafka.send(dead, letters)
    where = {"topic": dead, "input_topic": source, "bootstrap_servers": kafka.servers}
    secret = kafka.create(name("secret"))
    kafka.send(dead, [_letter(secret, b"forged")])

    done = run("dead-letters", "resubmit", "0@0", "0@0", **where)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"1 re-submitted to where they came from; they stay on {dead} as well\n"
    (back,) = kafka.wait_for(source, 1)
    told = (back.value(), back.key(), back.partition(), back.timestamp()[1])
    assert told == (b"a", b"k", 1, letters[0]["timestamp"])
    assert back.headers() == [("mine", b"1"), ("__scorer.resubmitted", f"{dead}/0/0".encode())]

    done = run("dead-letters", "resubmit", "0@0", **where)
    assert (done.returncode, done.stderr) == (0, "")
    assert "0 re-submitted" in done.stdout
    assert "1 were re-submitted before" in done.stdout

    done = run("dead-letters", "resubmit", all=True, allow=gone, **where)
    assert done.returncode == 1
    assert "32 re-submitted" in done.stdout
    assert "1 were re-submitted before (--again sends them once more). 7 were not, see above" in done.stdout
    refused = {
        "0@1": "its value is incomplete (3 of 10 bytes)",
        "0@2": "do not say where it came from: give --to TOPIC",
        "0@4": f"topic '{source}' does not take its timestamp",
        "0@5": "max.message.bytes",
        "0@6": f"topic '{source}' has 2 partitions, and it came from partition 7",
        "0@7": f"topic '{gone}' does not exist",
        "0@39": f"came from topic '{secret}', and this command may write to",
    }
    lines = dict(line.removeprefix("stream-scorer dead-letters: ").split(": ", 1) for line in done.stderr.splitlines())
    assert lines.keys() == refused.keys()
    for place, text in refused.items():
        assert text in lines[place]
    values = [b"a", b"later", b"k", *(b"%d" % at for at in range(30))]
    assert collections.Counter(one.value() for one in kafka.wait_for(source, 33)) == collections.Counter(values)
    assert [one.key() for one in kafka.read(source) if one.value() == b"k"] == [None]

    done = run("dead-letters", "resubmit", all=True, **where)
    assert (done.returncode, len(kafka.read(source))) == (1, 33)
    assert "0 re-submitted" in done.stdout
    assert "33 were re-submitted before" in done.stdout
    listed = run("dead-letters", "list", **where).stdout
    assert "40 dead letters, 33 of them re-submitted" in listed
    assert listed.count("(re-submitted)") == 33
    other = kafka.create(name("other"))
    assert "2 re-submitted" in run("dead-letters", "resubmit", "0@0", "0@2", to=other, **where).stdout
    assert "2 re-submitted" in run("dead-letters", "resubmit", "0@0", "0@8", again=True, **where).stdout
    assert (len(kafka.wait_for(source, 35)), len(kafka.wait_for(other, 2))) == (35, 2)
    assert kafka.read(secret) == []
    assert "1 re-submitted" in run("dead-letters", "resubmit", "0@39", **where | {"input_topic": secret}).stdout
    nowhere = run("dead-letters", "resubmit", "0@39", topic=dead, bootstrap_servers=kafka.servers)
    assert (nowhere.returncode, "needs --input-topic" in nowhere.stderr) == (2, True)
    done = run("dead-letters", "resubmit", "0@0", to=gone, **where)
    assert (done.returncode, f"topic '{gone}' (--to) does not exist" in done.stderr) == (4, True)


def test_killed_halfway_with_a_full_queue_and_begun_again(kafka, name):
    source, dead = kafka.create(name("in"), 3), kafka.create(name("dead"))
    count = 2_000
    kafka.send(dead, [_letter(source, b"%d" % at, partition=at % 3) for at in range(count)])
    full = ["queue.buffering.max.messages=10", "linger.ms=20"]
    options = {"topic": dead, "input_topic": source, "bootstrap_servers": kafka.servers, "all": True, "kafka": full}
    going = subprocess.Popen(command("dead-letters", "resubmit", **options))
    deadline = time.monotonic() + 60
    while not kafka.read(source) or len(kafka.read(source, "read_uncommitted")) == len(kafka.read(source)):
        assert going.poll() is None
        assert time.monotonic() < deadline
    going.kill()
    going.wait()
    sent = len(kafka.read(source))
    assert 0 < sent < count
    options["kafka"] = ["queue.buffering.max.messages=100"]
    done = run("dead-letters", "resubmit", **options)
    assert done.returncode == 0, done.stderr
    found = kafka.wait_for(source, count)
    assert sorted(int(one.value()) for one in found) == list(range(count))
    told = [int(text.split(" ")[0].replace(",", "")) for text in (done.stdout, done.stdout.split("well. ")[1])]
    assert sum(told) == count


def test_of_two_at_once_the_later_goes_on(kafka, name):
    source, dead = kafka.create(name("in")), kafka.create(name("dead"))
    notes = kafka.create(receipts_topic(dead))
    kafka.send(dead, [_letter(source, b"%d" % at) for at in range(10)])
    reader = kafka_config.consumer(kafka.servers, "reader", {})
    letters = list(read_dead_letters(reader, dead))
    properties = kafka_config.transactional_producer(kafka.servers, name("id"), {})
    first = Resubmission(properties, notes, "id")
    first.send(first.new(letters[:4], reader))
    second = Resubmission(properties, notes, "id")
    with pytest.raises(BrokerError, match="another resubmit of the same dead letters has begun"):
        first.send(letters)
    assert (first.outcome.sent, first.outcome.unsure) == (4, 0)
    second.send(second.new(letters, reader))
    assert (second.outcome.sent, second.outcome.known) == (6, 4)
    assert [one.value() for one in kafka.wait_for(source, 10)] == [b"%d" % at for at in range(10)]
