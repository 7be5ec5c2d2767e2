"""Times as people write them."""

from __future__ import annotations

import datetime


def timestamp_s(text: str) -> float:
    """Seconds since 1970 of an ISO 8601 date or time, UTC unless it says otherwise. Raises ValueError."""
    when = datetime.datetime.fromisoformat(text.strip())
    return (when if when.tzinfo else when.replace(tzinfo=datetime.UTC)).timestamp()


def timestamp_ms(text: str) -> int:
    """The same in milliseconds."""
    return round(timestamp_s(text) * 1000)
