"""A broker with ACLs: what --show-acls lists is enough, and with one right fewer the error names that one and the user."""

from __future__ import annotations

import logging
import os
import threading
import time

import pytest

from stream_scorer import Service
from stream_scorer.cli import main
from stream_scorer.errors import BrokerError
from support.kafka import Kafka
from support.service import ROLLING_MEAN
from tests.support.acls import Guarded, listed

pytestmark = pytest.mark.broker
HANG_S = 60.0
"""Ends a test that hangs. What is promised is 15 s; a machine may be slow."""
JSON = {"input_encoding": "json", "output_encoding": "json"}


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch):
    for name in [name for name in os.environ if name.startswith("STREAM_SCORER_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def guarded(secured, name):
    return Guarded(secured, name("user"))


@pytest.fixture
def kafka(secured):
    return Kafka(secured.servers)


@pytest.fixture
def shown(capfd):
    """What a command line with --show-acls lists. No broker is asked: there is none at its address."""

    def show(*words):
        capfd.readouterr()
        given = [*words, "--show-acls", "--bootstrap-servers", "127.0.0.1:9"]
        assert main(given) == 0
        rights = listed(capfd.readouterr().out)
        assert rights
        return rights

    return show


def _topics(name):
    return {"input_topic": name("in"), "output_topic": name("out"), "group": name("g")}


def _flags(settings):
    return [
        word
        for key, value in settings.items()
        for word in (f"--{key.replace('_', '-')}", *([] if value is True else [value]))
    ]


def _run(guarded, **settings):
    return Service(ROLLING_MEAN, bootstrap_servers=guarded.servers, kafka=guarded.properties, until_end=True,
                   **{**JSON, **settings}).run()  # fmt: skip


def _as(guarded):
    return ["--kafka", f"sasl.username={guarded.name}", "--kafka", "security.protocol=sasl_ssl",
            "--kafka", "sasl.mechanisms=SCRAM-SHA-512"]  # fmt: skip


def _named(caught, guarded, right):
    assert f"user {guarded.name!r} lacks {right.text}. Allow it: kafka-acls.sh" in str(caught)


def test_run_needs_what_is_listed_and_nothing_less(kafka, guarded, shown, name, caplog):
    topics = _topics(name)
    settings = {**topics, "evaluate": True}
    rights = shown("run", ROLLING_MEAN, *_flags(settings), *_as(guarded))
    needed = [right for right in rights if right.always]
    assert len(needed) == 9
    kafka.create(topics["input_topic"])
    kafka.create(topics["output_topic"])
    kafka.send(topics["input_topic"], [{"value": b"1", "key": b"k"}] * 32 + [{"value": b'"x"'}])
    guarded.allow(rights)
    totals = _run(guarded, **settings)
    assert (totals.records, totals.rejects) == (33, 1)
    for right in needed:
        with guarded.without(right):
            with pytest.raises(BrokerError) as caught:
                _run(guarded, **settings)
            _named(caught.value, guarded, right)
    # Topics that exist need no Create; what only warns does not stop it.
    configs = [right for right in rights if right.operation == "DescribeConfigs"]
    for right in [right for right in rights if right.operation == "Create"] + configs:
        guarded.forbid(right)
    logging.getLogger("stream_scorer").propagate = True  # the command above has set the log up
    _run(guarded, **settings)
    for right in configs:
        assert right.text in caplog.text


def test_at_least_once_needs_no_transactional_id(kafka, guarded, shown, name):
    topics = _topics(name)
    settings = {**topics, "delivery": "at-least-once", "on_bad_record": "skip"}
    rights = shown("run", ROLLING_MEAN, *_flags(settings), *_as(guarded))
    kafka.create(topics["input_topic"])
    kafka.create(topics["output_topic"])
    kafka.send(topics["input_topic"], [{"value": b"1"}] * 32)
    guarded.allow(rights)
    assert _run(guarded, **settings).records == 32
    for right in [right for right in rights if right.always]:
        with guarded.without(right):
            with pytest.raises(BrokerError) as caught:
                _run(guarded, **settings)
            _named(caught.value, guarded, right)


def test_topics_that_are_created_need_create(guarded, shown, name):
    settings = {**_topics(name), "create_topics": True}
    rights = shown("run", ROLLING_MEAN, *_flags(settings), *_as(guarded))
    creates = [right for right in rights if right.operation == "Create"]
    assert len(creates) == 4
    guarded.allow([right for right in rights if right not in creates])
    for right in creates:  # each topic is missing until the right comes, and the next one then
        with pytest.raises(BrokerError) as caught:
            _run(guarded, **settings)
        missing = [right for right in creates if right.text in str(caught.value)]
        assert len(missing) == 1
        _named(caught.value, guarded, missing[0])
        guarded.allow(missing)
    assert _run(guarded, **settings).records == 0


@pytest.mark.parametrize("delivery", ["exactly-once", "at-least-once"])
def test_a_right_that_is_withdrawn_is_named(delivery, kafka, guarded, shown, name):
    topics = _topics(name)
    settings = {**topics, "delivery": delivery}
    rights = shown("run", ROLLING_MEAN, *_flags(settings), *_as(guarded))
    kafka.create(topics["input_topic"])
    kafka.create(topics["output_topic"])
    guarded.allow(rights)
    service = Service(ROLLING_MEAN, bootstrap_servers=guarded.servers, kafka=guarded.properties, **JSON, **settings)
    errors = []

    def work():
        try:
            service.run()
        except BrokerError as error:
            errors.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        deadline = time.monotonic() + HANG_S
        while service.status().get("phase") != "running":
            assert time.monotonic() < deadline, service.status()
            time.sleep(0.05)
        (right,) = [right for right in rights if right.text == f"Write on topic {topics['output_topic']!r}"]
        guarded.forbid(right)
        kafka.send(topics["input_topic"], [{"value": b"1"}] * 32)
        thread.join(HANG_S)
    finally:
        service.stop()
        thread.join()
    _named(errors[0], guarded, right)


def test_the_other_commands_need_what_is_listed_and_no_group(kafka, guarded, shown, name, tmp_path, capfd):
    topics = _topics(name)
    prices = tmp_path / "prices.csv"
    prices.write_text("Date,Close\n" + "".join(f"2020-01-{day:02},{day}.5\n" for day in range(1, 30)))
    source, letters = topics["input_topic"], f"{topics['input_topic']}.dead-letters"
    commands = {
        "replay": ["replay", str(prices), "--topic", source, "--timestamps", "now", "--encoding", "json"],
        "tail": ["tail", "--output-topic", topics["output_topic"], "--from", "earliest", "--until-end"],
        "list": ["dead-letters", "list", "--input-topic", source],
        "show": ["dead-letters", "show", "--input-topic", source, "0@0"],
        "resubmit": ["dead-letters", "resubmit", "--input-topic", source, "--all", "--again"],
    }
    kafka.create(source)
    kafka.create(topics["output_topic"])
    kafka.create(f"{topics['output_topic']}-evaluation")
    kafka.create(letters)
    headers = {"topic": source, "partition": "0", "offset": "0", "stage": "schema"}
    kafka.send(
        letters, [{"value": b'"x"', "headers": [(f"__streams.errors.{key}", value) for key, value in headers.items()]}]
    )
    for words in commands.values():
        rights = shown(*words, *_as(guarded))
        assert not [right for right in rights if "group" in right.text]
        guarded.allow(rights)
        said = main([*words, *guarded.flags]), capfd.readouterr()
        assert said[0] == 0, said[1].err
        for right in rights:
            if right.operation == "Create":
                continue
            with guarded.without(right):
                code = main([*words, *guarded.flags])
                assert code == (4 if right.always else 0)
                _named(capfd.readouterr().err, guarded, right)
        for right in rights:
            guarded.forbid(right)


@pytest.mark.parametrize("words", [["replay", "synthetic", "--create-topic", "--topic"],
                                   ["dead-letters", "resubmit", "--all", "--topic"]], ids=["replay", "resubmit"])  # fmt: skip
def test_a_command_that_makes_a_topic_names_create(words, kafka, guarded, shown, name, capfd):
    topic = name("t")
    words = [*words, topic]
    if "resubmit" in words:
        words += ["--to", kafka.create(name("to"))]
        kafka.create(topic)
    rights = shown(*words, *_as(guarded))
    (create,) = [right for right in rights if right.operation == "Create"]
    guarded.allow([right for right in rights if right is not create])
    assert main([*words, *guarded.flags]) == 4
    _named(capfd.readouterr().err, guarded, create)
