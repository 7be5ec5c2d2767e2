"""Time streams: inputs of timestamps (rule `f.time`)."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from stream_scorer.errors import EndOfInput
from stream_scorer.modelop.endpoints.base import NothingToSettle
from stream_scorer.parsing.times import timestamp_s

log = logging.getLogger(__name__)
_AT_ONCE = 1000
_LAST = 1e15


class TimeFeed(NothingToSettle):
    """Timestamps in ms since 1970, one each `period_s`, the first after `delay_s`.

    Args:
        zero: ISO 8601, the simulated time at the moment of opening, which runs on from there. None: the real time.
        count: number of timestamps until the stream is at its end; None for no end.
        encode: returns the record of a timestamp.
        skip: leave out timestamps for which the model was too slow; otherwise they come together.
    """

    def __init__(
        self,
        zero: str | None,
        delay_s: float,
        period_s: float,
        count: int | None,
        *,
        encode: Callable[[int], bytes],
        skip: bool,
    ) -> None:
        self._zero = time.time() if zero is None else timestamp_s(zero)
        self._began = time.monotonic()
        self._delay_s, self._period_s = delay_s, period_s
        self._count = count
        self._encode = encode
        self._skip = skip
        self._next = 0

    def read(self, timeout_s: float) -> list[bytes]:
        if self._next == self._count:
            raise EndOfInput
        wait = self._offset(self._next) - self._passed()
        if wait > 0:
            time.sleep(min(wait, timeout_s))
            if wait > timeout_s:
                return []
        last = self._last_due()
        first = self._next
        if self._skip and last > first:
            log.warning("time stream: %d timestamps skipped: the model is too slow", last - first)
            first = last
        last = min(last, first + _AT_ONCE - 1)
        self._next = last + 1
        return [self._encode(round((self._zero + self._offset(number)) * 1000)) for number in range(first, last + 1)]

    def _last_due(self) -> int:
        if not self._period_s:
            due = self._next + _AT_ONCE
        else:
            # A period of 1e-300 s would give infinity.
            due = max(int(min((self._passed() - self._delay_s) / self._period_s, _LAST)), self._next)
        return due if self._count is None else min(due, self._count - 1)

    def _offset(self, number: int) -> float:
        return self._delay_s + number * self._period_s

    def _passed(self) -> float:
        return time.monotonic() - self._began

    def close(self) -> None:
        pass
