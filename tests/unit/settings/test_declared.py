"""Settings: four layers, one check, and errors that say where a value came from."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_scorer.commands.kafka_flags import DeadLetterSettings, TailSettings, load_kafka
from stream_scorer.commands.run import _warn_of_visible_secrets
from stream_scorer.errors import SettingsError
from stream_scorer.service.settings import RunSettings
from stream_scorer.settings.declared import add_flags, load
from stream_scorer.settings.kafka import KafkaSettings
from stream_scorer.settings.pairs import to_map

TOPICS = {"input_topic": "prices", "output_topic": "scores"}


def _load(flags=(), file=None, env=()):
    return load(RunSettings, TOPICS | dict(flags), file, dict(env))


def test_later_layers_win(write):
    file = write("c.toml", 'group = "file"\nbatch = 2\ninstance = "file"')
    env = {"STREAM_SCORER_GROUP": "env", "STREAM_SCORER_BATCH": "3", "HOME": "/"}
    settings = _load({"group": "flag"}, file, env)
    assert (settings.group, settings.batch, settings.instance) == ("flag", 3, "file")
    assert settings.delivery == "exactly-once"


def test_maps_of_all_layers_are_merged(write):
    file = write("c.toml", '[kafka]\nsasl.username = "u"\n"linger.ms" = 5\nsocket.keepalive.enable = true')
    env = {"STREAM_SCORER_KAFKA": "client.id=env,linger.ms=6"}
    assert _load({"kafka": ["linger.ms=7", "a=b=c"]}, file, env).kafka == {
        "sasl.username": "u",
        "linger.ms": "7",
        "socket.keepalive.enable": "true",
        "client.id": "env",
        "a": "b=c",
    }


def test_flags_give_what_the_file_would(write):
    parser = argparse.ArgumentParser()
    add_flags(parser, RunSettings)
    flags = vars(parser.parse_args(["--batch", "7", "--no-changelog", "--kafka", "a=b", "--attachment", "x.zip"]))
    file = write("c.toml", 'batch = 7\nchangelog = false\nkafka = {a = "b"}\nattachment = "x.zip"')
    assert _load(flags) == _load(file=file)
    assert _load(flags).attachment == Path("x.zip")


def test_keys_of_a_file_may_have_either_dash(write):
    assert _load(file=write("c.toml", "max-sessions = 3\nuntil_end = true")).max_sessions == 3


@pytest.mark.parametrize(("text", "value"), [("1", True), ("Yes", True), ("off", False), ("FALSE", False)])
def test_booleans_of_the_environment(text, value):
    assert _load(env={"STREAM_SCORER_CHANGELOG": text}).changelog is value


FILES = {
    "an unknown key": ("bacth = 3", r"c\.toml: no setting 'bacth'\. Did you mean batch\?"),
    "nothing near": ("zzzzzz = 3", r"c\.toml: no setting 'zzzzzz'\. There are: attachment, batch"),
    "not TOML": ("batch = \nx", r"--config .*c\.toml: not TOML: .*line 1"),
    "a table for a value": ("[batch]\na = 1", r"c\.toml: batch: .* is not one value"),
    "a boolean for a number": ("batch = true", r"batch: True is not one value"),
    "a word for a number": ('batch = "many"', r"batch: 'many' is not a number"),
    "neither true nor false": ('changelog = "maybe"', r"changelog: 'maybe' is neither true nor false"),
    "a wrong choice": (
        'delivery = "exactly-onec"',
        r"delivery: 'exactly-onec' is not one of .* Did you mean exactly-once",
    ),
    "below its bound": ("batch = 0", r"batch: 0 is below 1"),
}


@pytest.mark.parametrize("case", FILES)
def test_a_wrong_file_is_told_with_its_key(case, write):
    text, message = FILES[case]
    with pytest.raises(SettingsError, match=message):
        _load(file=write("c.toml", text))


def test_errors_say_where_the_value_came_from():
    with pytest.raises(SettingsError, match=r"^STREAM_SCORER_BATCH: 'x' is not a number"):
        _load(env={"STREAM_SCORER_BATCH": "x"})
    with pytest.raises(SettingsError, match=r"^--max-rejects-in-row: 0 is below 1"):
        _load({"max_rejects_in_row": "0"})
    with pytest.raises(SettingsError, match=r"^--kafka: pair 1 is not KEY=VALUE"):
        _load({"kafka": ["linger"]})


def test_a_file_that_is_not_there_is_told(tmp_path):
    with pytest.raises(SettingsError, match=r"--config .*gone\.toml: cannot be read \(No such file"):
        _load(file=tmp_path / "gone.toml")


def test_a_file_that_is_not_utf8_is_told(write):
    with pytest.raises(SettingsError, match=r"c\.toml: not TOML"):
        _load(file=write("c.toml", b'group = "\xe9"'))


@pytest.mark.parametrize("text", ["batch = 1.5", "batch = inf"])
def test_a_fraction_is_no_count(text, write):
    with pytest.raises(SettingsError, match=r"batch: .* is not a (whole )?number"):
        _load(file=write("c.toml", text))


@pytest.mark.parametrize("text", ["nan", "inf"])
def test_a_time_to_live_is_finite(text):
    with pytest.raises(SettingsError, match="session-ttl"):
        _load({"session_ttl": text})


def test_the_path_of_a_file_holds_in_another_folder(tmp_path, monkeypatch):
    """The model runs in a folder of its own, and some clients are opened there."""
    (tmp_path / "ca.pem").touch()
    monkeypatch.chdir(tmp_path)
    given = {"ssl.ca.location": "ca.pem", "ssl.key.location": "gone.key", "client.id": "ca.pem"}
    assert to_map(given, "X") == given | {"ssl.ca.location": str(tmp_path / "ca.pem")}


def test_a_secret_comes_from_a_file(write):
    path = write("password", "  s3cret\n")
    assert to_map([f"sasl.password=@{path}", "sasl.username=@@x"], "--kafka") == {
        "sasl.password": "s3cret",
        "sasl.username": "@x",
    }


def test_commas_in_values():
    flags = {"kafka": ["sasl.password=a,b=c\\"]}  # a flag is one pair, as it stands
    assert _load(flags).kafka == {"sasl.password": "a,b=c\\"}
    text = "sasl.password=a\\,b=c\\\\,linger.ms=5\nclient.id=x\n"
    assert _load(env={"STREAM_SCORER_KAFKA": text}).kafka == {
        "sasl.password": "a,b=c\\",
        "linger.ms": "5",
        "client.id": "x",
    }


@given(
    st.dictionaries(
        st.text("abc.", min_size=1),
        st.text(st.characters(exclude_categories=["Cs", "Cc", "Z"], exclude_characters="@")),
        max_size=4,
    )
)
def test_any_pairs_can_be_written_as_a_variable(pairs):
    written = ",".join(f"{key}={value}".replace("\\", "\\\\").replace(",", "\\,") for key, value in pairs.items())
    assert to_map(written, "X") == pairs


def test_half_a_password_is_not_shown():
    with pytest.raises(
        SettingsError, match=r"^STREAM_SCORER_KAFKA: pair 2 is not KEY=VALUE\. A comma within"
    ) as caught:
        _load(env={"STREAM_SCORER_KAFKA": "sasl.password=s3,cret"})
    assert "cret" not in str(caught.value)


RUN_FILE = """
bootstrap-servers = "b:1"
input-topic = "prices"
output-topic = "1=scores,3=more"
evaluate = true
batch = 7
[kafka]
security.protocol = "ssl"
"""


def test_a_file_made_for_run_serves_every_command_that_talks_to_kafka(write, monkeypatch):
    monkeypatch.setenv("STREAM_SCORER_KAFKA", "client.id=env")
    monkeypatch.setenv("STREAM_SCORER_GROUP", "g")
    args = argparse.Namespace(config=write("c.toml", RUN_FILE), kafka=["linger.ms=1"])
    for cls in (KafkaSettings, TailSettings, DeadLetterSettings):
        found = load_kafka(cls, args)
        assert found.bootstrap_servers == "b:1"
        assert found.kafka == {"security.protocol": "ssl", "client.id": "env", "linger.ms": "1"}
    assert load_kafka(TailSettings, args).scores() == "scores"
    assert load_kafka(TailSettings, args).evaluations() == "scores-evaluation"
    assert load_kafka(DeadLetterSettings, args).topic() == "prices.dead-letters"


def test_a_key_of_no_command_is_an_error_to_all(write):
    args = argparse.Namespace(config=write("c.toml", "btach = 3"))
    with pytest.raises(SettingsError, match=r"c\.toml: no setting 'btach'\. Did you mean batch\?"):
        load_kafka(KafkaSettings, args)


def test_numbers_have_an_upper_bound_and_an_empty_variable_is_none():
    with pytest.raises(SettingsError, match=r"^--batch: 99999999999 is above 2,147,483,647"):
        _load({"batch": "99999999999"})
    env = {"STREAM_SCORER_MAX_SESSIONS": "", "STREAM_SCORER_ATTACHMENT": ""}
    assert (_load(env=env).max_sessions, _load(env=env).attachment) == (None, None)


def test_a_secret_that_is_not_there_is_told_by_its_key():
    with pytest.raises(SettingsError, match=r"--kafka: sasl\.password: the file /nowhere/x cannot be read \(No such"):
        _load({"kafka": ["sasl.password=@/nowhere/x"]})


@pytest.mark.parametrize("name", ["input_topic", "output_topic", "bootstrap_servers"])
def test_what_must_be_set_is_told_in_all_three_forms(name):
    flag = "--" + name.replace("_", "-")
    with pytest.raises(
        SettingsError, match=rf"^{flag} is not set.*STREAM_SCORER_{name.upper()}, or the key in --config"
    ):
        _load({name: ""})


CONTRADICTIONS = {
    "scores onto the input": ({"output_topic": "prices"}, "--input-topic and --output-topic are both 'prices'"),
    "one of several slots onto the input": ({"output_topic": "1=a,3=prices"}, "are both 'prices'"),
    "an even output slot": ({"output_topic": "2=a"}, "--output-topic 2=a: output slots are odd"),
    "framing without ids": ({"framing": "registry"}, "--framing registry needs --schema-registry URL"),
    "a registry without framing": ({"schema_registry": "http://r"}, "need --framing registry"),
    "an id without framing": ({"output_schema_id": "3"}, "need --framing registry"),
    "dead letters that are skipped": (
        {"on_bad_record": "skip", "dead_letter_topic": "x"},
        "--dead-letter-topic contradicts --on-bad-record skip",
    ),
}


@pytest.mark.parametrize("case", CONTRADICTIONS)
def test_settings_that_contradict_are_told_by_both_names(case):
    flags, message = CONTRADICTIONS[case]
    with pytest.raises(SettingsError, match=message):
        _load(flags)


@pytest.mark.parametrize(
    "flags",
    [
        {"dead_letter_topic": "prices"},  # each dead letter would be rejected again, for ever
        {"changelog_topic": "prices"},
        {"changelog_topic": "scores"},
        {"start": "yesterday"},
        {"dead_letter_topic": "scores"},
        {"changelog_topic": "prices.dead-letters"},
        {"http": "127.0.0.1:65535", "workers": "2"},
        {"framing": "registry", "schema_registry": "http://u:p@[::1"},
        {"http": "abc"},  # with several workers even a traceback, in commands/run.py
        {"framing": "registry", "schema_registry": "localhost:8081"},  # no scheme: "unavailable", waited for for ever
    ],
    ids=str,
)
def test_what_cannot_work_is_told_before_a_socket_opens(flags):
    with pytest.raises(SettingsError):
        _load(flags)


def test_topics_that_follow_from_others():
    assert _load().dead_letters() == "prices.dead-letters"
    assert _load({"dead_letter_topic": "dl"}).dead_letters() == "dl"
    assert _load({"on_bad_record": "fail"}).dead_letters() is None
    assert _load().output_topics() == {1: "scores"}
    assert _load({"output_topic": "1=a,3=b"}).output_topics() == {1: "a", 3: "b"}


def test_the_evaluation_topic_is_named_after_the_output_it_judges():
    assert _load().evaluations() is None
    assert _load({"evaluate": True}).evaluations() == "scores-evaluation"
    two = _load({"evaluate": True, "output_topic": "3=others,1=scores"})
    assert (two.forecasts(), two.evaluations()) == (1, "scores-evaluation")
    assert _load({"evaluate": True, "evaluation_topic": "judged"}).evaluations() == "judged"


@pytest.mark.parametrize("topic", ["prices", "scores", "prices.dead-letters", "state"])
def test_the_evaluation_topic_has_no_other_use(topic):
    with pytest.raises(SettingsError, match=rf"'{topic}'.* has another use"):
        _load({"evaluate": True, "evaluation_topic": topic, "changelog_topic": "state"})


@pytest.mark.parametrize("name", ["evaluation_topic", "evaluate_field", "reference"])
def test_settings_of_evaluation_mean_nothing_without_it(name):
    with pytest.raises(SettingsError, match="need --evaluate"):
        _load({name: "x"})


def test_a_setting_that_may_be_secret_is_read_from_a_file(tmp_path):
    """Its text is in no error."""
    file = tmp_path / "url"
    file.write_text("http://user:secret@registry.example\n")
    needed = {"input_topic": "a", "output_topic": "b", "framing": "registry"}
    for flags, env in (({"schema_registry": f"@{file}"}, {}), ({}, {"STREAM_SCORER_SCHEMA_REGISTRY": f"@{file}"})):
        loaded = load(RunSettings, {**needed, **flags}, None, env)
        assert loaded.schema_registry == "http://user:secret@registry.example"
    with pytest.raises(SettingsError, match=r"--schema-registry: the file /nowhere cannot be read"):
        load(RunSettings, {**needed, "schema_registry": "@/nowhere"}, None, {})
    file.write_text("secret of another kind")
    with pytest.raises(SettingsError, match="expected a URL") as caught:
        load(RunSettings, {**needed, "schema_registry": f"@{file}"}, None, {})
    assert "secret" not in str(caught.value)


def test_a_secret_in_the_command_line_is_warned_of_and_not_shown(caplog):
    _warn_of_visible_secrets({"schema_registry": "http://u:secret@h", "registry": ["bearer.auth.token=secret"]})
    assert "--registry bearer.auth.token, --schema-registry: what is secret in it stands in" in caplog.text
    assert "u:secret" not in caplog.text
    caplog.clear()
    _warn_of_visible_secrets({"schema_registry": "@file", "registry": ["basic.auth.user.info=@file", "timeout=5"]})
    assert caplog.text == ""
