"""Files of settings, for a process that goes into a model's working directory."""

from __future__ import annotations

from pathlib import Path

from stream_scorer.service.settings import RunSettings
from stream_scorer.settings.paths import with_absolute_paths


def test_relative_paths_lead_from_here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("ca.pem").touch()
    Path("SSL").touch()
    settings = with_absolute_paths(
        RunSettings(
            bootstrap_servers="b:1",
            input_topic="a",
            output_topic="b",
            attachment=Path("files.tar.gz"),
            schema={"price": "price.avsc"},
            evaluate=True,
            reference=Path("drift.json"),
            kafka={"ssl.ca.location": "ca.pem", "ssl.crl.location": "gone.pem", "security.protocol": "SSL"},
        )
    )
    assert settings.attachment == tmp_path / "files.tar.gz"
    assert settings.reference == tmp_path / "drift.json"
    assert settings.schema == {"price": str(tmp_path / "price.avsc")}
    assert settings.kafka == {
        "ssl.ca.location": str(tmp_path / "ca.pem"),
        "ssl.crl.location": "gone.pem",  # the error names it as it was given
        "security.protocol": "SSL",
    }
    assert settings.input_topic == "a"
