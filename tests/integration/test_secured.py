"""Brokers with TLS and SASL: what lets a command in, from each of the three places, and what is said to one that errs.

And that no secret is written anywhere meanwhile.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import sys
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from stream_scorer.cli import main
from stream_scorer.errors import BrokerError
from stream_scorer.kafka import config as kafka_config
from stream_scorer.kafka.admin import Cluster
from support.brokers import free_ports
from support.kafka import Kafka
from support.service import ROLLING_MEAN, Service, run
from tests.support.certificates import KEY_PASSWORD

pytestmark = pytest.mark.broker
HANG_S = 60.0
"""Ends a test that hangs. What is promised is 15 s; a machine may be slow."""


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch):
    for name in [name for name in os.environ if name.startswith("STREAM_SCORER_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def prices(tmp_path):
    path = tmp_path / "prices.csv"
    path.write_text("Date,Close\n" + "".join(f"{year}-01-01,{year}.5\n" for year in range(1960, 1990)))
    return str(path)


WRONG_PASSWORD = "wr0ng,pass=word"
SECRET_KEYS = ("sasl.password", "ssl.key.password", "sasl.oauthbearer.client.secret")


def _leaked(secured, *texts):
    """The secrets that are in the texts."""
    secrets = {secured.password, KEY_PASSWORD, WRONG_PASSWORD, "an0ther", *secured.tokens.given}
    parts = {part for secret in secrets for part in (secret, secret.partition(",")[2]) if part}
    return {part for part in parts for text in texts if part in text}


def _in_files(properties, folder):
    """`KEY=VALUE` of properties, the secret ones as `KEY=@FILE`."""
    for key, value in properties.items():
        (folder / key).write_text(value)
    return [f"{key}=@{folder / key}" if key in SECRET_KEYS else f"{key}={value}" for key, value in properties.items()]


def _given(place, servers, properties, folder, monkeypatch):
    """Flags for settings that are given in one of the three places."""
    if place == "flags":
        return [
            "--bootstrap-servers",
            servers,
            *(word for pair in _in_files(properties, folder) for word in ("--kafka", pair)),
        ]
    if place == "file":
        file = folder / "c.toml"
        lines = [f'bootstrap-servers = "{servers}"', "until-end = true", "[kafka]"]
        file.write_text("\n".join([*lines, *(f'{key} = "{value}"' for key, value in properties.items())]))
        return ["--config", str(file)]
    escaped = {key: value.replace(",", r"\,") for key, value in properties.items()}
    monkeypatch.setenv("STREAM_SCORER_BOOTSTRAP_SERVERS", servers)
    monkeypatch.setenv("STREAM_SCORER_KAFKA", ",".join(map("=".join, escaped.items())))
    return []


def test_every_way_in_lets_in(secured):
    """PLAIN, SCRAM-SHA-256 and -512, OAUTHBEARER, certificates with a plain and an encrypted key."""

    def enter(way):
        servers, properties = secured.credentials[way]
        kafka_config.check_extra(properties)
        return Cluster(kafka_config.common(servers, properties)).id

    with ThreadPoolExecutor(len(secured.credentials)) as pool:
        assert len(set(pool.map(enter, secured.credentials))) == 1


WAYS = [("flags", "scram-512"), ("file", "tls, locked key"), ("environment", "oauthbearer")]


@pytest.mark.parametrize(("place", "listener"), WAYS, ids=lambda name: name.partition(",")[0])
def test_every_command_gets_in_by_each_of_the_three_places(
    place, listener, secured, name, prices, tmp_path, monkeypatch, capfd
):
    given = _given(place, *secured.credentials[listener], tmp_path, monkeypatch)
    topic, scores = name("in"), name("out")
    assert main(["replay", prices, "--topic", topic, "--create-topic", "--encoding", "json", *given]) == 0
    kafka = Kafka(secured.servers)
    kafka.send(topic, [{"value": b'"no number"'}])
    json_ = ["--input-encoding", "json", "--output-encoding", "json"]
    # Exactly once: group, transactional id, changelog and the look for hanging transactions all take part.
    done = run("run", ROLLING_MEAN, "--input-topic", topic, "--output-topic", scores, "--create-topics", "--evaluate",
               "--until-end", "--log-level", "DEBUG", "--kafka", "debug=all", *json_, *given,
               environment={name: os.environ[name] for name in os.environ if name.startswith("STREAM_SCORER_")})  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert "DEBUG librdkafka" in done.stderr
    assert len(kafka.read(scores)) == 1
    written = [done.stdout, done.stderr, *capfd.readouterr()]
    assert main(["tail", "--output-topic", scores, "--from", "earliest", "--until-end", *given]) == 0
    assert main(["dead-letters", "list", "--input-topic", topic, *given]) == 0
    assert "1 dead letters" in (listed := capfd.readouterr()).out
    assert main(["dead-letters", "show", "0@0", "--input-topic", topic, *given]) == 0
    assert main(["dead-letters", "resubmit", "--all", "--input-topic", topic, *given]) == 0
    assert not _leaked(secured, *written, *listed, *capfd.readouterr())


def test_what_is_wrong_is_said_within_15_s(secured):
    """Each is wrong in one thing; several at once, as most take their 3 or 10 s waiting."""
    sasl, tls, both = (secured.credentials[name] for name in ("sasl", "tls", "scram-512"))
    oauth, password = secured.credentials["oauthbearer"], {"sasl.password": WRONG_PASSWORD}
    only_tls = {"security.protocol": "ssl", **secured.ca}
    other_ca = {"ssl.ca.location": str(secured.folder / "other.pem")}
    none_ca = {key: value for key, value in both[1].items() if key != "ssl.ca.location"}
    stranger, old = (
        {"ssl.certificate.location": f"{secured.folder / name}.pem", "ssl.key.location": f"{secured.folder / name}.key"}
        for name in ("stranger", "old")
    )
    endpoint = {"sasl.oauthbearer.token.endpoint.url": "http://us:pa55word@127.0.0.1:9/token"}
    refused = {"sasl.oauthbearer.client.secret": WRONG_PASSWORD}
    unsigned = {
        "security.protocol": "sasl_ssl",
        **secured.ca,
        "sasl.mechanisms": "OAUTHBEARER",
        "enable.sasl.oauthbearer.unsecure.jwt": "true",
        "sasl.oauthbearer.config": "principal=scorer",
    }
    plain = secured.servers
    with socket.socket() as deaf:  # takes connections, and says nothing
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()
        wrong = {
            "password, SCRAM": (both[0], both[1] | password, "Correct --kafka sasl.username and sasl.password"),
            "password, no TLS": (sasl[0], sasl[1] | password, "Correct --kafka sasl.username and sasl.password"),
            "password, PLAIN": (both[0], both[1] | password | {"sasl.mechanisms": "PLAIN"}, "Correct --kafka sasl.username"),
            "user": (both[0], both[1] | {"sasl.username": "x"}, "Correct --kafka sasl.username and sasl.password"),
            "mechanism": (sasl[0], sasl[1] | {"sasl.mechanisms": "PLAIN"}, "SCRAM-SHA-256. Give one that the broker takes"),
            "CA": (tls[0], tls[1] | other_ca, "signed by no CA in .*other.pem .*Give the CA of the brokers by --kafka ssl.ca"),
            "CA, SASL": (both[0], both[1] | other_ca, "signed by no CA in .*other.pem .*Give the CA of the brokers"),
            "no CA": (both[0], none_ca, "signed by no CA that this machine knows .*Give the CA of the brokers"),
            "end of the broker's": (secured.expired, only_tls, "The certificate of the broker, or of its CA, has expired"),
            "name of host": (tls[0].replace("127.0.0.1", "localhost"), tls[1],
                             "is for another host .127.0.0.1.: give in --bootstrap-servers a name that their"),
            "certificate": (tls[0], tls[1] | stranger, "does not take our certificate .*stranger.pem: it is signed by no CA"),
            "end of ours": (tls[0], tls[1] | old, "does not take our certificate: .*old.pem has expired on 20"),
            "no certificate": (tls[0], only_tls, "does not take our certificate: it wants one, and none is given"),
            "TLS to plaintext": (plain, tls[1], "This listener speaks no TLS"),
            "TLS to SASL": (sasl[0], tls[1], "This listener speaks no TLS"),
            "SASL to plaintext": (plain, sasl[1], "This listener takes no SASL"),
            "plaintext to TLS": (tls[0], {}, "It speaks TLS: give --kafka security.protocol=ssl, ssl.certificate.location"),
            "plaintext to SASL": (sasl[0], {}, "It wants SASL: give --kafka security.protocol=sasl_plaintext"),
            "plaintext to both": (both[0], {}, "It speaks TLS: give --kafka security.protocol=sasl_ssl, with sasl.mech"),
            "SASL to TLS": (both[0], sasl[1], "It speaks TLS: give --kafka security.protocol=sasl_ssl, with sasl.mech"),
            "TLS to both": (both[0], tls[1], "It wants SASL: give --kafka security.protocol=sasl_ssl"),
            "token's client": (oauth[0], oauth[1] | refused, "token: .*invalid_client.*Correct --kafka sasl.oauthbearer"),
            "token's server": (oauth[0], oauth[1] | endpoint, "Correct --kafka sasl.oauthbearer.token.endpoint.url"),
            "token": (oauth[0], unsigned, "The broker does not take our token: its signature, issuer, audience or end"),
            "nobody there": ("127.0.0.1:9", {}, "no Kafka broker answers at 127.0.0.1:9: Connect to .*:9 failed"),
            "no such host": ("nowhere.invalid:9092", {}, "Correct the host name in --bootstrap-servers"),
            "deaf": (f"127.0.0.1:{deaf.getsockname()[1]}", {}, "nothing is heard. Does a firewall stand between"),
        }  # fmt: skip

        def told(one):
            servers, properties, _ = one
            started = time.monotonic()
            with pytest.raises(BrokerError) as caught:
                Cluster(kafka_config.common(servers, properties))
            return str(caught.value), time.monotonic() - started

        with ThreadPoolExecutor(9) as pool:
            found = dict(zip(wrong, pool.map(told, wrong.values()), strict=True))
        # A busy broker may take longer for so many at once than a client waits for it.
        for what in (what for what in wrong if not re.search(wrong[what][2], found[what][0])):
            found[what] = told(wrong[what])
    assert {what: text for what, (text, _) in found.items() if not re.search(wrong[what][2], text)} == {}
    assert {what: seconds for what, (_, seconds) in found.items() if seconds > HANG_S} == {}
    assert not _leaked(secured, str(found))
    assert "pa55word" not in str(found)


@pytest.mark.parametrize(
    "command",
    [
        ["run", ROLLING_MEAN, "--input-topic", "a", "--output-topic", "b"],
        ["replay", "PRICES", "--topic", "a"],
        ["tail", "--output-topic", "a"],
        ["dead-letters", "list", "--topic", "a"],
        ["dead-letters", "resubmit", "--all", "--topic", "a"],
    ],
    ids=lambda command: " ".join(command[:2]),
)
def test_a_wrong_password_ends_every_command(command, secured, prices, tmp_path, monkeypatch, capfd):
    servers, properties = secured.credentials["scram-512"]
    given = _given("environment", servers, properties | {"sasl.password": WRONG_PASSWORD}, tmp_path, monkeypatch)
    assert main([prices if word == "PRICES" else word for word in command] + given) == 4
    written = capfd.readouterr()
    assert not _leaked(secured, *written)
    said = written.err.splitlines()[-1]
    assert said.startswith(f"stream-scorer {command[0]}: Kafka at {servers} cannot be used: SASL authentication error")
    assert said.endswith("Correct --kafka sasl.username and sasl.password, or sasl.mechanisms.")


def test_a_stream_says_what_the_listener_wants(secured, tmp_path, monkeypatch, capfd):
    """Streams of ModelOp have no settings for TLS and SASL, and `score` and `verify` want none of those there are."""
    _given("environment", *secured.credentials["plain"], tmp_path, monkeypatch)
    assert main(["verify", ROLLING_MEAN]) == 0
    transport = {"Type": "kafka", "BootstrapServers": [secured.sasl], "Topic": "x"}
    (tmp_path / "s.json").write_text(json.dumps({"Transport": transport, "Encoding": "json"}))
    with (tmp_path / "s.json").open() as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        assert main(["score", ROLLING_MEAN, "--stream", f"1={tmp_path / 's.json'}"]) == 4
    assert "Does this listener want TLS or SASL? It wants SASL" in (written := capfd.readouterr()).err
    assert not _leaked(secured, *written)


def test_a_password_that_changes_under_a_service_is_said_and_waited_for(secured, name, tmp_path):
    """And nobody who looks at the service sees it: two workers, their command lines, status, metrics, log at DEBUG."""
    servers, properties = secured.credentials["scram-512"]
    kafka = Kafka(secured.servers)
    topics = {"input_topic": kafka.create(name("in"), 2), "output_topic": kafka.create(name("out"), 2)}
    port = _two_ports()
    encodings = {"input_encoding": "json", "output_encoding": "json"}
    seen = []

    def because(connected, number=0):
        """Why not, once the status says so: it is looked at every 2 s."""
        deadline = time.monotonic() + HANG_S
        while True:
            seen.extend(_get(port + number, path) for path in ("/metrics", "/status"))
            found = json.loads(seen[-1])
            if found.get("connected") == connected:
                return found["not_connected_because"]
            assert time.monotonic() < deadline, found
            time.sleep(0.1)

    options = {"workers": 2, "log_level": "DEBUG", "kafka": _in_files(properties, tmp_path), "http": port}
    with Service(tmp_path, ROLLING_MEAN, servers, group=name("g"), **options, **topics, **encodings) as service:
        for partition in (0, 1):
            kafka.send(topics["input_topic"], [{"value": b"1", "partition": partition}] * 30)
        kafka.wait_for(topics["output_topic"], 2)
        assert because(connected=True) is because(connected=True, number=1) is None
        seen += [Path(f"/proc/{pid}/cmdline").read_text() for pid in (service.process.pid, *service.workers())]
        assert len(service.workers()) == 2
        try:
            secured.set_password("an0ther")
            service.wait_for("Correct --kafka sasl.username and sasl.password")
            assert "SASL authentication error" in because(connected=False)
        finally:
            secured.set_password(secured.password)
        kafka.send(topics["input_topic"], [{"value": b"2", "partition": 0}, {"value": b"2", "partition": 1}])
        kafka.wait_for(topics["output_topic"], 4)
        assert because(connected=True) is None
        service.signal(signal.SIGTERM)
        assert service.wait() == 0
    assert not _leaked(secured, *seen, service.text())


def _two_ports():
    """The first of two ports in a row on which nothing listens."""
    while True:
        (port,) = free_ports(1)
        with contextlib.suppress(OSError), socket.socket() as second:
            second.bind(("127.0.0.1", port + 1))
            return port


def _get(port, path):
    deadline = time.monotonic() + HANG_S
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
                return answer.read().decode()
        except OSError:  # the worker starts
            assert time.monotonic() < deadline
            time.sleep(0.1)
