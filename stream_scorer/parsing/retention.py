"""How long a topic keeps records: text like 7d <-> retention.ms."""

from __future__ import annotations

import re

from stream_scorer.errors import SettingsError

FOREVER, FOREVER_MS = "forever", -1
MAX_MS = 2**63 - 1
"""The largest retention.ms: Kafka counts in 64 bits."""
_UNITS = {"d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1_000, "ms": 1}


def retention_ms(text: str) -> int:
    """Milliseconds of a text like `7d`, `12h`, `30m`, `45s`, `500ms`; -1 for `forever`. Raises SettingsError.

    A number without a unit is refused: `7` is 7 ms for Kafka, and its writer may mean 7 days.
    """
    written = text.strip().lower()
    if written == FOREVER:
        return FOREVER_MS
    match = re.fullmatch(r"([0-9]+) ?(ms|[dhms])", written)
    if match is None:
        unit = f" The unit is missing: {written}ms, or {written}d?" if re.fullmatch("[0-9]+", written) else ""
        raise SettingsError(
            f"--retention {text}: expected forever, or a whole number with a unit: 7d, 12h, 30m, 45s, 500ms.{unit}"
        )
    # Python refuses to convert a number of several thousand digits.
    span = int(match[1]) * _UNITS[match[2]] if len(match[1]) < 20 else MAX_MS + 1
    if not 0 < span <= MAX_MS:
        raise SettingsError(f"--retention {text}: expected 1 to {MAX_MS} ms, or forever.")
    return span


def span_text(ms: int) -> str:
    """The text that `retention_ms` reads as `ms`, in the largest unit that gives a whole number."""
    if ms < 0:
        return FOREVER
    unit = next(unit for unit, size in _UNITS.items() if ms % size == 0 and (ms or size == 1))
    return f"{ms // _UNITS[unit]}{unit}"


def topic_config(ms: int) -> dict[str, str]:
    """Configuration of a new topic whose record times are dates of events, not times of sending.

    A broker deletes records by their time: prices of 1950 are older than its default of 7 days when they arrive. It also
    starts a new segment file whenever record times advance by `segment.ms`, 7 days by default: one file for each week of
    prices, thousands for a history. A topic that keeps everything gets one segment per size instead.
    """
    config = {"retention.ms": str(ms)}
    return {**config, "segment.ms": str(MAX_MS)} if ms == FOREVER_MS else config
