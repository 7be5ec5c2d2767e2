"""What a secret is, and that no text has it: whatever librdkafka, argparse, TOML or a traceback repeats."""

from __future__ import annotations

import io
import json
import logging
import subprocess
import sys
import traceback

import pytest

from stream_scorer import secret_text
from stream_scorer.cli import main
from stream_scorer.errors import SettingsError
from stream_scorer.kafka.config import check_extra
from stream_scorer.modelop.streams.transport_kinds import transport
from stream_scorer.secret_text import HIDDEN, Secret, hide, is_secret, note_url, without
from stream_scorer.settings.kafka import KafkaSettings
from stream_scorer.settings.pairs import MAX_FILE, to_map
from stream_scorer.system import logs

SECRET = "Top5ecret=99"


@pytest.fixture(autouse=True)
def _knows_none(monkeypatch):
    monkeypatch.setattr(secret_text, "_known", set())


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "password"
    path.write_text(f"{SECRET}\n")
    return path


@pytest.mark.parametrize(
    ("key", "secret"),
    [
        ("sasl.password", True),
        ("ssl.key.password", True),
        ("ssl.keystore.password", True),
        ("ssl.key.pem", True),
        ("sasl.oauthbearer.client.secret", True),
        ("sasl.oauthbearer.config", True),
        ("sasl.oauthbearer.assertion.private.key.passphrase", True),
        ("sasl.jaas.config", True),
        ("basic.auth.user.info", True),
        ("bearer.auth.token", True),
        ("SecretAccessKey", True),
        ("sasl.oauthbearer.token.endpoint.url", False),
        ("sasl.username", False),
        ("ssl.key.location", False),
        ("linger.ms", False),
    ],
)
def test_a_secret_is_known_by_its_key(key, secret):
    assert is_secret(key) == secret


def test_what_comes_from_a_file_or_has_such_a_key_is_not_shown(file):
    settings = KafkaSettings(kafka=to_map([f"linger.ms=@{file}", "sasl.password=an0ther", "client.id=x"], "--kafka"))
    assert settings.kafka == {"linger.ms": SECRET, "sasl.password": "an0ther", "client.id": "x"}
    assert repr(settings.kafka) == str({"linger.ms": HIDDEN, "sasl.password": HIDDEN, "client.id": "x"})
    assert SECRET not in repr(settings)


def test_a_secret_is_hidden_as_it_is_escaped_and_in_urls():
    Secret("pass\twörd %&")
    for form in ("pass\twörd %&", r"pass\tw\u00f6rd %&", "pass%09w%C3%B6rd%20%25%26", "pass%09w%C3%B6rd+%25%26"):
        assert hide(f"at <{form}>") == f"at <{HIDDEN}>"
    note_url("https://u:p%40ssword@host/token")
    assert hide("p%40ssword p@ssword https://u:p%40ssword@host") == f"{HIDDEN} {HIDDEN} https://u:{HIDDEN}@host"
    Secret(f"-----BEGIN\n{'k' * 20}\n")
    assert hide("k" * 20) == HIDDEN


def test_a_short_or_common_word_is_not_taken_out_of_every_text():
    Secret("b")
    Secret("kafka")
    assert hide("a broker of kafka") == "a broker of kafka"
    assert without('Invalid value "b" for broker', [Secret("b")]) == f'Invalid value "{HIDDEN}" for broker'


def test_neither_logs_nor_tracebacks_have_a_secret(monkeypatch):
    Secret(SECRET)
    for form in ("text", "json"):
        monkeypatch.setattr(sys, "stderr", io.StringIO())
        logs.set_up("DEBUG", form)
        logging.getLogger("stream_scorer.x").error("what %s", SECRET, exc_info=ValueError(f"no {SECRET}"))
        logging.getLogger("librdkafka").error("FAIL %s %s", form, SECRET)
        said = sys.stderr.getvalue()
        assert said.count("hidden") == 3
        assert SECRET not in said


