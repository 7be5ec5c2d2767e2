"""Fetches series of FRED, the database of the Federal Reserve Bank of St. Louis, by their ids, such as fred:CPIAUCSL.

FRED's API needs a key, which is free: https://fred.stlouisfed.org/docs/api/api_key.html.
"""

from __future__ import annotations

import hashlib
import json
import os
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

from stream_scorer.errors import SettingsError
from stream_scorer_training.tables import Table

PREFIX = "fred:"
KEY, URL = "FRED_API_KEY", "FRED_API_URL"
SERVER = "https://api.stlouisfed.org"
TIMEOUT_S = 30


def fetch(series: str, key_file: Path | None = None) -> Table:
    """Fetch all observations of a series. Blocks until FRED answers; a wait of TIMEOUT_S for its next bytes is an error.

    The table has the columns `observation_date` and the series' id, as FRED's own CSV does. Its sha256 is that of these
    columns as CSV, since the raw answer also holds the day on which it was made. The key is read from `key_file`, else from
    the variable FRED_API_KEY. FRED_API_URL names another server, such as a mirror.

    Raises SettingsError: no key, no such series, or no network. Its text never holds the key.
    """
    source = PREFIX + series
    query = {"series_id": series, "api_key": _key(source, key_file), "file_type": "json"}
    url = f"{os.environ.get(URL, SERVER).rstrip('/')}/fred/series/observations?{urllib.parse.urlencode(query)}"
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_S) as answer:
            reply = json.load(answer)
        rows = [[observation["date"], observation["value"]] for observation in reply["observations"]]
    except urllib.error.HTTPError as error:
        raise SettingsError(
            f"{source}: FRED refused: {_refusal(error)} (HTTP {error.code}). Check the id at https://fred.stlouisfed.org "
            f"and the key in {key_file or KEY}."
        ) from None
    except OSError as error:
        raise SettingsError(
            f"{source}: FRED cannot be reached at {os.environ.get(URL, SERVER)}: {getattr(error, 'reason', error)}. "
            "Without a network, download the series as CSV and give the file."
        ) from None
    except (ValueError, KeyError, TypeError):
        raise SettingsError(
            f"{source}: the answer is not one of FRED's API. Does a proxy answer in its place?"
        ) from None
    names = ["observation_date", series]
    text = "".join(",".join(row) + "\n" for row in [names, *rows])
    digest = hashlib.sha256(text.encode()).hexdigest()
    return Table(source, names, rows, range(1, len(rows) + 1), digest, unit="observation")


def _key(source: str, key_file: Path | None) -> str:
    """Return the key to the API. Raises SettingsError: there is none, or the file cannot be read."""
    if key_file is not None:
        try:
            return key_file.read_text().strip()
        except OSError as error:
            raise SettingsError(f"--fred-key-file {key_file}: cannot be read: {error.strerror}.") from error
    if key := os.environ.get(KEY, "").strip():
        return key
    raise SettingsError(
        f"{source}: FRED's API needs a key. Set {KEY}, or give a file with the key by --fred-key-file "
        "(https://fred.stlouisfed.org/docs/api/api_key.html), or give a CSV file."
    )


def _refusal(error: urllib.error.HTTPError) -> str:
    """Return FRED's own reason, or else the HTTP reason."""
    try:
        reply: Any = json.load(error)
        return str(reply["error_message"]).rstrip(".")
    except (ValueError, KeyError, TypeError):
        return str(error.reason)
