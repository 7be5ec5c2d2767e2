"""How long a topic keeps records: as people write it, and as a topic's configuration has it."""

from __future__ import annotations

import re

from stream_scorer.errors import SettingsError

FOREVER, FOREVER_MS = "forever", -1
MOST_MS = 2**63 - 1
"""Kafka counts in 64 bits."""
_UNITS = {"d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1_000, "ms": 1}


def retention_ms(text: str) -> int:
    """ms of `7d`, `12h`, `30m`, `45s`, `500ms`; -1 of `forever`. Raises SettingsError.

    A number alone is refused: `7` would be 7 ms to Kafka and 7 days to whoever wrote it.
    """
    written = text.strip().lower()
    if written == FOREVER:
        return FOREVER_MS
    found = re.fullmatch(r"([0-9]+) ?(ms|[dhms])", written)
    if found is None:
        unit = f" The unit is missing: {written}ms, or {written}d?" if re.fullmatch("[0-9]+", written) else ""
        raise SettingsError(
            f"--retention {text}: expected forever, or a whole number with a unit: 7d, 12h, 30m, 45s, 500ms.{unit}"
        )
    # Of a number this long Python would refuse the conversion.
    span = int(found[1]) * _UNITS[found[2]] if len(found[1]) < 20 else MOST_MS + 1
    if not 0 < span <= MOST_MS:
        raise SettingsError(f"--retention {text}: expected 1 to {MOST_MS} ms, or forever.")
    return span


def shown(ms: int) -> str:
    """As `retention_ms` reads it, in the largest unit that has it whole."""
    if ms < 0:
        return FOREVER
    unit = next(unit for unit, size in _UNITS.items() if ms % size == 0 and (ms or size == 1))
    return f"{ms // _UNITS[unit]}{unit}"


def topic_config(ms: int) -> dict[str, str]:
    """Configuration of a topic made for records with the time of what they tell of.

    A broker deletes by that time: prices of 1950 are older than its default of 7 days when they arrive. It also
    begins a file whenever record times have moved on by `segment.ms`, 7 days by default: one a week of prices,
    thousands for a history. A topic that keeps all needs none of that.
    """
    config = {"retention.ms": str(ms)}
    return {**config, "segment.ms": str(MOST_MS)} if ms == FOREVER_MS else config
