"""Options as the vendor's command line writes them; where the server is."""

from __future__ import annotations

import argparse

import pytest

from stream_scorer.errors import SettingsError
from stream_scorer.modelop.client import saved
from stream_scorer.modelop.client.options import add_server_flags, fleet_of, vendor_style


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    for name in ("SERVER", "TOKEN"):
        monkeypatch.delenv(f"STREAM_SCORER_{name}", raising=False)


def _fleet(*arguments):
    parser = argparse.ArgumentParser()
    add_server_flags(parser)
    return fleet_of(parser.parse_args(arguments))


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ("add -type:python3 m m.py", "add m m.py --type=python3"),
        ("add m m.py -type:R", "add m m.py --type=R"),
        ("output 1 -nowait -c", "output 1 -c --nowait"),
        ("list m -count:3 -since:2020-01-01T00:00:00", "list m --count=3 --since=2020-01-01T00:00:00"),
        ("load m -schema:double:d.avsc -v", "load m -v --schema=double:d.avsc"),
        ("list -json", "list --json"),
        ("attach inline:1,2 0", "attach inline:1,2 0"),
    ],
)
def test_vendor_style(given, read):
    assert vendor_style(given.split()) == read.split()


def test_the_server_is_the_flag_then_the_variable_then_what_was_saved(monkeypatch):
    assert _fleet().server.url == saved.DEFAULT_URL
    saved.save(saved.Saved(url="https://saved:1", insecure=True))
    assert _fleet().server.url == "https://saved:1"
    monkeypatch.setenv("STREAM_SCORER_SERVER", "http://variable:2")
    assert _fleet().server.url == "http://variable:2"
    assert _fleet("--server", "http://flag:3").server.url == "http://flag:3"


def test_what_was_saved_of_one_server_is_not_sent_to_another(tmp_path):
    token = tmp_path / "token"
    token.write_text("secret-token\n")
    saved.save(saved.Saved(url="http://mine:1", token=str(token)))
    assert _fleet().server.headers == {"Authorization": "Bearer secret-token"}
    assert _fleet("--server", "http://other:1").server.headers == {}


@pytest.mark.parametrize("url", ["x", "localhost:8003", "ftp://x:1"])
def test_a_server_that_is_no_url_is_refused(url):
    with pytest.raises(SettingsError, match="is not a URL"):
        _fleet("--server", url)


def test_an_empty_token_is_refused(tmp_path):
    (tmp_path / "token").write_text("\n")
    with pytest.raises(SettingsError, match="the file is empty"):
        _fleet("--token", str(tmp_path / "token"))
