"""A filter for log lines that somebody outside can cause as often as they like."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

MOST = 5
WINDOW_S = 60.0


class FewOfAKind(logging.Filter):
    """Passes MOST records of each line of code in WINDOW_S; the next one that passes says how many did not."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._lock = threading.Lock()
        self._kinds: dict[tuple[str, int], _Kind] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        now = self._clock()
        with self._lock:
            kind = self._kinds.setdefault((record.pathname, record.lineno), _Kind(now))
            if now - kind.began >= WINDOW_S:
                kind.began, kind.passed = now, 0
            if kind.passed >= MOST:
                kind.left_out += 1
                return False
            kind.passed += 1
            if kind.left_out:
                record.msg = f"{record.getMessage()} (and {kind.left_out:,} lines like it before)"
                record.args = ()
                kind.left_out = 0
        return True


class _Kind:
    def __init__(self, began: float) -> None:
        self.began = began
        self.passed = 0
        self.left_out = 0
