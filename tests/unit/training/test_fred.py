"""FRED's API, as a small server of our own speaks it."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest
from stream_scorer_training import data, fred

from stream_scorer.errors import SettingsError

KEY = "0123456789abcdef0123456789abcdef"
MONTHS = [("2001-01-01", "175.6"), ("2001-02-01", "."), ("2001-03-01", "176.1")]


class _Fred(BaseHTTPRequestHandler):
    def do_GET(self):
        address = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(address.query).items()}
        if address.path != "/fred/series/observations" or query.get("file_type") != "json":
            self._answer(404, b"<html>no such page</html>")
        elif query.get("api_key") != KEY:
            self._told("Bad Request.  The value for variable api_key is not registered.")
        elif query["series_id"] == "PROXY":
            self._answer(200, b"<html>log in</html>")
        elif query["series_id"] != "CPIAUCSL":
            self._told("Bad Request.  The series does not exist.")
        else:
            found = [{"realtime_start": "2026-11-25", "date": date, "value": value} for date, value in MONTHS]
            self._answer(200, json.dumps({"count": len(found), "observations": found}).encode())

    def _told(self, message: str) -> None:
        self._answer(400, json.dumps({"error_code": 400, "error_message": message}).encode())

    def _answer(self, code: int, body: bytes) -> None:
        self.send_response(code)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch):
    with HTTPServer(("127.0.0.1", 0), _Fred) as found:
        thread = threading.Thread(target=found.serve_forever)
        thread.start()
        monkeypatch.setenv(fred.URL, f"http://127.0.0.1:{found.server_port}")
        monkeypatch.setenv(fred.KEY, KEY)
        yield found
        found.shutdown()
        thread.join()


def test_a_series_by_its_id(server):
    found = data.load_cpi("fred:CPIAUCSL")
    assert {str(month.date()): value for month, value in found.series.items()} == {
        "2001-01-01": 175.6,
        "2001-03-01": 176.1,
    }
    assert (found.source, found.rows, found.missing) == ("fred:CPIAUCSL", 3, 1)
    assert [gap.days for gap in data.gaps(found.series, 31)] == [59]


def test_its_checksum_is_that_of_freds_csv(server, write):
    """The answer's own bytes change with the day."""
    text = "".join(f"{date},{value}\n" for date, value in [("observation_date", "CPIAUCSL"), *MONTHS])
    assert data.load_cpi("fred:CPIAUCSL").sha256 == data.load_cpi(write("CPIAUCSL.csv", text)).sha256


def test_the_key_may_be_in_a_file(server, write, monkeypatch):
    monkeypatch.delenv(fred.KEY)
    assert len(data.load_cpi("fred:CPIAUCSL", write("key", KEY + "\n")).series) == 2


def test_without_a_key_it_says_where_to_get_one(monkeypatch):
    monkeypatch.delenv(fred.KEY, raising=False)
    with pytest.raises(
        SettingsError, match=r"fred:CPIAUCSL: .*Set FRED_API_KEY, or give a file with the key by --fred-key-file"
    ):
        data.load_cpi("fred:CPIAUCSL")


def test_a_key_file_that_is_not_there(tmp_path):
    with pytest.raises(SettingsError, match=r"--fred-key-file .*none: cannot be read: No such file"):
        data.load_cpi("fred:CPIAUCSL", tmp_path / "none")


def test_what_fred_refuses_is_told_in_its_words_and_without_the_key(server, monkeypatch):
    with pytest.raises(SettingsError, match=r"fred:NOPE: FRED refused: .*series does not exist \(HTTP 400\)"):
        data.load_prices("fred:NOPE")
    monkeypatch.setenv(fred.KEY, "secret")
    with pytest.raises(SettingsError, match="api_key is not registered") as told:
        data.load_cpi("fred:CPIAUCSL")
    assert "secret" not in str(told.value)
    assert told.value.__cause__ is None


def test_an_answer_that_is_none_of_freds(server):
    with pytest.raises(SettingsError, match=r"fred:PROXY: the answer is not one of FRED's API"):
        data.load_prices("fred:PROXY")


def test_without_a_network_it_says_so(server, monkeypatch):
    monkeypatch.setenv(fred.URL, "http://127.0.0.1:9")
    with pytest.raises(SettingsError, match=r"cannot be reached at http://127\.0\.0\.1:9: .*give the file"):
        data.load_cpi("fred:CPIAUCSL")
