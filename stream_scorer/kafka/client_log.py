"""The log of librdkafka's clients, with a limit on lines that repeat."""

from __future__ import annotations

import logging
import time

from stream_scorer.secret_text import hide


class RateLimitedLog(logging.Filter):
    """At most one line per 10 s and text: a broker that is down would fill the log with refusals."""

    def __init__(self, every_s: float = 10.0) -> None:
        super().__init__()
        self._every_s = every_s
        self._logged_at: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        now = time.monotonic()
        text = record.getMessage().split("(")[0][:80]  # what follows is how long the connection had lasted
        if now - self._logged_at.get(text, -self._every_s) < self._every_s:
            return False
        self._logged_at[text] = now
        return True


def _without_secrets(record: logging.LogRecord) -> bool:
    """Not left to our formatter alone: a program that embeds a service has handlers of its own."""
    record.msg, record.args = hide(record.getMessage()), ()
    return True


librdkafka_log = logging.getLogger("librdkafka")
librdkafka_log.addFilter(RateLimitedLog())
librdkafka_log.addFilter(_without_secrets)
SILENT = logging.Logger("nobody", logging.CRITICAL + 1)
"""For a client whose errors are expected."""
