"""Log lines on stderr, one a record: text for people, or JSON. What a record says cannot forge another record."""

from __future__ import annotations

import json
import logging
import sys
import time

from stream_scorer.safe_text import INDENT, lines
from stream_scorer.secret_text import hide

_LIBRARIES = ("asyncio", "uvicorn", "websockets")
"""Their warnings and tracebacks carry what a client of the engine has sent."""


class TextFormatter(logging.Formatter):
    converter = staticmethod(time.gmtime)

    def __init__(self) -> None:
        super().__init__("%(asctime)s.%(msecs)03dZ %(levelname)s %(name)s: %(message)s", "%Y-%m-%dT%H:%M:%S")

    def format(self, record: logging.LogRecord) -> str:
        """A record begins at the start of its line, and nothing else does."""
        return lines(hide(super().format(record)), INDENT)


class JsonFormatter(logging.Formatter):
    converter = staticmethod(time.gmtime)

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S") + f".{int(record.msecs):03d}Z",
            "level": record.levelname,
            "logger": record.name,
            "message": hide(record.getMessage()),
        }
        if record.exc_info:
            line["traceback"] = hide(self.formatException(record.exc_info))
        return json.dumps(line)


def set_up(level: str, form: str = "text") -> None:
    """Send the records of this package and of librdkafka to stderr, and the warnings of others. `form`: text or json."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if form == "json" else TextFormatter())
    for name in ("stream_scorer", "librdkafka", *_LIBRARIES):
        logger = logging.getLogger(name)
        logger.handlers[:] = [handler]
        logger.setLevel("WARNING" if name in _LIBRARIES and level != "ERROR" else level)
        logger.propagate = False
