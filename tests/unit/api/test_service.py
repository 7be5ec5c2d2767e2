"""`stream-scorer run` inside a process, on the embedded broker, whose transactions are enough for this."""

from __future__ import annotations

import gc
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from confluent_kafka import Producer

from stream_scorer import Service, SettingsError, score
from stream_scorer.kafka.embedded import embedded_broker
from stream_scorer.service.app import work
from stream_scorer.service.settings import RunSettings
from stream_scorer.system import exit as process_exit
from stream_scorer.system.exit import Closing
from support.manifold import until

ECHO = "def action(x):\n yield x\n"
JSON = {"input_encoding": "json", "output_encoding": "json", "on_bad_record": "skip"}
TOPICS = {"input_topic": "a", "output_topic": "b"}


@pytest.fixture
def echo(write) -> Path:
    return write("echo.py", ECHO)


def _process() -> object:
    return Path.cwd(), signal.getsignal(signal.SIGTERM), gc.get_threshold(), gc.get_freeze_count()


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({}, "--input-topic is not set"),
        ({**TOPICS, "bach": 7}, r"bach: no such setting\. Did you mean batch"),
        ({**TOPICS, "workers": 2}, "workers: .* has no meaning here"),
        ({**TOPICS, "log_level": "INFO"}, "log_level: .* has no meaning here"),
        ({**TOPICS, "delivery": "once"}, "'once' is not one of exactly-once, at-least-once"),
        ({"input_topic": "a", "output_topic": "a"}, "scores would be scored again"),
    ],
)
def test_a_wrong_setting_is_refused_before_anything_is_opened(settings, text):
    with pytest.raises(SettingsError, match=text):
        Service("nowhere.py", **settings)


def test_settings_of_a_file_and_none_of_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("STREAM_SCORER_INPUT_TOPIC", "c")
    file = tmp_path / "settings.toml"
    file.write_text('input-topic = "a"\noutput-topic = "c"\n')
    with pytest.raises(SettingsError, match="both 'a'"):
        Service("nowhere.py", config=file, output_topic="a")


def test_it_runs_to_the_end_of_the_input_and_leaves_the_process_as_it_was(echo, monkeypatch):
    """Even where closing takes long."""
    monkeypatch.setattr(process_exit, "CLOSE_S", 0.0)
    monkeypatch.setattr(process_exit.os, "_exit", lambda code: pytest.fail("the process would have ended"))
    before = _process()
    with embedded_broker("a", "b") as servers:
        producer = Producer({"bootstrap.servers": servers})
        for value in (b"1", b"2", b"3"):
            producer.produce("a", value, partition=0)
        producer.flush(30)
        service = Service(echo, bootstrap_servers=servers, **TOPICS, **JSON, until_end=True)
        assert service.status() == {}
        totals = service.run()
    assert (totals.records, totals.scores, totals.rejects) == (3, 3, 0)
    assert service.status()["phase"] == "stopped"
    assert _process() == before
    with pytest.raises(SettingsError, match="runs once"):
        service.run()


def test_relative_paths_lead_from_where_it_was_made_and_run_from_where_it_was_started(echo, tmp_path, monkeypatch):
    """The process is in the model's working directory when the reference sample is read."""
    (tmp_path / "drift.json").write_text("[]")
    monkeypatch.chdir(tmp_path)
    with embedded_broker("a", "b", "b-evaluation", "echo-a-state") as servers:
        given = {"bootstrap_servers": servers, **TOPICS, **JSON, "evaluate": True, "reference": Path("drift.json")}
        service = Service(echo.name, **given, changelog=False)
        settings = RunSettings(**given, changelog=False)
        with Closing(ends_process=False) as closing, pytest.raises(SettingsError, match="expected a list of at least"):
            work(echo.name, settings, closing, lambda *_: None)
        monkeypatch.chdir("/")
        with pytest.raises(SettingsError, match=rf"{tmp_path}/drift.json: expected a list of at least"):
            service.run()


def test_services_and_models_of_one_process_do_not_meet(write, tmp_path, monkeypatch):
    """Each model finds its own files, and the process stays where it is."""
    path = write(
        "mine.py",
        """
        import os
        def begin():
            open("mine", "w").close()
        def action(x):
            assert os.path.exists("mine"), os.getcwd()
            yield x
        """,
    )
    monkeypatch.chdir(tmp_path)
    with embedded_broker("a", "b") as servers, ThreadPoolExecutor(2) as pool:
        producer = Producer({"bootstrap.servers": servers})
        producer.produce("a", b"1", partition=0)
        producer.flush(30)
        given = {"bootstrap_servers": servers, **TOPICS, **JSON, "start": "earliest"}
        services = [Service(path, **given, group=group) for group in ("one", "two")]
        runs = [pool.submit(service.run) for service in services]
        try:
            until(lambda: all(service.status().get("records") for service in services))
            assert Path.cwd() == tmp_path
            assert [out.value for out in score(path, [5])] == [5]
        finally:
            for service in services:
                service.stop()
        assert [(totals.scores, totals.rejects) for totals in (run.result(60) for run in runs)] == [(1, 0), (1, 0)]
    assert Path.cwd() == tmp_path
