"""Times as people write them."""

from __future__ import annotations

import datetime
from typing import Any

EPOCH, DAY_MS = datetime.date(1970, 1, 1).toordinal(), 86_400_000
DAYS_BELOW = 200_000
"""A whole number of less is days since 1970 (to the year 2517), as Avro's `date` counts; of more, milliseconds."""


def timestamp_s(text: str) -> float:
    """Seconds since 1970 of an ISO 8601 date or time, UTC unless it says otherwise. Raises ValueError."""
    when = datetime.datetime.fromisoformat(text.strip())
    return (when if when.tzinfo else when.replace(tzinfo=datetime.UTC)).timestamp()


def timestamp_ms(text: str) -> int:
    """The same in milliseconds."""
    return round(timestamp_s(text) * 1000)


def moment_ms(value: Any) -> int | None:
    """ms since 1970 of a date or time in a record: ISO text, a date (its midnight UTC), a time, days or ms; else None."""
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
