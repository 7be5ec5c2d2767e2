"""Files of settings, for a process that goes into a model's working directory."""

from __future__ import annotations

from pathlib import Path

from stream_scorer.api.settings import run_settings
from stream_scorer.service.settings import RunSettings
from stream_scorer.settings.paths import with_absolute_paths


def test_relative_paths_lead_from_here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    settings = with_absolute_paths(
        RunSettings(
            bootstrap_servers="b:1",
            input_topic="a",
            output_topic="b",
            attachment=Path("files.tar.gz"),
            schema={"price": "price.avsc"},
            evaluate=True,
            reference=Path("drift.json"),
        )
    )
    assert settings.attachment == tmp_path / "files.tar.gz"
    assert settings.reference == tmp_path / "drift.json"
    assert settings.schema == {"price": str(tmp_path / "price.avsc")}
    assert settings.input_topic == "a"


def test_those_of_properties_lead_from_here_too(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("ca.pem").touch()
    properties = {"ssl.ca.location": "ca.pem", "ssl.crl.location": "gone.pem"}
    given = {"bootstrap_servers": "b:1", "input_topic": "a", "output_topic": "b", "kafka": properties}
    assert run_settings(given).kafka == {"ssl.ca.location": str(tmp_path / "ca.pem"), "ssl.crl.location": "gone.pem"}
