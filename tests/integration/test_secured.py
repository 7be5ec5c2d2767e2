"""Brokers with TLS and SASL: what lets a command in, from each of the three places, and what is said to one that errs."""

from __future__ import annotations

import json
import os
import signal
import socket
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import pytest

from stream_scorer.cli import main
from stream_scorer.errors import BrokerError
from stream_scorer.kafka import config as kafka_config
from stream_scorer.kafka.admin import Cluster
from support.brokers import free_ports
from support.kafka import Kafka
from support.service import ROLLING_MEAN, Service, run

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


def _given(place, servers, properties, folder, monkeypatch):
    """Flags for settings that are given in one of the three places."""
    if place == "flags":
        return [
            "--bootstrap-servers",
            servers,
            *(word for pair in properties.items() for word in ("--kafka", "=".join(pair))),
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


@pytest.mark.parametrize(("place", "listener"), [("flags", "sasl"), ("file", "tls"), ("environment", "sasl_tls")])
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
               "--until-end", *json_, *given,
               environment={name: os.environ[name] for name in os.environ if name.startswith("STREAM_SCORER_")})  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert len(kafka.read(scores)) == 1
    capfd.readouterr()
    assert main(["tail", "--output-topic", scores, "--from", "earliest", "--until-end", *given]) == 0
    assert main(["dead-letters", "list", "--input-topic", topic, *given]) == 0
    assert "1 dead letters" in capfd.readouterr().out
    assert main(["dead-letters", "resubmit", "--all", "--input-topic", topic, *given]) == 0


def test_what_is_wrong_is_said_within_15_s(secured):
    """Each is wrong in one thing; all at once, as most take their 3 or 10 s waiting."""
    sasl, tls, both = (secured.credentials[name] for name in ("sasl", "tls", "sasl_tls"))
    other = {name: str(secured.folder / name) for name in ("other.pem", "stranger.pem", "stranger.key")}
    stranger = {"ssl.certificate.location": other["stranger.pem"], "ssl.key.location": other["stranger.key"]}
    oidc = {
        "security.protocol": "sasl_plaintext",
        "sasl.mechanisms": "OAUTHBEARER",
        "sasl.oauthbearer.method": "oidc",
        "sasl.oauthbearer.client.id": "a",
        "sasl.oauthbearer.client.secret": "b",
        "sasl.oauthbearer.token.endpoint.url": "http://127.0.0.1:9/token",
    }
    plain = secured.servers
    with socket.socket() as deaf:  # takes connections, and says nothing
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()
        wrong = {
            "password": (sasl[0], sasl[1] | {"sasl.password": "x"}, "Correct --kafka sasl.username and sasl.password"),
            "user": (sasl[0], sasl[1] | {"sasl.username": "x"}, "Correct --kafka sasl.username and sasl.password"),
            "password over TLS": (both[0], both[1] | {"sasl.password": "x"}, "Correct --kafka sasl.username and"),
            "mechanism": (sasl[0], sasl[1] | {"sasl.mechanisms": "PLAIN"}, "SCRAM-SHA-256. Give one that the broker takes"),
            "CA": (tls[0], tls[1] | {"ssl.ca.location": other["other.pem"]}, "Give the CA of the brokers by --kafka ssl.ca"),
            "name of host": (tls[0].replace("127.0.0.1", "localhost"), tls[1], "in --bootstrap-servers a name that their"),
            "certificate": (tls[0], tls[1] | stranger, "The broker does not take our certificate"),
            "no certificate": (tls[0], {"security.protocol": "ssl", "ssl.ca.location": tls[1]["ssl.ca.location"]},
                               "The broker does not take our certificate"),
            "TLS to plaintext": (plain, tls[1], "This listener speaks no TLS"),
            "TLS to SASL": (sasl[0], tls[1], "This listener speaks no TLS"),
            "SASL to plaintext": (plain, sasl[1], "This listener takes no SASL"),
            "plaintext to TLS": (tls[0], {}, "Does this listener want TLS or SASL?"),
            "plaintext to SASL": (sasl[0], {}, "Does this listener want TLS or SASL?"),
            "SASL to TLS": (tls[0], sasl[1], "Does this listener want TLS or SASL?"),
            "OIDC endpoint": (sasl[0], oidc, "Correct --kafka sasl.oauthbearer.token.endpoint.url"),
            "nobody there": ("127.0.0.1:9", {}, "no Kafka broker answers at 127.0.0.1:9: Connect to ipv4#127.0.0.1:9 failed"),
            "no such host": ("nowhere.invalid:9092", {}, "Correct the host name in --bootstrap-servers"),
            "deaf": (f"127.0.0.1:{deaf.getsockname()[1]}", {}, "nothing is heard. Does a firewall stand between"),
        }  # fmt: skip

        def told(one):
            servers, properties, _ = one
            started = time.monotonic()
            with pytest.raises(BrokerError) as caught:
                Cluster(kafka_config.common(servers, properties))
            return str(caught.value), time.monotonic() - started

        with ThreadPoolExecutor(len(wrong)) as pool:
            found = dict(zip(wrong, pool.map(told, wrong.values()), strict=True))
    assert {what: text for what, (text, _) in found.items() if wrong[what][2] not in text} == {}
    assert {what: seconds for what, (_, seconds) in found.items() if seconds > HANG_S} == {}
    assert "s3cret" not in str(found)


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
    servers, properties = secured.credentials["sasl"]
    given = _given("environment", servers, properties | {"sasl.password": "x"}, tmp_path, monkeypatch)
    assert main([prices if word == "PRICES" else word for word in command] + given) == 4
    said = capfd.readouterr().err.splitlines()[-1]
    assert said.startswith(f"stream-scorer {command[0]}: Kafka at {servers} cannot be used: SASL authentication error")
    assert said.endswith("Correct --kafka sasl.username and sasl.password, or sasl.mechanisms.")


def test_a_password_that_changes_under_a_service_is_said_and_waited_for(secured, name, tmp_path):
    servers, properties = secured.credentials["sasl"]
    kafka = Kafka(secured.servers)
    topics = {"input_topic": kafka.create(name("in")), "output_topic": kafka.create(name("out"))}
    (port,) = free_ports(1)
    pairs = ["=".join(pair) for pair in properties.items()]
    encodings = {"input_encoding": "json", "output_encoding": "json"}

    def because(connected):
        """Why not, once the status says so: it is looked at every 2 s."""
        deadline = time.monotonic() + HANG_S
        while True:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/status", timeout=10) as answer:
                found = json.load(answer)
            if found["connected"] == connected:
                return found["not_connected_because"]
            assert time.monotonic() < deadline, found
            time.sleep(0.1)

    with Service(
        tmp_path, ROLLING_MEAN, servers, kafka=pairs, http=port, group=name("g"), **topics, **encodings
    ) as service:
        kafka.send(topics["input_topic"], [{"value": b"1"}] * 30)
        kafka.wait_for(topics["output_topic"], 1)
        assert because(connected=True) is None
        try:
            secured.set_password("another")
            service.wait_for("Correct --kafka sasl.username and sasl.password")
            assert "SASL authentication error" in because(connected=False)
        finally:
            secured.set_password(secured.password)
        kafka.send(topics["input_topic"], [{"value": b"2"}])
        kafka.wait_for(topics["output_topic"], 2)
        assert because(connected=True) is None
        service.signal(signal.SIGTERM)
        assert service.wait() == 0
