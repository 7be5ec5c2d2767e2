"""What a command needs on a broker with ACLs: as an administrator gets it, and as errors say it."""

from __future__ import annotations

import subprocess

import pytest
from confluent_kafka import KafkaError, KafkaException

from stream_scorer.errors import BrokerError
from stream_scorer.kafka.errors import raised, unreachable
from stream_scorer.kafka.rights import (
    CLUSTER,
    GROUP,
    READ,
    TOPIC,
    TRANSACTIONAL_ID,
    WRITE,
    NotAllowed,
    Right,
    explained,
    lacks_text,
    principal,
    show,
    user_of,
)
from stream_scorer.model.program import compile_program
from stream_scorer.service.rights import run_rights, seems_stateful
from stream_scorer.service.settings import RunSettings

SCRAM = {"security.protocol": "SASL_SSL", "sasl.mechanism": "SCRAM-SHA-512", "sasl.username": "al; 'ice"}
ONE, TWO = Right(READ, TOPIC, "one"), Right(WRITE, TOPIC, "two")
IDS = Right(WRITE, TRANSACTIONAL_ID, "stream-scorer.g.", prefixed=True)
MEMBER = Right(READ, GROUP, "g")


@pytest.mark.process
def test_lines_for_a_shell_quote_every_name(tmp_path):
    """`$(...)`, quotes and blanks in a name of the settings stay in their word."""
    tool = tmp_path / "kafka-acls.sh"
    tool.write_text('#!/bin/sh\nfor word; do printf "%s\\n" "$word"; done\n')
    tool.chmod(0o755)
    hostile = "$(touch broken) `id` \"; rm 'x' #"
    lines = show([Right(READ, TOPIC, hostile), Right(WRITE, TOPIC, hostile)], {"bootstrap.servers": hostile, **SCRAM})
    script = "PATH=$PWD:$PATH\n" + "\n".join(lines)
    done = subprocess.run(["sh", "-e", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        "--bootstrap-server", hostile, "--add", "--allow-principal", "User:al; 'ice", "--operation", "Read",
        "--operation", "Write", "--topic", hostile,
    ]  # fmt: skip
    assert not (tmp_path / "broken").exists()


def test_what_is_always_needed_comes_first():
    sometimes = [right._replace(when="only now and then") for right in (ONE, TWO)]
    lines = show([sometimes[0], MEMBER, sometimes[1], IDS], SCRAM)
    assert [line.partition("--operation")[2] for line in lines if line[0] != "#"] == [
        " Read --group g",
        " Write --transactional-id stream-scorer.g. --resource-pattern-type prefixed",
        " Read --topic one",
        " Write --topic two",
    ]
    assert lines[3] == "# Only now and then:"


USERS = [
    ({}, "ANONYMOUS", "user 'ANONYMOUS'"),
    (SCRAM, "al; 'ice", 'user "al; \'ice"'),
    ({"security.protocol": "sasl_ssl"}, "", "the user of this connection"),
    ({"security.protocol": "ssl", "ssl.certificate.location": "c.pem"}, "", "the user of the certificate c.pem"),
    ({"security.protocol": "sasl_ssl", "sasl.mechanisms": "OAUTHBEARER", "sasl.oauthbearer.client.id": "me"}, "",
     "the user of --kafka sasl.oauthbearer.client.id=me"),
]  # fmt: skip


@pytest.mark.parametrize(("properties", "name", "words"), USERS)
def test_the_name_of_the_user_where_the_client_knows_it(properties, name, words):
    assert principal(properties) == name
    assert user_of(properties) == words
    lines = show([ONE], properties)
    assert ("# NAME: the name that the broker gives to" in "\n".join(lines)) == (not name)


def test_an_error_names_what_the_broker_says_is_missing_else_what_is_needed():
    rights = [ONE, TWO, MEMBER, IDS]
    for kind, lacking, text in (
        (TOPIC, [TWO], "lacks Write on topic 'two'. Allow it: "),
        (TOPIC, [], "lacks one of these: Read on topic 'one', Write on topic 'two'. --show-acls"),
        (GROUP, [TWO], "lacks Read on group 'g'. Allow it: "),
        (TRANSACTIONAL_ID, [], "lacks Write on transactional id 'stream-scorer.g.*'. Allow it: "),
        (CLUSTER, [TWO], "lacks Write on topic 'two'. Allow it: "),
        (CLUSTER, [], "lacks IdempotentWrite on the cluster. Allow it: "),
    ):
        error = explained(NotAllowed("no", kind), lacking, rights, {})
        assert f"user 'ANONYMOUS' {text}" in str(error)
        assert str(error).endswith("The broker said: no")
        assert explained(error, [], [], {}) is error
    assert "lacks a right on group. " in str(explained(NotAllowed("no", GROUP), [], [], {}))
    assert lacks_text({}, [ONE] * 20).count("Read on topic") == 8


@pytest.mark.parametrize("code", [KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.CLUSTER_AUTHORIZATION_FAILED])
def test_a_producer_that_is_finished_says_so_in_whatever_python_makes_of_it(code):
    """SystemError: a callback of librdkafka had an error of its own."""
    error = KafkaException(KafkaError(code, "no", fatal=True))
    odd = SystemError("returned a result with an exception set")
    odd.__cause__ = error
    for one in (error, odd):
        assert isinstance(raised(one), NotAllowed)
    assert type(raised(SystemError("of another kind"))) is BrokerError
    assert isinstance(unreachable("here", error.args[0]), NotAllowed)


SETTINGS = {"input_topic": "in", "output_topic": "out", "bootstrap_servers": "b:1"}


def _always(**more):
    rights = run_rights(RunSettings(**SETTINGS, **more), "g", stateful=True)
    return {str(right) for right in rights if not right.when}


def test_settings_say_what_run_needs():
    least = {"Read on topic 'in'", "Read on group 'g'", "Write on topic 'out'"}
    less = {"changelog": False, "on_bad_record": "skip", "delivery": "at-least-once"}
    assert _always(**less) == least
    del less["delivery"]
    assert _always(**less) == least | {"Write on transactional id 'stream-scorer.g.*'"}
    assert "Write on transactional id 'stream-scorer.g.a.*'" in _always(instance="a")
    topics = {
        "Read on topic 'c'",
        "Write on topic 'c'",
        "Read on topic 'e'",
        "Write on topic 'e'",
        "Write on topic 'd'",
    }
    more = {"changelog_topic": "c", "dead_letter_topic": "d", "evaluate": True, "evaluation_topic": "e"}
    assert topics <= _always(**more)


MODELS = {
    "n = 0\ndef action(x):\n    global n\n    n += 1\n    yield n": True,
    "def action(x):\n    yield x": False,
    "# stream-scorer.state: n\nn = 0\ndef action(x):\n    yield n": True,
    "def action(x, slot, number):\n    yield number": True,
}


@pytest.mark.parametrize(("source", "stateful"), MODELS.items())
def test_whether_a_model_has_state_is_read_from_its_source(source, stateful, tmp_path):
    program = compile_program(source.encode() + b"\nraise SystemExit('it was executed')\n", tmp_path / "m.py")
    assert seems_stateful(program) == stateful