@pytest.mark.parametrize(
    "pair",
    [
        "sasl.pasword=@FILE",
        "sasl.password.=@FILE",
        "security.protocol=@FILE",
        "sasl.mechanisms=@FILE",
        "ssl.providers=@FILE",
        "ssl.key.location=@FILE",
        "ssl.key.pem=@FILE",
        "partitioner=@FILE",
        "linger.ms=@FILE",
        "plugin.library.paths=@FILE",
        "debug=@FILE",
        SECRET,
        f"={SECRET}",
        f"sasl.password{SECRET}",
        f"sasl.password:{SECRET}",
        f"sasl.password {SECRET}",
        f"security.protocol={SECRET}\0",
        f"sasl.password={SECRET}\0",
        f"sasl.password=@{SECRET}",
        f"sasl.password={SECRET}\udcff",
    ],
)
def test_no_mistake_in_a_pair_shows_its_value(pair, file):
    given = ["security.protocol=sasl_ssl", "sasl.username=u", "sasl.mechanisms=PLAIN", "sasl.password=pppppp"]
    with pytest.raises(SettingsError) as caught:
        check_extra(to_map([*given, pair.replace("FILE", str(file))], "--kafka"))
    said = "".join(traceback.format_exception(caught.value))
    for part in (SECRET, *SECRET.split("=")):
        assert part not in str(caught.value)
    assert SECRET not in said


@pytest.mark.parametrize(
    "text", [f"sasl.password=a,{SECRET}", f",{SECRET}", "sasl.password=a,Top5ecret", f"a\n{SECRET}"]
)
def test_what_follows_a_comma_is_not_shown(text):
    with pytest.raises(SettingsError) as caught:
        check_extra(to_map(text, "STREAM_SCORER_KAFKA"))
    assert "Top5ecret" not in str(caught.value)
    assert r"\," in str(caught.value) or "pair 1 is not" in str(caught.value)


def test_a_file_is_read_within_bounds(tmp_path):
    for content in (b"\xff", b"a\0b", b"x" * (MAX_FILE + 1)):
        (tmp_path / "f").write_bytes(content)
        with pytest.raises(SettingsError, match=r"^--kafka: sasl\.password: the file .*f (is not text|has more than)"):
            to_map([f"sasl.password=@{tmp_path / 'f'}"], "--kafka")
    with pytest.raises(SettingsError, match=r"the file that @ names cannot be read .* written @@"):
        to_map(["sasl.password=@gone"], "--kafka")


def _said(argv, capsys):
    assert main(argv) == 2
    return capsys.readouterr().err


TAIL = ["tail", "--output-topic", "t"]


@pytest.mark.parametrize(
    "argv",
    [
        ["--kafka", "sasl.password=Top", "5ecret99"],
        ["--kafkaa", "sasl.password=5ecret99"],
        ["--kafka-sasl-password=5ecret99"],
        ["--json=sasl.password=5ecret99"],
        ["--bootstrap-servers", "u:5ecret99@host:9"],
    ],
)
def test_words_of_a_command_with_a_secret_are_not_repeated(argv, capsys):
    assert "5ecret" not in _said([*TAIL, *argv], capsys)


@pytest.mark.parametrize("command", [["run", "m.py", "--input-topic", "i", "--output-topic", "o"], TAIL])
def test_a_password_in_the_address_of_the_brokers_is_refused(command, monkeypatch, capsys):
    monkeypatch.setenv("STREAM_SCORER_BOOTSTRAP_SERVERS", "user:5ecret99@localhost:1")
    said = _said(command, capsys)
    assert "found an @" in said
    assert "5ecret" not in said


def test_words_of_other_commands_are(capsys):
    assert "unrecognized arguments: nonsense" in _said([*TAIL, "nonsense"], capsys)


@pytest.mark.parametrize(
    "toml",
    [
        'kafka = "Top5ecret"',
        'kafka = ["Top5ecret"]',
        'kafka = [["Top5ecret"]]',
        '[kafka]\nsasl.password = ["Top5ecret"]',
        '[kafka]\nTop5ecret = "x"',
        '[bootstrap-servers]\npassword = "Top5ecret"',
        'bootstrap-servers = ["Top5ecret"]',
        "[kafka]\nsasl.password = Top5ecret",
    ],
)
def test_a_wrong_file_of_settings_is_not_repeated(toml, tmp_path, capsys):
    (tmp_path / "c.toml").write_text(toml)
    assert "Top5ecret" not in _said([*TAIL, "--config", str(tmp_path / "c.toml")], capsys)


def test_a_secret_of_a_stream_is_not_shown():
    with pytest.raises(SettingsError) as caught:
        transport({"Type": "s3", "Bucket": "bucket", "ObjectKey": "x", "SecretAccessKey": 12345678})
    assert "12345678" not in str(caught.value)


@pytest.mark.process
def test_a_traceback_of_the_program_has_no_secret():
    code = (
        "import sys; from stream_scorer import __main__, cli, secret_text\n"
        "def main(): raise RuntimeError(secret_text.Secret('Top5ecret'))\n"
        "__main__.main = main; __main__.run()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert json.dumps(HIDDEN)[1:-1] in done.stderr
    assert "RuntimeError" in done.stderr
    assert "RuntimeError: Top5ecret" not in done.stderr
