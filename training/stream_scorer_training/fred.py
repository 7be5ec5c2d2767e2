"""Series of FRED, the database of the Federal Reserve Bank of St. Louis, by id: fred:CPIAUCSL.

Its API wants a key: https://fred.stlouisfed.org/docs/api/api_key.html, free of charge.
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
    """All observations of a series, with columns observation_date and its id, as FRED's own CSV has them.

    The sha256 is of those columns as CSV: what the API answers changes with the day. The key comes from
    `key_file`, else from FRED_API_KEY. FRED_API_URL: another server, for a mirror or a test.

    Raises SettingsError: no key, no such series, no network. It never holds the key.
    """
    source = PREFIX + series
    query = {"series_id": series, "api_key": _key(source, key_file), "file_type": "json"}
    url = f"{os.environ.get(URL, SERVER).rstrip('/')}/fred/series/observations?{urllib.parse.urlencode(query)}"
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_S) as answer:
            found = json.load(answer)
        rows = [[one["date"], one["value"]] for one in found["observations"]]
    except urllib.error.HTTPError as error:
        raise SettingsError(
            f"{source}: FRED refused: {_told(error)} (HTTP {error.code}). Check the id at https://fred.stlouisfed.org "
            f"and the key in {key_file or KEY}."
        ) from None
    except OSError as error:
        raise SettingsError(
            f"{source}: FRED cannot be reached at {os.environ.get(URL, SERVER)}: {getattr(error, 'reason', error)}. "
            "Without a network, download the series as CSV and give the file."
        ) from None
    except (ValueError, KeyError, TypeError):
        raise SettingsError(f"{source}: the answer is none of FRED's. Is a proxy in between?") from None
    names = ["observation_date", series]
    text = "".join(",".join(row) + "\n" for row in [names, *rows])
    digest = hashlib.sha256(text.encode()).hexdigest()
    return Table(source, names, rows, range(1, len(rows) + 1), digest, unit="observation")


def _key(source: str, key_file: Path | None) -> str:
    if key_file is not None:
        try:
            return key_file.read_text().strip()
        except OSError as error:
            raise SettingsError(f"--fred-key-file {key_file}: cannot be read: {error.strerror}.") from error
    if key := os.environ.get(KEY, "").strip():
        return key
    raise SettingsError(
        f"{source}: FRED's API wants a key. Put one into {KEY} or a file given by --fred-key-file "
        "(https://fred.stlouisfed.org/docs/api/api_key.html), or give a CSV file."
    )


def _told(error: urllib.error.HTTPError) -> str:
    try:
        found: Any = json.load(error)
        return str(found["error_message"]).rstrip(".")
    except (ValueError, KeyError, TypeError):
        return str(error.reason)
