"""Dates and times -> seconds or milliseconds since 1970, UTC."""

from __future__ import annotations

import datetime
from typing import Any

EPOCH, DAY_MS = datetime.date(1970, 1, 1).toordinal(), 86_400_000
DAYS_BELOW = 200_000
"""A whole number below this is days since 1970 (until the year 2517), as in Avro's `date`; otherwise it is milliseconds."""


def timestamp_s(text: str) -> float:
    """Seconds since 1970 of an ISO 8601 date or time, in UTC unless the text has an offset. Raises ValueError."""
    when = datetime.datetime.fromisoformat(text.strip())
    return (when if when.tzinfo else when.replace(tzinfo=datetime.UTC)).timestamp()


def timestamp_ms(text: str) -> int:
    """Milliseconds since 1970 of an ISO 8601 date or time, as `timestamp_s`. Raises ValueError."""
    return round(timestamp_s(text) * 1000)


def start_ms(text: str) -> int:
    """Milliseconds since 1970 of a start as people give it: an ISO 8601 date or time, or a whole number of milliseconds.

    Raises ValueError: neither, or a number that Kafka's 64 bits do not hold.
    """
    if not (text.isascii() and text.isdecimal()):
        return timestamp_ms(text)
    if len(text) > 19 or int(text) >= 2**63:
        raise ValueError("more than 2^63 ms")
    return int(text)


def moment_ms(value: Any) -> int | None:
    """Milliseconds since 1970 of a value in a record; None if it is no date or time.

    ISO 8601 text, a `datetime`, a `date` (midnight UTC), or a whole number of days or milliseconds, see DAYS_BELOW.
    """
    if isinstance(value, str):
        try:
            return timestamp_ms(value)
        except ValueError:
            return None
    if isinstance(value, datetime.datetime):
        return timestamp_ms(value.isoformat())
    if isinstance(value, datetime.date):
        value = value.toordinal() - EPOCH
    if not isinstance(value, int) or isinstance(value, bool) or not -(2**63) <= value < 2**63:
        return None
    return value * DAY_MS if abs(value) < DAYS_BELOW else value
